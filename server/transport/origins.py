"""Which web pages may talk to this server.

A browser lets any page open a WebSocket to any address, also to 127.0.0.1, and sends along who the page belongs to in
``Origin``. Programs send none. A page that makes its own name point to 127.0.0.1 (DNS rebinding) looks like one of
ours by its origin, and betrays itself by ``Host``: a name that nobody gave this server.
"""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

Headers = Iterable[tuple[bytes, bytes]]


class Doorkeeper(NamedTuple):
    """Decides which requests to turn away.

    Args:
        local: only names of this machine, and those of the origins, are accepted as ``Host``; for a server that listens
            on loopback.
        origins: other origins whose pages may connect; "*" stands for any.
        names: the host names in them, which are this server's own.
    """

    local: bool
    origins: frozenset[str]
    names: frozenset[str]

    def objection(self, headers: Headers, *, tells: bool = False) -> str | None:
        """Return why a request is turned away, or None if it is welcome.

        ``tells`` is whether its answer must be kept from pages of other sites. A browser names no origin when a page
        asks for what seems the page's own, and then only the host can betray it.
        """
        host, origin = _host_and_origin(headers)
        name = _hostname(f"//{host}")
        if self.local and not (is_loopback(name) or name in self.names):
            return f"this server answers as localhost only, and was asked as {host or 'nobody'!r}"
        if "*" in self.origins or origin in self.origins:
            return None
        if origin is None:
            return None if not tells or self._is_own(name) else _unknown(host)
        if is_loopback(_hostname(origin)) or (_authority(origin) == host.lower() and self._is_own(name)):
            return None
        return f"pages of {origin} may not connect; add it to COMITY_ORIGINS if they should"

    def _is_own(self, name: str) -> bool:
        """Tell whether a host is one that no page of another site can make its own name stand for."""
        return name in self.names or is_loopback(name) or _is_address(name)


def doorkeeper(host: str, origins: str, *, insecure: bool) -> Doorkeeper:
    """Return the doorkeeper of a server that listens on a host, for the settings of the same names."""
    listed = frozenset(origin.strip().rstrip("/").lower() for origin in origins.split(",") if origin.strip())
    names = frozenset(map(_hostname, listed)) - {""}
    return Doorkeeper(local=is_loopback(host) and not insecure, origins=listed, names=names)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _unknown(host: str) -> str:
    asked = host or "nobody"
    return f"this server does not know that it is called {asked!r}; add http://{asked} to COMITY_ORIGINS if it is"


def _host_and_origin(headers: Headers) -> tuple[str, str | None]:
    found = {name: value.decode("latin-1") for name, value in headers if name in (b"host", b"origin")}
    origin = found.get(b"origin")
    return found.get(b"host", ""), None if origin is None else origin.lower()


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _authority(origin: str) -> str:
    scheme, _, authority = origin.partition("://")
    return authority if scheme in ("http", "https") else ""
