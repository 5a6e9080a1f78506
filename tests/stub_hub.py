"""A stand-in for the Hugging Face hub on loopback: the calls that `datasets` makes, no more. It
knows the revisions that our corpora name, and no `main`: what is read without a pin is not found.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

from tinylm.corpora import hub

REVISIONS = {source.revision for source in hub.SOURCES.values()}


@contextmanager
def serve(folder: Path, hangs_on: str | None = None) -> Iterator[str]:
    """Serve the data sets in `folder` (`<owner>/<name>/...`); gives the address. Paths in which the
    pattern `hangs_on` is found are never answered.
    """
    closing = Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if hangs_on is not None and re.search(hangs_on, path):
                closing.wait()
                return
            asked = re.search(r"/(?:revision|tree|resolve)/([^/]+)", path)
            revision = asked[1] if asked else "main"
            if revision not in REVISIONS:
                self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            elif found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/revision/[^/]+", path):
                self._describe(folder / found[1], found[1], revision)
            elif found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/tree/[^/]+/?(.*)", path):
                self._list(folder / found[1], found[2])
            elif found := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
                self._send_file(folder / found[1] / found[2], revision)
            else:
                self._send(404, b"")

        def _describe(self, data_set: Path, name: str, revision: str) -> None:
            files = [str(p.relative_to(data_set)) for p in data_set.rglob("*") if p.is_file()]
            about = {"id": name, "sha": revision, "siblings": [{"rfilename": f} for f in files]}
            self._send(200, json.dumps(about | {"private": False, "tags": []}).encode())

        def _list(self, data_set: Path, inside: str) -> None:
            if not (data_set / inside).is_dir():
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            entries = [
                {
                    "type": "file" if p.is_file() else "directory",
                    "path": str(p.relative_to(data_set)),
                    "size": p.stat().st_size if p.is_file() else 0,
                    "oid": hashlib.sha1(str(p).encode()).hexdigest(),
                }
                for p in sorted((data_set / inside).iterdir())
            ]
            self._send(200, json.dumps(entries).encode())

        def _send_file(self, path: Path, revision: str) -> None:
            if not path.is_file():
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            content = path.read_bytes()
            headers = {
                "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
                "X-Repo-Commit": revision,
                "Accept-Ranges": "bytes",
            }
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if asked is None:
                self._send(200, content, headers)
                return
            begin, end = int(asked[1]), min(int(asked[2] or len(content) - 1), len(content) - 1)
            headers["Content-Range"] = f"bytes {begin}-{end}/{len(content)}"
            self._send(206, content[begin : end + 1], headers)

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
