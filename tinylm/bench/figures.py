"""The figures of `results/bench/plots/`, each drawn from its table. Measurements draw their own;
`python -m tinylm.bench.figures` draws again whatever has been measured.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from tinylm.bench.findings import read_findings_table
from tinylm.bench.recipe_figure import read_recipe, recipe_figure
from tinylm.bench.step_profile import step_figure
from tinylm.bench.summary import bench_dir
from tinylm.errors import TinyLMError
from tinylm.plots import save_figure

PROFILE_COLUMNS = ("d_model", "precision", "batch_tokens", "part", "milliseconds")


def figures(folder: Path) -> Iterator[tuple[str, Figure]]:
    """Each figure whose table is there, and its file name.

    Raises:
        TinyLMError: a table is damaged.
    """
    if (recipe := read_recipe(folder)) is not None:
        yield "recipe.png", recipe_figure(recipe)
    parts = read_findings_table("step_profile.csv", PROFILE_COLUMNS, folder)
    if parts is not None:
        yield "step_profile.png", step_figure(parts, "bf16")


def draw_figures(folder: Path | None = None) -> list[Path]:
    """Draw what has been measured, into `plots/` of the folder; returns the files.

    Raises:
        TinyLMError: a table is damaged.
    """
    folder = folder or bench_dir()
    drawn = []
    for name, figure in figures(folder):
        drawn.append(folder / "plots" / name)
        save_figure(figure, drawn[-1])
    return drawn


def main() -> int:
    """Draw all; returns the exit code."""
    try:
        for path in draw_figures():
            print(path)
    except TinyLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
