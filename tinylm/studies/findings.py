"""What a study found, computed once and kept: `results/<profile>/findings/<name>.json`.

A bootstrap takes seconds to minutes, and its last digit depends on the processor. So `tinylm
report` computes it once, and chapters, pages and tests read it. A finding is kept under the hash of
the records that it was made from and of the code that made it; one whose hash is another is as good
as none.
"""

import ast
import hashlib
import importlib
import io
import json
import time
import tokenize
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from tinylm.errors import BadInput, Damaged, Missing
from tinylm.files import write_atomic
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.kept import read_kept

Found = TypeVar("Found")
DIGITS = 6  # significant digits of the numbers in arrays: resamples, which are many
_computing: ContextVar[bool] = ContextVar("computing", default=False)


@contextmanager
def computing_findings() -> Iterator[None]:
    """Within it `finding` computes what is missing or out of date; elsewhere it only reads."""
    token = _computing.set(True)
    try:
        yield
    finally:
        _computing.reset(token)


def finding_path(store: Store, name: str) -> Path:
    """Where a finding is kept."""
    return store.folder / "findings" / f"{name}.json"


def finding(
    store: Store,
    name: str,
    records: Sequence[RunRecord],
    modules: Sequence[str],
    compute: Callable[[], Found],
    **parameters: Any,
) -> Found:
    """What `compute` returns, from the file if that was made from the same records, code and
    parameters.

    `modules` name the code that decides the result, as `code_hash` takes it; `parameters` are
    whatever else does. The result may hold dataclasses of this package, arrays, tables, and JSON
    values. Whoever computes it sees what others will read: arrays have six digits.

    Raises:
        Missing: it is not there, or of other records or code, and this is no `tinylm report`.
        Damaged: the file cannot be read.
    """
    key = {
        "records": records_hash(records),
        "code": code_hash(modules),
        "parameters": json.loads(json.dumps(parameters)),
    }
    path = finding_path(store, name)
    kept = _read(path)
    if kept is not None and all(kept.get(part) == value for part, value in key.items()):
        result: Found = _decoded(kept["found"])
        return result
    if not _computing.get():
        state = "is not there" if kept is None else "is of other records or code"
        raise Missing(
            f"finding {name!r} of profile {store.profile} {state}; run `tinylm report --profile "
            f"{store.profile}`"
        )
    began = time.monotonic()
    found = compute()
    content = {**key, "seconds": round(time.monotonic() - began, 1), "found": _encoded(found)}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=True) + "\n"
    again: Found = _decoded(json.loads(text)["found"])
    write_atomic(path, text)
    return again


def _read(path: Path) -> dict[str, Any] | None:
    content = read_kept(path)
    if content is not None and "found" not in content:
        raise Damaged(f"file {path} is damaged (it holds no finding); delete it")
    return content


# --- what a finding is kept under -----------------------------------------------------------------


def records_hash(records: Sequence[RunRecord]) -> str:
    """SHA-256 of what records say of their runs and losses, in whatever order they come; where and
    how fast the runs were made does not count. Configs are known by the run ids that they make, so
    that a field which configs gain later changes nothing.
    """
    left_out = {"timing", "provenance", "config"}
    texts = sorted(record.model_dump_json(exclude=left_out) for record in records)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def code_hash(modules: Sequence[str]) -> str:
    """SHA-256 of code, but for comments, docstrings, blank lines and trailing white space. A name
    is a module's, `tinylm.laws.power`, or that of one function or class in it,
    `tinylm.studies.size:fit_sizes`.

    Raises:
        BadInput: a module has no function or class of that name.
    """
    digest = hashlib.sha256()
    for name in sorted(modules):
        module, _, part = name.partition(":")
        origin = importlib.import_module(module).__file__
        assert origin is not None
        source = Path(origin).read_text(encoding="utf-8")
        digest.update(f"{name}\n{_code(_part(source, name) if part else source)}".encode())
    return digest.hexdigest()


def _part(source: str, name: str) -> str:
    """The source of a function or class, decorators included."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name.partition(":")[2]:
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            return "\n".join(source.splitlines()[first - 1 : node.end_lineno])
    raise BadInput(f"code {name!r}: the module has no such function or class")


def _code(source: str) -> str:
    """Source without comments, docstrings, blank lines and trailing white space."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(
            node
        ):
            text = node.body[0]
            assert text.end_lineno is not None
            lines[text.lineno - 1 : text.end_lineno] = [""] * (text.end_lineno - text.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


# --- frozen results as JSON -----------------------------------------------------------------------


def _encoded(value: Any) -> Any:
    """JSON of a result: dataclasses by name, arrays as their numbers in one string."""
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        held = {field.name: _encoded(getattr(value, field.name)) for field in fields(value)}
        return {"dataclass": f"{kind.__module__}.{kind.__qualname__}", "fields": held}
    if isinstance(value, np.ndarray):
        numbers = " ".join(f"{number:.{DIGITS}g}" for number in value.ravel().tolist())
        return {"array": list(value.shape), "dtype": str(value.dtype), "numbers": numbers}
    if isinstance(value, pd.DataFrame):
        columns = {str(name): _encoded(value[name].tolist()) for name in value.columns}
        return {"table": columns}
    if isinstance(value, Mapping):
        if all(isinstance(name, str) for name in value):
            return {"mapping": {name: _encoded(each) for name, each in value.items()}}
        return {"pairs": [[_encoded(name), _encoded(each)] for name, each in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_encoded(each) for each in value]}
    if isinstance(value, list):
        return [_encoded(each) for each in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a finding cannot hold {type(value).__name__}")


def _decoded(value: Any) -> Any:
    """What `_encoded` was given."""
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "dataclass" in value:
        held = {name: _decoded(each) for name, each in value["fields"].items()}
        return _dataclass_named(value["dataclass"])(**held)
    if "array" in value:
        numbers = np.array(value["numbers"].split(), dtype=value["dtype"])
        return numbers.reshape(value["array"])
    if "table" in value:
        return pd.DataFrame({name: _decoded(each) for name, each in value["table"].items()})
    if "pairs" in value:
        return {_decoded(name): _decoded(each) for name, each in value["pairs"]}
    if "tuple" in value:
        return tuple(_decoded(each) for each in value["tuple"])
    return {name: _decoded(each) for name, each in value["mapping"].items()}


def _dataclass_named(name: str) -> type[Any]:
    """A dataclass of this package by its whole name."""
    module, _, kind = name.rpartition(".")
    if not module.startswith("tinylm."):
        raise Damaged(f"a finding names {name!r}; expected a dataclass of tinylm")
    found: type[Any] = getattr(importlib.import_module(module), kind)
    return found
