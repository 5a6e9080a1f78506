"""What pyproject.toml declares is what is imported, what is pinned, and all that the core needs."""

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tiny_runs import run_python, tiny_config

from tinylm.errors import Missing
from tinylm.extras import needs
from tinylm.store import Store
from tinylm.train import train

CHECKOUT = Path(__file__).parent.parent
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = {path.stem for path in Path(__file__).parent.rglob("*.py")} | {"tinylm"}
IMPORTED_AS = {
    "axe-playwright-python": "axe_playwright_python",
    "fonttools": "fontTools",
    "lion-pytorch": "lion_pytorch",
    "pyyaml": "yaml",
    "pillow": "PIL",
    "ipython": "IPython",
}
# What nothing imports, and where it is used.
USED_IN = {
    "ipykernel": ("tinylm/book/pairs.py", '"Python 3 (ipykernel)"'),
    "jupyter-book": ("tinylm/book/build.py", "from jupyter_book.cli.main import main"),
    "jupyterlab": ("Makefile", "jupyter lab"),
    "sphinx-exercise": ("_config.yml", "sphinx_exercise"),
    "sphinx-mathjax-offline": ("tinylm/book/extension.py", '"sphinx-mathjax-offline"'),
    "mypy": ("Makefile", "mypy"),
    "nbval": ("tests/test_notebooks.py", "--nbval"),
    "pytest-xdist": ("Makefile", "-n logical"),
    "ruff": ("Makefile", "ruff check"),
}


def declared(extra: str | None = None) -> dict[str, Requirement]:
    """The packages of an extra, or those that are always installed, by lower-case name."""
    lines = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    needed = [Requirement(line) for line in lines]
    return {one.name.lower(): one for one in needed if one.name != PROJECT["name"]}


EXTRAS = list(PROJECT["optional-dependencies"])


def packages(nodes: list[ast.AST]) -> set[str]:
    """The packages from elsewhere that some nodes of a syntax tree import, at any depth."""
    found = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - OWN


def guarded(tree: ast.Module) -> Iterator[tuple[str, ast.With]]:
    """The blocks `with needs("extra"):` of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and ast.unparse(node.items[0]).startswith("needs("):
            call = node.items[0].context_expr
            assert isinstance(call, ast.Call)
            yield ast.literal_eval(call.args[0]), node


@cache
def imports_of(folder: str) -> dict[str, set[str]]:
    """What a folder's modules import: by extra, and under "" what is not guarded."""
    found: dict[str, set[str]] = {name: set() for name in ["", *EXTRAS]}
    for path in (CHECKOUT / folder).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for extra, block in guarded(tree):
            found[extra] |= packages([block])
            block.body = []
        found[""] |= packages([tree])
    return found


def import_names(extra: str | None = None) -> set[str]:
    """The packages declared, as they are imported; without those that nothing imports."""
    return {IMPORTED_AS.get(name, name) for name in declared(extra) if name not in USED_IN}


@pytest.mark.parametrize("extra", ["", "hub", "book", "ray", "slurm"])
def test_the_package_imports_what_is_declared_and_no_more(extra: str) -> None:
    assert imports_of("tinylm")[extra] == import_names(extra or None)


def test_tests_and_chapters_import_what_is_declared() -> None:
    everything = import_names().union(*map(import_names, EXTRAS))
    named = imports_of("tests")[""] | imports_of("notebooks")[""]
    assert named - everything == {"packaging"}  # which pytest needs
    tools = {name for name in import_names("dev") if not re.match(r"types-|.*-stubs$", name)}
    assert tools <= named


def test_what_nothing_imports_is_used_elsewhere() -> None:
    everything = set(declared()).union(*map(declared, EXTRAS))
    assert set(USED_IN) <= everything
    for name, (path, text) in USED_IN.items():
        assert text in (CHECKOUT / path).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_pins_are_versions_that_will_do(extra: str) -> None:
    file = "requirements.txt"
    if extra in {"ray", "slurm"}:
        file = "tinylm/sweeps/executors/requirements.txt"
    lines = (CHECKOUT / file).read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if not line.startswith("#"))
    for name, requirement in declared(extra or None).items():
        assert name in pins
        assert requirement.specifier.contains(pins[name])


def test_a_missing_package_is_told_with_its_extra() -> None:
    said = r"^the package no_such_one is not .*`pip install \"tinylm-scaling\[hub\]\"`"
    with pytest.raises(Missing, match=said), needs("hub"):
        import_module("no_such_one")


# matplotlib brings Pillow, and scipy looks into sys.modules for sphinx
ABSENT = set().union(*map(import_names, ("hub", "book", "ray", "slurm"))) - {"PIL", "sphinx"}
WITHOUT_EXTRAS = f"""
import json, sys
for name in {sorted(ABSENT)}:
    sys.modules[name] = None  # as if it were not installed
import tinylm.corpora, tinylm.laws, tinylm.ngrams, tinylm.plots, tinylm.book.report
import tinylm.sweeps.terminal, tinylm.sweeps.status
from tinylm import cli
for command in json.loads(sys.argv[1]):
    sys.argv = ["tinylm", *command]
    try:
        cli.main()
    except SystemExit as end:
        print(f"{{command[0]}} ends with {{end.code}}")
"""


def test_the_core_needs_no_extra(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TINYLM_HUB_MIRROR", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config, table = project / "tiny.yaml", project / "runs.csv"
    config.write_text(tiny_config().model_dump_json(exclude={"model": {"vocab_size"}}))
    rows = [
        f"{n},{d},{1.5 + 40 * n**-0.35 + 60 * d**-0.3:.6f}"
        for n in (1e4, 1e5, 1e6)
        for d in (1e6, 1e7, 1e8)
    ]
    table.write_text("\n".join(["N,D,loss", *rows]))
    commands = [
        ["train", "--config", str(config), "--profile", "smoke"],
        ["fit", str(table), "--resamples", "50"],
        ["data", "ag_news"],
        ["notebooks", "05"],
    ]
    done = run_python(["-c", WITHOUT_EXTRAS, json.dumps(commands)], project)
    endings = [line for line in done.stdout.splitlines() if " ends with " in line]
    codes = {"train": 0, "fit": 0, "data": 2, "notebooks": 2}
    assert endings == [f"{name} ends with {code}" for name, code in codes.items()], done.stderr
    record = train(tiny_config(), 0, store=Store("smoke"))  # which is there
    assert f"run {record.run_id} · done" in done.stdout
    assert "torch" in record.provenance.packages
    assert "datasets" not in record.provenance.packages
    assert table.with_suffix(".png").is_file()
    refusals = done.stderr.splitlines()
    assert len(refusals) == 2
    for refusal, extra in zip(refusals, ("hub", "book"), strict=True):
        assert refusal.startswith("error: the package ")
        assert f'`pip install "tinylm-scaling[{extra}]"`' in refusal


def test_records_are_read_and_drawn_without_pytorch(project: Path) -> None:
    """It takes longer to import than all else that chapters of the laws need."""
    modules = ["store", "plots", *(f"studies.{name}" for name in ("verdict", "epochs", "context"))]
    code = "\n".join(f"import tinylm.{module}" for module in modules)
    done = run_python(["-c", f"{code}\nimport sys\nprint('torch' in sys.modules)"], project)
    assert done.stdout == "False\n", done.stderr
