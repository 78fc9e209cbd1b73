"""Who can reach the studio, and what that asks for."""

import ipaddress
import socket

import psutil

from backend.accounts import list_accounts
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import Role
from studio.errors import StudioError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
EXPOSED = "its images, captions, jobs and this machine's computing time"


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach `host`, a name or an address."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def is_exposed(settings: Settings) -> bool:
    """Whether another machine may reach the studio, itself or through a proxy that names it."""
    return not all(map(is_loopback, (settings.host, *settings.allowed_hosts)))


def require_protection(settings: Settings, database: Database) -> None:
    """Refuse to serve other machines while no administrator can sign in.

    Raises StudioError that says what would be exposed and how to add the account, and for a
    pattern in place of a host name.
    """
    patterns = [host for host in settings.allowed_hosts if "*" in host]
    if patterns:
        raise StudioError(
            f"DERMAFLUX_ALLOWED_HOSTS cannot hold the pattern {patterns[0]}, which would let "
            "foreign names in: write every host name in full."
        )
    if not is_exposed(settings):
        return
    if any(
        account.role is Role.ADMIN and not account.disabled for account in list_accounts(database)
    ):
        return
    raise StudioError(
        f"The studio would be reachable at {', '.join(addresses(settings))} with {EXPOSED}, and "
        "nobody could sign in: add an account with `python -m backend accounts add NAME --role "
        "admin`, or unset DERMAFLUX_HOST and DERMAFLUX_ALLOWED_HOSTS to serve this machine only."
    )


def exposure_notice(settings: Settings) -> str | None:
    """What a person should know who opened the studio to others; None on loopback."""
    if not is_exposed(settings):
        return None
    return (
        f"Reachable from other machines: whoever signs in at {', '.join(addresses(settings))} "
        f"sees and uses {EXPOSED}. Passwords cross the network in clear text unless a proxy "
        "adds HTTPS."
    )


def addresses(settings: Settings) -> list[str]:
    """The addresses under which other machines find the studio."""
    reachable = [host for host in served_hosts(settings) if not is_loopback(host)]
    return [f"http://{host}:{settings.port}" for host in reachable]


def served_hosts(settings: Settings) -> tuple[str, ...]:
    """The Host names that are answered; any other is a foreign name that points here.

    IPv6 addresses stand in brackets, as in a URL.
    """
    own = _machine_hosts() if _is_wildcard(settings.host) else (settings.host,)
    hosts = (*LOOPBACK_NAMES, *map(_bracketed, (*own, *settings.allowed_hosts)))
    return tuple(dict.fromkeys(host.lower() for host in hosts))


def _machine_hosts() -> tuple[str, ...]:
    families = (socket.AF_INET, socket.AF_INET6)
    found = [
        entry.address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in families and "%" not in entry.address
    ]
    return (socket.gethostname(), *found)


def _is_wildcard(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_unspecified


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
