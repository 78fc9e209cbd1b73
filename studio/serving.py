"""One running studio a workspace, on one port."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from filelock import FileLock, Timeout

from backend.settings import Settings
from studio.errors import StudioError
from studio.exposure import is_loopback

SHUTDOWN_S = 2
NEARBY_PORTS = 100

_log = logging.getLogger(__name__)


class AnnouncedServer(uvicorn.Server):
    """Says where the studio is as soon as it answers there."""

    def __init__(self, config: uvicorn.Config, address: str) -> None:
        super().__init__(config)
        self.address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then print the address."""
        await super().startup(sockets=sockets)
        sys.stdout.write(f"DermaFlux Studio: {self.address}\n")
        sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what runs; open pages hold streams, and uvicorn calls it an error to cut them."""
        logging.getLogger("uvicorn.error").disabled = True
        await super().shutdown(sockets=sockets)


def end_like_ctrl_c() -> None:
    """Let `kill` and a closed terminal end the studio as Ctrl+C does, worker included."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def sole_use(settings: Settings) -> Iterator[None]:
    """Hold the workspace, so that a second studio does not work on it at the same time.

    Raises StudioError while another one does.
    """
    lock = FileLock(settings.workspace / "studio.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise StudioError(
            f"Another studio is running on the workspace {settings.workspace}: use that one, or "
            "set DERMAFLUX_WORKSPACE to another folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


def open_port(settings: Settings) -> socket.socket:
    """A socket bound to the host and port of the settings.

    Raises StudioError where the port is taken, naming a free one, or the host is not ours.
    """
    try:
        listener = _bound(settings.host, settings.port)
        # Taken from now on; a browser that comes too early waits instead of failing.
        listener.listen()
    except PermissionError as error:
        raise StudioError(
            f"Port {settings.port} is reserved on this system: set DERMAFLUX_PORT to 1024 or more."
        ) from error
    except socket.gaierror as error:
        raise StudioError(
            f"DERMAFLUX_HOST={settings.host} is no name or address that this machine knows: "
            "leave it unset to serve this machine only."
        ) from error
    except OSError as error:
        free = _free_port(settings)
        if free is None:
            raise StudioError(
                f"This machine cannot serve at {settings.host} ({error.strerror}): set "
                "DERMAFLUX_HOST to one of its own addresses."
            ) from error
        raise StudioError(
            f"Port {settings.port} at {settings.host} is taken by another program: stop it, or "
            f"start with DERMAFLUX_PORT={free}, which is free."
        ) from error
    return listener


def serve(app: FastAPI, settings: Settings, listener: socket.socket) -> None:
    """Answer requests until Ctrl+C or SIGTERM, which both end this call normally."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        # The address of a client is what the connection says, not what a header claims.
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    try:
        AnnouncedServer(config, address_of(settings, listener)).run(sockets=[listener])
    except KeyboardInterrupt:
        _log.info("Stopped as asked.")


def address_of(settings: Settings, listener: socket.socket) -> str:
    """The address for a person on this machine to open."""
    host = settings.host if is_loopback(settings.host) else listener.getsockname()[0]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # On Windows this option would share the port with whoever has it.
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _free_port(settings: Settings) -> int | None:
    for port in range(settings.port + 1, min(settings.port + NEARBY_PORTS, 65536)):
        try:
            _bound(settings.host, port).close()
        except OSError:
            continue
        return port
    return None
