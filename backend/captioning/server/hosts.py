"""Where a server is: images go nowhere outside of the local network without a person's yes."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from backend.captioning.errors import CaptioningError

PORTS = {"http": 80, "https": 443}
_INSIDE = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)
"""Loopback, private (RFC 1918, RFC 4193) and link-local; nothing of these is routed outside."""


@dataclass(frozen=True)
class Place:
    """A server, and the addresses that its name led to when that was checked; no others are used.

    outside: those that are not of the local network.
    """

    url: SplitResult
    addresses: tuple[str, ...]
    outside: tuple[str, ...]

    @property
    def host(self) -> str:
        """Its name, as it was given."""
        return self.url.hostname or ""

    @property
    def base(self) -> str:
        """The address without user, query or a slash at the end."""
        return f"{self.url.scheme}://{self.authority}{self.url.path.rstrip('/')}"

    @property
    def authority(self) -> str:
        """Host and port, as the header Host has them."""
        return self.url.netloc.rpartition("@")[2]

    def at(self, address: str, path: str) -> str:
        """The URL of a path below the base at one of the addresses."""
        literal = f"[{address}]" if ":" in address else address
        port = self.url.port or PORTS[self.url.scheme]
        return f"{self.url.scheme}://{literal}:{port}{self.url.path.rstrip('/')}{path}"


def find_place(base_url: str, *, images_may_leave: bool) -> Place:
    """The server of a base URL such as http://127.0.0.1:11434/v1.

    Every address that its name leads to has to be private, loopback or link-local.

    Raises:
        CaptioningError: it is no address, its name leads nowhere, or outside without a yes.
    """
    url = _parsed(base_url)
    try:
        port = url.port or PORTS[url.scheme]
        found = socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise CaptioningError(
            f"The name of the server {url.hostname} leads nowhere: check its address, and that its "
            "machine is on the network."
        ) from error
    addresses = tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
    outside = tuple(one for one in addresses if not is_inside(one))
    if outside and not images_may_leave:
        raise CaptioningError(
            f"The server {url.hostname} ({outside[0]}) is not in the local network: images would "
            "leave the building. Where that is allowed, say so with --images-may-leave."
        )
    if outside and url.scheme == "http":
        raise CaptioningError(
            f"The server {url.hostname} is not in the local network, and http shows the images to "
            "everybody on the way: give its https address."
        )
    return Place(url, addresses, outside)


def is_inside(address: str) -> bool:
    """Whether an IP address is private, loopback or link-local, also where IPv6 wraps an IPv4."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in _INSIDE)


def _parsed(base_url: str) -> SplitResult:
    try:
        url = urlsplit(base_url.strip())
        port = url.port
    except ValueError as error:
        raise CaptioningError(_no_address(base_url)) from error
    if url.scheme not in PORTS or not url.hostname or port == 0 or url.query or url.fragment:
        raise CaptioningError(_no_address(base_url))
    if "@" in url.netloc:
        raise CaptioningError(
            "The base URL holds a user or password, which would be stored with the job: leave it "
            "out; a key is given on the command line alone."
        )
    return url


def _no_address(base_url: str) -> str:
    return (
        f"{base_url[:200]} is no address of a server: write one such as http://127.0.0.1:11434/v1."
    )
