"""A pytest plugin: nbval compares what cells show by the rule of `tinylm.book.compare`.

The project's pytest loads it, so that `pytest --nbval notebooks/06_model_size.ipynb` needs no more;
elsewhere it is `-p tinylm.book.nbval_numbers`. Everything else of nbval stays as it is: which
outputs there must be, tags, timeouts, and `--nbval-lax`.
"""

import copy
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tinylm.book.compare import difference
from tinylm.extras import needs

with needs("dev"):
    import pytest
    from nbval.plugin import IPyNbCell

ITERATIVE_TAG = "iterative"
ITERATIVE_TOLERANCE = 1e-3  # relative

_strictly: Any = IPyNbCell.compare_outputs


def pytest_configure(config: pytest.Config) -> None:
    """Let nbval compare so, in the surroundings in which the chapters were executed."""
    IPyNbCell.compare_outputs = compare_outputs
    if config.option.nbval or config.option.nbval_lax:
        os.environ.setdefault("TINYLM_STATIC", "1")
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def compare_outputs(
    cell: Any, test: Sequence[Any], ref: Sequence[Any], skip_compare: Sequence[str] | None = None
) -> bool:
    """Whether what ran now, `test`, shows what the notebook holds, `ref`; the cell says what not.

    Where a text agrees nbval is given the old one, and so finds nothing there.
    """
    tags = cell.cell.metadata.get("tags", [])
    relative = ITERATIVE_TOLERANCE if ITERATIVE_TAG in tags else 0.0
    before = defaultdict(list)
    for kind, holder, name in _texts(ref):
        before[kind].append(cell.sanitize(holder[name]))
    told, reasons = copy.deepcopy(test), []
    for kind, holder, name in _texts(told):
        if before[kind]:
            was = before[kind].pop(0)
            differs = difference(was, cell.sanitize(holder[name]), relative)
            if differs is None:
                holder[name] = was
            else:
                reasons.append(f"{kind}: {differs}")
    same: bool = _strictly(cell, told, ref, skip_compare)
    if not same:
        cell.comparison_traceback += reasons
    return same


def _texts(outputs: Sequence[Any]) -> Iterator[tuple[str, Any, str]]:
    """Every text of a cell's outputs: its kind, and the mapping and key that hold it."""
    for output in outputs:
        if output.output_type == "stream":
            yield output.name, output, "text"
        for kind, content in output.get("data", {}).items():
            if isinstance(content, str):
                yield kind, output.data, kind
