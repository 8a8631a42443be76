"""Where connections come from: what counts as one address, and how many connections each has."""

import ipaddress
from collections import Counter
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# An IPv6 host is given as many addresses as this leaves bits for, and may use any of them.
IPV6_PREFIX: Final = 64


def networks(listed: str) -> tuple[Network, ...]:
    """Return the networks in a list of addresses and networks with commas in between. Raises ValueError."""
    return tuple(ipaddress.ip_network(each.strip(), strict=False) for each in listed.split(",") if each.strip())


class AddressBook:
    """How many connections each address has.

    Args:
        limit: the most that one may have; 0 is without limit.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._connections: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many addresses there are."""
        return len(self._connections)

    def enter(self, address: str | None) -> bool:
        """Count a connection of an address, unless it has too many; one of nobody's is always welcome."""
        if address is not None:
            if 0 < self._limit <= self._connections[address]:
                return False
            self._connections[address] += 1
        return True

    def leave(self, address: str | None) -> None:
        """Count one less."""
        if address is not None:
            self._connections[address] -= 1
            if not self._connections[address]:
                del self._connections[address]


def address_of(host: str | None) -> str | None:
    """Return what stands for everyone who could be behind a host, or None if that tells nobody from anybody else.

    On loopback it does not: there are this machine's programs, or a proxy that speaks for many.
    """
    if host is None:
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return None if address.is_loopback else str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
        address = address.ipv4_mapped
    return None if address.is_loopback else str(address)
