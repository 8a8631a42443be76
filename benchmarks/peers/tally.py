"""What a load counts while it runs, and what that comes to afterwards."""

from array import array
from collections.abc import Mapping

import numpy as np

from benchmarks.peers.edits import Range

Ranges = tuple[Range, ...]
Seconds = np.ndarray[tuple[int], np.dtype[np.float64]]


class Arrivals:
    """What was received when and by whom: noted while it happens, evaluated afterwards."""

    def __init__(self) -> None:
        self._noted: dict[int, tuple[Ranges, array[float], array[int]]] = {}

    def note(self, now: float, receiver: int, ranges: Ranges) -> None:
        """Note that a client received edits; those who receive the same message pass the same ranges."""
        noted = self._noted.get(id(ranges))
        if noted is None:
            noted = self._noted[id(ranges)] = (ranges, array("d"), array("Q"))
        noted[1].append(now)
        noted[2].append(receiver)

    def latencies(self, made_at: Mapping[int, "array[float]"], since: float, until: float) -> Seconds:
        """Return the seconds from the making of each edit to each delivery of it to somebody else.

        Args:
            made_at: when each client made each of its edits.
            since: the first moment of making that counts.
            until: the last.
        """
        moments = {client: np.array(times) for client, times in made_at.items()}
        parts = [np.empty(0)]
        for ranges, times, receivers in self._noted.values():
            ranges = tuple(each for each in ranges if each[0] in moments)
            if not ranges:
                continue
            made = np.concatenate([moments[author][start:end] for author, start, end in ranges])
            authors = np.repeat([author for author, _, _ in ranges], [end - start for _, start, end in ranges])
            took = np.array(times)[:, None] - made[None, :]
            is_meant = (since <= made) & (made <= until)
            parts.append(took[(np.array(receivers)[:, None] != authors[None, :]) & is_meant[None, :]])
        return np.concatenate(parts)


class Tally:
    """The counts of one load.

    Attributes:
        delivered: edits or states that arrived at somebody else than who made them.
        made: edits or states sent.
        synced: clients that have received a first state of their room.
        arrivals: where deliveries are noted, if latency is measured.
    """

    def __init__(self) -> None:
        self.delivered = 0
        self.made = 0
        self.synced = 0
        self.arrivals: Arrivals | None = None
