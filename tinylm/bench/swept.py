"""The sweep that `tinylm.bench.sweep` times, from the start of its interpreter to its end.
`python -m tinylm.bench.swept GRID PRECISION CORES`, with the grid as JSON.

As the command `tinylm sweep` does, it has the workers' imports under way while it does its own.
"""

import json
import sys

from tinylm.sweeps.processes import start_early


def main(grid_json: str, precision: str, cores: str) -> int:
    """Sweep the grid in the current project; returns the exit code."""
    start_early()
    from tinylm.bench.scratch import sweep_runs
    from tinylm.bench.sweep import Grid
    from tinylm.errors import TinyLMError

    grid = Grid(**json.loads(grid_json))
    try:
        sweep_runs(grid.runs(precision), int(cores), len(grid.seeds))
    except TinyLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
