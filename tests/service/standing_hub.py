"""A model hub on this machine: the hub's addresses over HTTP, with the faults of a bad day."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlparse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = ".safetensors"


@dataclass
class StandingHub:
    """One repository, and what it does wrong: all that tests read or set.

    cut: file -> how many bytes it sends before it hangs up, once; forged: files whose content is
    changed on the way; token: what a gated repository wants; asked: (path, Range) of file requests.
    """

    folder: Path
    repo: str
    token: str | None = None
    storage: str = ""
    cut: dict[str, int] = field(default_factory=dict)
    forged: set[str] = field(default_factory=set)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    seen_tokens: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def listing(self) -> bytes:
        """What the hub says of the repository, large files with their SHA-256."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        siblings = [_sibling(self.folder, path) for path in files]
        return json.dumps({"id": self.repo, "sha": COMMIT, "siblings": siblings}).encode()

    def content(self, path: str) -> bytes:
        """The bytes of a file, as they leave the hub."""
        data = (self.folder / path).read_bytes()
        return data[:-1] + bytes([data[-1] ^ 1]) if path in self.forged else data


def _sibling(folder: Path, path: Path) -> dict[str, object]:
    data = path.read_bytes()
    sibling: dict[str, object] = {
        "rfilename": path.relative_to(folder).as_posix(),
        "size": len(data),
        "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest(),
    }
    if path.suffix == LARGE:
        sha256 = hashlib.sha256(data).hexdigest()
        sibling["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 130}
    return sibling


@contextmanager
def standing_hub(folder: Path, repo: str, **faults: object) -> Iterator[StandingHub]:
    """The hub with a folder as its repository; large files come from a second host, as there."""
    hub = StandingHub(folder, repo, **faults)
    with _server(hub) as address, _server(hub) as storage:
        hub.url, hub.storage = address, storage
        yield hub


@contextmanager
def _server(hub: StandingHub) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(hub, self)

        def log_message(self, *_args: object) -> None:
            """Tests have nothing to say on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(hub: StandingHub, request: BaseHTTPRequestHandler) -> None:
    path = unquote(urlparse(request.path).path)
    given = request.headers.get("Authorization")
    hub.seen_tokens.append((path, given))
    if path.startswith("/storage/"):
        return _send_file(hub, request, path.removeprefix("/storage/"))
    if hub.token is not None and given != f"Bearer {hub.token}":
        return _send(request, 401, b'{"error": "gated"}')
    if path == f"/api/models/{hub.repo}/revision/main":
        return _send(request, 200, hub.listing())
    prefix = f"/{hub.repo}/resolve/{COMMIT}/"
    if not path.startswith(prefix):
        return _send(request, 404, b"")
    name = path.removeprefix(prefix)
    if name.endswith(LARGE):
        return _send(request, 302, b"", {"Location": f"{hub.storage}/storage/{name}"})
    return _send_file(hub, request, name)


def _send_file(hub: StandingHub, request: BaseHTTPRequestHandler, name: str) -> None:
    wanted = request.headers.get("Range")
    hub.asked.append((name, wanted))
    data = hub.content(name)
    first = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
    headers = {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}
    cut = hub.cut.pop(name, None)
    body = data[first:] if cut is None else data[first:cut]
    _send(request, 206, body, headers, length=len(data) - first)
    if cut is not None:
        request.close_connection = True


def _send(
    request: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: dict[str, str] | None = None,
    length: int | None = None,
) -> None:
    request.send_response(status)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body) if length is None else length))
    request.end_headers()
    request.wfile.write(body)
