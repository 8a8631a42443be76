"""The load: many connections in one loop, which sends edits when they are due and notes who has received which."""

import heapq
import random
import select
import time
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Final, Self

from benchmarks.peers.client import Client
from benchmarks.peers.dialects import Dialect
from benchmarks.peers.failures import LoadError
from benchmarks.peers.tally import Tally

# Nothing takes that long on any server that can bear the load at all.
PATIENCE: Final = 120.0
# How many connections of a room are on their way at once while a workload is set up.
ABREAST: Final = 20
# Seconds between two looks at a condition while nothing happens.
LOOK: Final = 0.02
_PAGE: Final = 1024  # events taken from the system at once


class Load:
    """The connections and the loop that serves them."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.clients: list[Client] = []
        self.idle = 0.0  # seconds that the loop had nothing to do
        self.lags = array("d")  # how late what was due was sent
        self._open: dict[int, Client] = {}
        self._poller = select.epoll()
        self._due: list[tuple[float, int, Client, float, Callable[[Client], None]]] = []
        self._turn = count()
        self._random = random.Random(1)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection."""
        self.leave()
        self._poller.close()

    def leave(self) -> None:
        """Close every connection, and forget it."""
        for client in self.clients:
            client.stream.close()
        self.clients.clear()
        self._open.clear()
        self._due.clear()
        self.tally.synced = 0

    def connect(self, port: int, dialect: Dialect, room: str) -> Client:
        """Begin a connection."""
        number = self._random.randrange(1 << 28, 1 << 32)
        client = Client(port, dialect, room, number, self.tally, self._watch)
        self.clients.append(client)
        self._open[client.stream.fileno()] = client
        self._poller.register(client.stream.fileno(), select.EPOLLIN | select.EPOLLOUT)
        return client

    def join(self, port: int, dialect: Dialect, rooms: Sequence[str]) -> list[Client]:
        """Connect a client for each name and wait until they are synced: each room's first before its others."""
        firsts = list(dict.fromkeys(rooms))
        others = list((Counter(rooms) - Counter(firsts)).elements())
        joined = []
        for names in (firsts, others):
            for at in range(0, len(names), ABREAST):
                joined += [self.connect(port, dialect, room) for room in names[at : at + ABREAST]]
                self.until_synced()
        return joined

    def until_synced(self) -> None:
        """Serve the connections until all have received a first state of their rooms. Raises LoadError, OSError."""
        self.until(lambda: self.tally.synced == len(self.clients), "joining")

    def repeat(self, client: Client, rate: float, send: Callable[[Client], None]) -> None:
        """Have a client send something so many times a second, from some moment within the first period."""
        first = time.perf_counter() + self._random.random() / rate
        heapq.heappush(self._due, (first, next(self._turn), client, 1 / rate, send))

    def run(self, seconds: float) -> None:
        """Serve the connections for a while. Raises LoadError, OSError."""
        now = time.perf_counter()
        end = now + seconds
        while now < end:
            now = self._turn_once(now, end)

    def until(self, condition: Callable[[], object], what: str, *, pause: float = 0.0) -> None:
        """Serve the connections until a condition holds, which is looked at after each turn or after a pause.

        Raises: LoadError, if it does not come to hold, or a connection ends; OSError.
        """
        now = time.perf_counter()
        end, look = now + PATIENCE, now
        while now < end:
            if now >= look:
                if condition():
                    return
                look = now + pause
            now = self._turn_once(now, now + LOOK)
        raise LoadError(f"{what} did not end within {PATIENCE:.0f} s")

    def settle(self) -> None:
        """Send nothing more, and wait until every client has all that the others in its room have made.

        Raises: LoadError, if something does not arrive; OSError.
        """
        self._due.clear()
        for client in self.clients:
            client.window = 0
        rooms: dict[str, dict[int, int]] = {}
        for client in self.clients:
            rooms.setdefault(client.room, {})[client.id] = client.made
        self.until(lambda: all(_is_whole(client, rooms[client.room]) for client in self.clients), "settling", pause=0.1)

    def _watch(self, client: Client) -> None:
        self._poller.modify(client.stream.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _turn_once(self, now: float, end: float) -> float:
        due = self._due
        while due and due[0][0] <= now:
            moment, turn, client, period, send = due[0]
            self.lags.append(now - moment)
            heapq.heapreplace(due, (moment + period, turn, client, period, send))
            send(client)
            now = time.perf_counter()
        wait = min(due[0][0], end) - now if due else end - now
        events = self._poller.poll(0, _PAGE)
        if not events and wait > 0:
            # epoll waits for whole milliseconds, select for what it is told.
            select.select((self._poller,), (), (), wait)
            after = time.perf_counter()
            self.idle += after - now
            events = self._poller.poll(0, _PAGE)
        for number, event in events:
            client = self._open[number]
            if event & select.EPOLLOUT:
                client.stream.flush()
                if not client.stream.is_waiting:
                    self._poller.modify(number, select.EPOLLIN)
            if event & ~select.EPOLLOUT:
                client.receive()
        return time.perf_counter()


def _is_whole(client: Client, made: Mapping[int, int]) -> bool:
    has = client.has
    return all(has.get(author, 0) == edits for author, edits in made.items() if author != client.id)
