"""Who may connect, judged by nothing but an address and how many are here."""

import ipaddress
import resource
from collections import Counter
from typing import Final

from ..settings import Settings
from .addresses import AddressBook, address_of, networks
from .sockets import Scope
from .websocket import EXTENSION

# Open files that are not connections: the database and its log, what a thread reads, and some that are just closing.
SPARE_FILES: Final = 128
# Where the system allows any number: more than one process can serve.
MOST_FILES: Final = 1 << 20


class Gate:
    """Decides who may connect, and counts who may not.

    Args:
        settings: the server's settings.
        refusals: where to count whom a limit turns away, by its name.
        closes: where to count WebSockets that are closed before their messages reach anybody, by close code.
    """

    def __init__(self, settings: Settings, refusals: Counter[str], closes: Counter[int]) -> None:
        self.settings: Final = settings
        self.farewells = 0  # connections that were turned away and are not gone yet
        self._refusals = refusals
        self._closes = closes
        self._most = settings.max_connections or max(1, _open_files() - SPARE_FILES)
        self._book = AddressBook(settings.address_connections)
        self._proxies = networks(settings.trusted_proxies)

    @property
    def addresses(self) -> int:
        """How many addresses have connections that are counted."""
        return len(self._book)

    def has_space(self, connections: int) -> bool:
        """Tell whether there may be so many connections."""
        return connections <= self._most or self.refuse("max_connections")

    def enter(self, address: str | None) -> bool:
        """Tell whether an address may have one more connection, and count it; None is nobody in particular."""
        return self._book.enter(address) or self.refuse("address_connections")

    def leave(self, address: str | None) -> None:
        """Count one less."""
        self._book.leave(address)

    def refuse(self, limit: str) -> bool:
        """Count somebody who is turned away for a limit, and return False."""
        self._refusals[limit] += 1
        return False

    def count_close(self, code: int) -> None:
        """Count a WebSocket that its transport closes, of which no conversation knows."""
        self._closes[code] += 1

    def address_of(self, host: str | None) -> str | None:
        """Return the address that a connection from a host counts for; a proxy's are counted when it says for whom."""
        return None if host is None or self._is_proxy(host) else address_of(host)

    def forwarded(self, scope: Scope) -> str | None:
        """Return the address that a WebSocket counts for, None if it was counted when it connected."""
        protocol = scope.get("extensions", {}).get(EXTENSION)
        peer = None if protocol is None else _host(protocol.client)
        host = _host(scope.get("client"))
        return None if host == peer else address_of(host)

    def _is_proxy(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


def raise_open_files() -> None:
    """Let the process have as many open files as it may; most systems begin with a thousand and grant many more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _open_files() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft


def _host(client: tuple[str, int] | None) -> str | None:
    return None if client is None else client[0]
