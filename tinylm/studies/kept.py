"""Measurements that are made once and kept as JSON beside the records."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tinylm.errors import Damaged
from tinylm.files import write_atomic


def read_kept(path: Path) -> dict[str, Any] | None:
    """What was kept, or None if nothing was.

    Raises:
        TinyLMError: the file is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Damaged(f"file {path} is damaged ({error}); delete it") from None
    if not isinstance(content, dict):
        raise Damaged(f"file {path} is damaged (it holds no JSON object); delete it")
    return content


def measured_once(
    path: Path, key: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]
) -> dict[str, Any]:
    """The key and what was measured for it: from the file if its key is this one, else anew.

    Raises:
        TinyLMError: the file is damaged or cannot be written; what `measure` raises.
    """
    kept = read_kept(path)
    if kept is None or any(kept.get(name) != value for name, value in key.items()):
        kept = {**key, **measure()}
        write_atomic(path, json.dumps(kept, indent=1) + "\n")
    return kept
