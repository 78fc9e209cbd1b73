"""Who is signed in: signed cookies that end by themselves, and sign-outs that a restart keeps."""

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from itsdangerous import BadSignature, URLSafeSerializer

from studio.errors import StudioError

LIFETIME_S = 12 * 60 * 60
KEY_BYTES = 32


@dataclass(frozen=True)
class Session:
    """One sign-in: whose, with which password (`stamp`), and since when, in epoch seconds."""

    identity: str
    account: str
    stamp: str
    since: float


class Sessions:
    """Issues, reads and ends the cookies of one workspace.

    `signed_out` is a file of lines `identity end`: a cookie that was signed out stays dead until
    it would have expired.
    """

    def __init__(
        self, key: bytes, signed_out: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self._serializer = URLSafeSerializer(
            key,
            salt="dermaflux-session",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )
        self._signed_out_file = signed_out
        self._clock = clock
        self._lock = threading.Lock()
        self._signed_out = _read_ends(signed_out)

    def issue(self, account: str, stamp: str) -> str:
        """A cookie value that lets `account` in for LIFETIME_S."""
        return self._serializer.dumps([secrets.token_urlsafe(16), account, stamp, self._clock()])

    def read(self, cookie: str | None) -> Session | None:
        """The session that a cookie value proves; None for a forged, expired or ended one."""
        if not cookie:
            return None
        try:
            session = Session(*self._serializer.loads(cookie))
        except BadSignature:
            return None
        is_over = self._clock() - session.since > LIFETIME_S or session.identity in self._signed_out
        return None if is_over else session

    def end(self, session: Session) -> None:
        """Sign out: the cookie is worthless from now on, wherever it was copied to."""
        with self._lock:
            now = self._clock()
            ends = {**self._signed_out, session.identity: session.since + LIFETIME_S}
            self._signed_out = {identity: end for identity, end in ends.items() if end > now}
            lines = [f"{identity} {end}\n" for identity, end in self._signed_out.items()]
            draft = self._signed_out_file.with_suffix(".tmp")
            _write_private(draft, "".join(lines).encode())
            draft.replace(self._signed_out_file)


def open_sessions(workspace: Path) -> Sessions:
    """The sessions of a workspace; its signing key is made on first use, for the owner's eyes only.

    Raises StudioError for a key that cannot be read or that others can read.
    """
    path = workspace / "session.key"
    try:
        if not path.exists():
            _write_private(path, secrets.token_bytes(KEY_BYTES))
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise StudioError(
                f"Other users of this machine can read {path}, which signs sessions: remove it and "
                "start again (everybody signs in once more)."
            )
        return Sessions(path.read_bytes(), workspace / "signed_out")
    except OSError as error:
        raise StudioError(
            f"The key of the sessions, {path}, cannot be used ({error.strerror}): give its folder "
            "back to the user who starts the studio."
        ) from error


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read_ends(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    pairs = (line.split() for line in path.read_text("ascii").splitlines())
    return {pair[0]: float(pair[1]) for pair in pairs if len(pair) == 2}
