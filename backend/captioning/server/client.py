"""Asks a server of chat completions about one image, as often as it takes."""

import base64
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import certifi
import httpx

from backend.captioning.answers import Answer
from backend.captioning.errors import CaptioningError
from backend.captioning.server.hosts import Place
from backend.captioning.server.pace import Pace, backoff, retry_after
from backend.captioning.server.reply import BadReplyError, read_reply, reason_of
from backend.captioning.task import Decoding, Server

PATH = "/chat/completions"
CONNECT_S = 10.0
MAX_BODY_BYTES = 4 * 2**20
MIME = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
OK, MULTIPLE_CHOICES, BAD_REQUEST, INTERNAL = 200, 300, 400, 500
UNAUTHORISED, FORBIDDEN, NOT_FOUND, NOT_ALLOWED, GONE = 401, 403, 404, 405, 410
TOO_MANY, UNAVAILABLE = 429, 503
_BUSY = (TOO_MANY, UNAVAILABLE)
_PASSING = (408, 409, 425, *_BUSY)


class ServerError(CaptioningError):
    """The server cannot go on for any image; what was answered is kept."""


@dataclass(frozen=True)
class Failure:
    """Why the server gave no answer about one image."""

    reason: str


class _Passing(Exception):  # noqa: N818 - what passes is tried again
    """What went wrong this time; `busy` where the server said that it has too much to do."""

    def __init__(self, reason: str, *, down: bool = False, busy: bool = False) -> None:
        super().__init__(reason)
        self.down = down
        self.busy = busy


class _Lasting(Exception):  # noqa: N818 - no error of ours
    """The server refuses this image, and will again."""


class ChatServer:
    """Guards the connections to a server, and its key; threads may share it."""

    def __init__(
        self,
        place: Place,
        server: Server,
        model: str,
        decoding: Decoding,
        key: str | None,
        pace: Pace,
    ) -> None:
        self._place = place
        self._server = server
        self._model = model
        self._decoding = decoding
        self._key = key
        self._pace = pace
        self._address = place.addresses[0]
        # Without the environment: a proxy named there would be somewhere else.
        self._client = httpx.Client(
            verify=_trusted(),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(server.timeout_s, connect=min(CONNECT_S, server.timeout_s)),
            limits=httpx.Limits(max_connections=server.concurrency),
            headers={"Host": place.authority, "Accept": "application/json"}
            | ({"Authorization": f"Bearer {key}"} if key else {}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def ask(self, image: bytes, suffix: str, prompt: str) -> Answer | Failure | None:
        """What the server says to an image; None where all has ended meanwhile.

        Raises:
            ServerError: it is down, busy without end, or not set up for this.
        """
        body = self._body(image, suffix, prompt)
        last = _Passing("nothing was tried")
        for attempt in range(self._server.attempts):
            if attempt and self._pace.ended.wait(backoff(attempt - 1, self._server.backoff_s)):
                return None
            if not self._pace.wait():
                return None
            try:
                return self._once(body)
            except _Lasting as error:
                return Failure(str(error))
            except _Passing as error:
                last = error
        tries = f"{self._server.attempts} tries"
        if last.down:
            raise ServerError(
                f"The server {self._place.base} does not answer ({last}) after {tries}: start it "
                "again, then press Retry; what was answered is kept."
            )
        if last.busy:
            raise ServerError(
                f"The server {self._place.base} has too much to do ({last}) after {tries}: lower "
                "the requests at once or a minute, or press Retry later; what was answered is kept."
            )
        return Failure(f"{last}, {tries}")

    def _once(self, body: dict[str, Any]) -> Answer:
        with self._explained(), self._sent(body) as response:
            content = self._content(response)
        if response.status_code == OK:
            try:
                return read_reply(content)
            except BadReplyError as error:
                raise _Passing(f"the server sent {self._without_key(str(error))}") from error
        raise self._refusal(response, self._without_key(reason_of(content)))

    @contextmanager
    def _sent(self, body: dict[str, Any]) -> Iterator[httpx.Response]:
        """The response of the first checked address that takes a connection."""
        others = [one for one in self._place.addresses if one != self._address]
        for address in (self._address, *others):
            request = self._client.build_request(
                "POST",
                self._place.at(address, PATH),
                json=body,
                extensions={"sni_hostname": self._place.host},
            )
            try:
                response = self._client.send(request, stream=True)
            except httpx.ConnectError:
                if address == (others or [self._address])[-1]:
                    raise
                continue
            self._address = address
            try:
                yield response
            finally:
                response.close()
            return

    def _content(self, response: httpx.Response) -> bytes:
        """The whole body, bounded in bytes and in time however slowly it drips."""
        deadline = time.monotonic() + self._server.timeout_s
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > MAX_BODY_BYTES:
                raise _Passing("the server sent far too much")
            if time.monotonic() > deadline:
                raise _Passing(f"the answer took more than {self._server.timeout_s:.0f} s")
        return bytes(content)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _Passing("no connection", down=True) from error
        except httpx.TimeoutException as error:
            raise _Passing(f"no answer within {self._server.timeout_s:.0f} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Passing("the connection was cut off") from error

    def _refusal(self, response: httpx.Response, reason: str) -> Exception:
        status, base = response.status_code, self._place.base
        if status in _PASSING or status >= INTERNAL:
            wanted = retry_after(response.headers.get("Retry-After"))
            if wanted is not None:
                self._pace.pause(wanted)
            return _Passing(f"the server answered {status}: {reason}", busy=status in _BUSY)
        if status < BAD_REQUEST:
            return ServerError(
                f"The server {base} sends requests elsewhere ({status}), which is not followed: "
                "give the address that it means."
            )
        if status in (UNAUTHORISED, FORBIDDEN):
            missing = "wants a key: give it on the command line with --key-file"
            wrong = "refuses the key" if self._key else missing
            return ServerError(f"The server {base} {wrong} ({status}: {reason}).")
        if status in (NOT_FOUND, NOT_ALLOWED, GONE):
            return ServerError(
                f"The server {base} has no chat completions, or no model {self._model} ({status}: "
                f"{reason}): check the base URL, which often ends in /v1, and the model."
            )
        return _Lasting(f"the server refused the image ({status}: {reason})")

    def _body(self, image: bytes, suffix: str, prompt: str) -> dict[str, Any]:
        data = base64.b64encode(image).decode("ascii")
        url = f"data:{MIME.get(suffix.lower(), 'image/jpeg')};base64,{data}"
        content = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": prompt},
        ]
        return {
            "model": self._model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self._decoding.max_new_tokens,
            "temperature": self._decoding.temperature,
            "seed": self._decoding.seed,
            "stream": False,
        }

    def _without_key(self, text: str) -> str:
        """Some servers repeat the key that they refuse."""
        return text.replace(self._key, "(key)") if self._key else text


def _trusted() -> ssl.SSLContext:
    """The certificates of this machine, an institute's own among them, and those of certifi."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
