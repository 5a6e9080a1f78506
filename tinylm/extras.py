"""Packages that only some parts need: an import that fails names what to install."""

from collections.abc import Iterator
from contextlib import contextmanager

from tinylm.errors import Missing


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Within it, import what only `pip install "tinylm-scaling[extra]"` brings.

    Raises:
        Missing: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise Missing(
            f"the package {error.name} is not installed; install it with "
            f'`pip install "tinylm-scaling[{extra}]"`, or in a checkout with '
            f"`make setup{f' EXTRAS={extra}' if extra in ('ray', 'slurm') else ''}`"
        ) from None
