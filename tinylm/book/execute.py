"""Run a chapter from its .py file, with other parameters if asked, and keep a clean .ipynb."""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinylm.book import BookError
from tinylm.book.pairs import KERNEL, VOLATILE_METADATA, read_text_notebook
from tinylm.errors import BadInput
from tinylm.extras import needs
from tinylm.files import write_atomic

with needs("book"):
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.exceptions import PapermillExecutionError

CELL_TIMEOUT_SECONDS = 1800
LANGUAGE = {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"}


class ChapterEngine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    """papermill's own engine, but for the kernel's folder and environment. papermill's `cwd` is of
    the whole process, where chapters run side by side, and it takes no environment at all.
    """

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, folder: Path, **_of_papermill: Any
    ) -> None:
        """Run the cells of `nb_man.nb` in place."""
        PapermillNotebookClient(
            nb_man,
            kernel_name=kernel_name,
            timeout=CELL_TIMEOUT_SECONDS,
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],
            shutdown_kernel="immediate",  # else it is interrupted first, and says so
            resources={"metadata": {"path": str(folder)}},
        ).execute(env={"OMP_NUM_THREADS": "1"} | os.environ | {"TINYLM_STATIC": "1"})


papermill_engines.register("chapter", ChapterEngine)


def notebook_parameters(notebook: Any) -> dict[str, Any]:
    """Names and defaults in the cell tagged `parameters`, as papermill understands them."""
    found = papermill.inspect_notebook(notebook)
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
    _check_parameters(script, notebook, values)
    target = out or script.with_suffix(".ipynb")
    write_atomic(target, nbformat.writes(_cleaned(_run(script, notebook, values))) + "\n")
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


def _run(script: Path, notebook: Any, values: Mapping[str, Any]) -> Any:
    """The notebook executed by papermill, with a cell of `values` after the one tagged
    `parameters`; any failure becomes a BookError that names the notebook.
    """
    try:
        executed = papermill.execute_notebook(
            notebook,
            None,
            dict(values),
            engine_name="chapter",
            progress_bar=False,
            folder=script.parent,
        )
    except PapermillExecutionError as error:
        raise BookError(f"notebook {script.stem}: a cell failed\n{error}") from None
    except CellTimeoutError:
        limit = f"{CELL_TIMEOUT_SECONDS} s"
        raise BookError(f"notebook {script.stem}: a cell took longer than {limit}") from None
    except DeadKernelError:
        raise BookError(f"notebook {script.stem}: its kernel died, perhaps of memory") from None
    # papermill takes the exception of `sys.exit()` for success, and leaves out the cells below.
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    if any(output.output_type == "error" for output in outputs):
        raise BookError(
            f"notebook {script.stem}: a cell called sys.exit(), so the rest did not run"
        )
    return executed


def _cleaned(notebook: Any) -> Any:
    """Without what changes from run to run: timings, versions, widget state, random cell ids;
    without the empty lists of tags that papermill leaves; and without sentences that are empty,
    such as of runs that a profile has not, which a page would show as the name of their class.
    """
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        for name in VOLATILE_METADATA & set(cell.metadata):
            del cell.metadata[name]
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not _says_nothing(output)]
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        seen[digest] += 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return notebook


def _says_nothing(output: Any) -> bool:
    markdown = output.get("data", {}).get("text/markdown")
    return markdown is not None and not markdown.strip()
