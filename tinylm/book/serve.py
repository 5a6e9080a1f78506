"""Show a built book: pages opened as files cannot fetch, so search would not work there."""

import functools
import http.server
from contextlib import suppress
from pathlib import Path

from tinylm.errors import BadInput, Missing
from tinylm.sweeps.processes import interruptible


def serve(folder: Path, port: int = 8000) -> None:
    """Serve a built book on this machine's loopback address until interrupted (Ctrl-C).

    Raises:
        TinyLMError: no book is there, or the port is taken.
    """
    if not (folder / "index.html").is_file():
        raise Missing(f"no book in {folder}; run: make book")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise BadInput(f"port {port} cannot be used ({error.strerror}); choose another") from None
    with server:
        print(f"The book is at http://127.0.0.1:{server.server_port}/ (Ctrl-C to stop)", flush=True)
        with interruptible(), suppress(KeyboardInterrupt):
            server.serve_forever()
        print()
