"""A chapter is a pair, NN_name.py and NN_name.ipynb: check that both say the same."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinylm.errors import BadInput
from tinylm.extras import needs

with needs("book"):
    import jupytext
    import nbformat

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# Cell metadata that tools write while running or showing a notebook; the author did not.
VOLATILE_METADATA = frozenset(
    {"ExecuteTime", "collapsed", "execution", "lines_to_next_cell", "papermill", "trusted"}
)


def read_text_notebook(path: Path) -> Any:
    """The notebook that a py:percent file describes, without outputs; its kernel is python3
    unless its header names another.

    Raises:
        TinyLMError: the file is missing or cannot be read as a notebook.
    """
    try:
        notebook = jupytext.read(path, fmt="py:percent")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise BadInput(f"notebook {path.name}: cannot be read: {error}") from error
    notebook.metadata.setdefault("kernelspec", nbformat.from_dict(KERNEL))
    return notebook


def read_notebook(path: Path) -> Any:
    """An .ipynb file, format 4.

    Raises:
        TinyLMError: the file is missing or is no notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, UnicodeDecodeError, ValueError, nbformat.reader.NotJSONError) as error:
        raise BadInput(f"notebook {path.name}: cannot be read: {error}") from error


def canonical_text(notebook: Any) -> list[str]:
    """What a notebook says, a line each: kernel, then type, metadata (tags sorted), source."""
    lines = [f"kernel {notebook.metadata.get('kernelspec', {}).get('name', 'none')}"]
    for cell in notebook.cells:
        metadata = {k: v for k, v in cell.metadata.items() if k not in VOLATILE_METADATA}
        if "tags" in metadata:
            metadata["tags"] = sorted(metadata["tags"])
        shown = json.dumps(metadata, sort_keys=True, ensure_ascii=False) if metadata else ""
        lines += ["", f"%% {cell.cell_type} {shown}".rstrip(), *cell.source.splitlines()]
    return lines


def pair_drift(script: Path) -> list[str]:
    """A unified diff between the two files of a pair; empty if they agree."""
    notebook = script.with_suffix(".ipynb")
    return list(
        difflib.unified_diff(
            canonical_text(read_text_notebook(script)),
            canonical_text(read_notebook(notebook)),
            fromfile=script.name,
            tofile=notebook.name,
            lineterm="",
        )
    )


def check_pairs(folder: Path) -> list[str]:
    """Everything wrong with the pairs of a folder, as lines to print; empty if all is well."""
    scripts = {path.stem for path in folder.glob("*.py")}
    notebooks = {path.stem for path in folder.glob("*.ipynb")}
    report = [f"{name}.py has no {name}.ipynb" for name in sorted(scripts - notebooks)]
    report += [f"{name}.ipynb has no {name}.py" for name in sorted(notebooks - scripts)]
    for name in sorted(scripts & notebooks):
        report += pair_drift(folder / f"{name}.py")
    return report


def scripts_of(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """The .py files of the chapters named, by number or name ('06', '06_model_size'); all if none.

    Raises:
        TinyLMError: a name fits no chapter, or more than one.
    """
    every = sorted(folder.glob("*.py"))
    chosen = []
    for name in names:
        stem = name.removesuffix(".py").removesuffix(".ipynb")
        fitting = [p for p in every if p.stem == stem or p.stem.split("_")[0] == stem]
        if len(fitting) != 1:
            known = ", ".join(p.stem for p in every) or "none is there yet"
            raise BadInput(f"unknown notebook {name!r}; expected one of: {known}")
        chosen += fitting
    return chosen or every
