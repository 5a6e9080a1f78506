"""Where runs are trained: local processes, a Ray cluster, a Slurm cluster."""

from importlib import import_module
from inspect import signature
from typing import Any

from tinylm.errors import BadInput
from tinylm.sweeps.executors.base import Ended, Executor, Finished
from tinylm.sweeps.executors.local import LocalExecutor

__all__ = ["EXECUTORS", "Ended", "Executor", "Finished", "LocalExecutor", "make_executor"]

# Name to module and class; each is imported when it is asked for, and with it what it needs.
EXECUTORS = {
    "local": ("tinylm.sweeps.executors.local", "LocalExecutor"),
    "ray": ("tinylm.sweeps.executors.ray", "RayExecutor"),
    "slurm": ("tinylm.sweeps.executors.slurm", "SlurmExecutor"),
}


def make_executor(name: str, **options: Any) -> Executor:
    """The executor of a name, with that executor's own options.

    Raises:
        TinyLMError: no such executor, a package that is missing, or an option of a wrong value.
    """
    if name not in EXECUTORS:
        raise BadInput(f"unknown executor {name!r}; expected one of {', '.join(EXECUTORS)}")
    module, class_name = EXECUTORS[name]
    kind = getattr(import_module(module), class_name)
    known = list(signature(kind).parameters)
    if foreign := [option for option in options if option not in known]:
        raise BadInput(
            f"executor {name!r} has no option {', '.join(foreign)}; it has {', '.join(known)}"
        )
    made = kind(**options)
    assert isinstance(made, Executor)
    return made
