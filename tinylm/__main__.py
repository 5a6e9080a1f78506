"""The `tinylm` command, and `python -m tinylm`: imports nothing that takes long."""

import os
import signal
from typing import Any


def leave(*_: Any) -> None:
    """Ctrl-C before there is anything to end well, in the midst of imports."""
    os.write(2, b"stopped\n")
    os._exit(128 + signal.SIGINT)


def main() -> None:
    """Run the command line; whatever can be interrupted says so itself, see `interruptible`."""
    signal.signal(signal.SIGINT, leave)
    from tinylm.cli import main as run

    run()


if __name__ == "__main__":
    main()
