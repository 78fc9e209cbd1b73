"""A real server of chat completions on this machine, with the faults that real ones have."""

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from PIL import Image

SAID = (
    "The mole is symmetric. Its border is regular and the color is a uniform dark brown all over."
)
Fault = Callable[["Handler", int], bool]
"""Answers request number (from 0) itself, and says whether it has."""


def completion(text: object, **choice: object) -> dict[str, Any]:
    """The body of an answer."""
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}]}


class Handler(BaseHTTPRequestHandler):
    """Looks at each request as a strict server would, then answers or fails."""

    protocol_version = "HTTP/1.1"
    chat: "Chat"

    def do_POST(self) -> None:
        chat = self.chat
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with chat.lock:
            number = len(chat.requests)
            chat.requests.append(body)
            chat.headers.append(dict(self.headers))
            chat.times.append(time.monotonic())
        assert self.path == f"{chat.path}/chat/completions"
        image, text = body["messages"][0]["content"]
        head, data = image["image_url"]["url"].split(",", 1)
        assert head in ("data:image/png;base64", "data:image/jpeg;base64")
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as opened:
            opened.load()
        assert text["type"] == "text"
        if chat.delay_s:
            time.sleep(chat.delay_s)
        if not chat.fault(self, number):
            self.reply(200, json.dumps(completion(chat.said)))

    def reply(self, status: int, body: str | bytes, **headers: str) -> None:
        """Send a whole response."""
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal of the tests."""


@dataclass
class Chat:
    """What the server says, and what it was asked.

    Its path is its own, since the system may give a later server the port of an earlier one.
    """

    said: object = SAID
    delay_s: float = 0.0
    fault: Fault = lambda _handler, _number: False
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    path: str = field(default_factory=lambda: f"/{uuid4().hex}/v1")
    url: str = ""

    @property
    def texts(self) -> list[str]:
        """The prompts that came."""
        return [body["messages"][0]["content"][1]["text"] for body in self.requests]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, _request: object, _address: object) -> None:
        """A client that was killed is no error here."""


@contextmanager
def serving(chat: Chat, port: int = 0) -> Iterator[Chat]:
    """The server at `chat.url`, until the end."""
    handler = type("Bound", (Handler,), {"chat": chat})
    with _Server(("127.0.0.1", port), handler) as server:
        chat.url = f"http://127.0.0.1:{server.server_port}{chat.path}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield chat
        server.shutdown()
