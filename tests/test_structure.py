"""The house: imports go down only, also those inside functions; no circles; no name twice; nothing
too long. Part of `make lint`.
"""

import ast
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "tinylm"
LAYERS = (
    "core",
    "speed",
    "inside",
    "sweeps",
    "plots",
    "studies",
    "book",
    "bench",
    "cli",
)  # from below
OF_THE_CORE = {"corpora", "laws"}  # beside the modules that lie in tinylm/ itself
MODULE_LINES, FUNCTION_LINES = 500, 60
CORE_LINES = 4651  # command line and widgets included; the aim is nearer to 3,000


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TEXTS = {module_name(path): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
TREES = {name: ast.parse(text) for name, text in TEXTS.items()}


def imports(name: str) -> set[str]:
    """The modules of the package that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}, line {node.lineno}: a relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {one if one in TREES else str(node.module) for one in inner}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & TREES.keys()


def layer(name: str) -> int:
    part = name.split(".")[1].replace("__main__", "cli") if "." in name else "core"
    return LAYERS.index(part) if part in LAYERS else LAYERS.index("core")


def test_imports_go_down_only() -> None:
    parts = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert parts == OF_THE_CORE | {*LAYERS} - {"core", "cli"}
    pairs = {(name, other) for name in TREES for other in imports(name)}
    assert {pair for pair in pairs if layer(pair[0]) < layer(pair[1])} == set()


def test_there_are_no_circles() -> None:
    downward = {name: imports(name) for name in TREES}
    assert len(list(TopologicalSorter(downward).static_order())) == len(TREES)


def test_no_two_modules_share_a_name() -> None:
    names = Counter(name.split(".")[-1] for name in TREES)
    assert {name for name, times in names.items() if times > 1} <= {"__main__"}


def test_nothing_is_too_long() -> None:
    lines = {name: len(text.splitlines()) for name, text in TEXTS.items()}
    too_long = {name for name, n in lines.items() if n > MODULE_LINES}
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno >= FUNCTION_LINES:
                    too_long.add(f"{name}.{node.name}")
    assert not too_long
    assert sum(lines[module_name(path)] for path in PACKAGE.glob("*.py")) <= CORE_LINES
