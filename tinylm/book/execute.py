"""Run a chapter from its .py file, with other parameters if asked, and keep a clean .ipynb."""

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.parameterize import parameterize_notebook

from tinylm.book import BookError
from tinylm.book.pairs import KERNEL, VOLATILE_METADATA, read_text_notebook
from tinylm.errors import BadInput
from tinylm.files import write_atomic

CELL_TIMEOUT_SECONDS = 1800
LANGUAGE = {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"}


def notebook_parameters(notebook: Any) -> dict[str, Any]:
    """Names and defaults in the cell tagged `parameters`, as papermill understands them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notebook.ipynb"
        nbformat.write(notebook, path)
        found = papermill.inspect_notebook(path)
    return {name: entry["default"] for name, entry in found.items()}


def execute_notebook(
    script: Path,
    profile: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    out: Path | None = None,
) -> Path:
    """Run the py:percent notebook `script` top to bottom and write it, with outputs, to `out`.

    `profile` sets the parameter of that name. `out` defaults to the .ipynb beside the script.
    The kernel works in the script's folder with TINYLM_STATIC=1, which makes widgets leave a
    counterpart that needs no kernel. The file is written only if every cell succeeded.

    Raises:
        TinyLMError: a parameter is not in the notebook's `parameters` cell; nothing is written.
        BookError: a cell failed, took too long, or killed its kernel; nothing is written.
    """
    notebook = read_text_notebook(script)
    values = dict(parameters or {}) | ({"profile": profile} if profile else {})
    if values:
        _check_parameters(script, notebook, values)
        notebook = _with_parameters(notebook, values)
    _run(script, notebook)
    target = out or script.with_suffix(".ipynb")
    write_atomic(target, nbformat.writes(_cleaned(notebook)) + "\n")
    return target


def _check_parameters(script: Path, notebook: Any, values: Mapping[str, Any]) -> None:
    """papermill only prints when a name is unknown, and runs on; here it is an error."""
    known = notebook_parameters(notebook)
    for name, value in values.items():
        if name not in known:
            expected = ", ".join(known) or "none: it has no cell tagged parameters"
            raise BadInput(
                f"notebook {script.stem}: unknown parameter {name!r} (value {value!r}); "
                f"expected one of: {expected}"
            )


def _with_parameters(notebook: Any, values: Mapping[str, Any]) -> Any:
    """A cell of these values, put in by papermill after the one tagged `parameters`."""
    notebook.metadata["papermill"] = {}
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])  # papermill takes it for granted
    notebook = parameterize_notebook(notebook, dict(values))
    for cell in notebook.cells:
        if not cell.metadata["tags"]:
            del cell.metadata["tags"]
    return notebook


def _run(script: Path, notebook: Any) -> None:
    """Execute in place; any failure becomes a BookError that names the notebook."""
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_SECONDS,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(script.parent)}},
    )
    environment = {"OMP_NUM_THREADS": "1"} | os.environ | {"TINYLM_STATIC": "1"}
    try:
        client.execute(env=environment)
    except CellExecutionError as error:
        raise BookError(f"notebook {script.stem}: a cell failed\n{error}") from None
    except CellTimeoutError:
        limit = f"{CELL_TIMEOUT_SECONDS} s"
        raise BookError(f"notebook {script.stem}: a cell took longer than {limit}") from None
    except DeadKernelError:
        raise BookError(f"notebook {script.stem}: its kernel died, perhaps of memory") from None


def _cleaned(notebook: Any) -> Any:
    """Without what changes from run to run: timings, versions, widget state, random cell ids."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        for name in VOLATILE_METADATA & set(cell.metadata):
            del cell.metadata[name]
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        seen[digest] += 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return notebook
