"""Writers that overwrite 50 keys in turn and tell each other: typed, and in a plain Y.Map of pycrdt."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, Protocol

from pycrdt import Doc, TransactionEvent
from pycrdt import Map as YMap

from benchmarks.rows import KEYS
from comity.crdt_types import Commit, StateDocument
from comity.crdt_types.document.clock import EPOCH_MS, HybridClock

APART: Final = (
    500  # writes between two exchanges among writers who are apart: several of them write each key in between
)
WRITES_PER_MS: Final = 10


class Replica(Protocol):
    """One writer's document.

    Attributes:
        told: the update of the last transaction.
    """

    told: bytes

    def write(self, key: str, value: str) -> None: ...
    def update_since(self, state_vector: bytes | None) -> bytes: ...
    def state_vector(self) -> bytes: ...
    def apply(self, update: bytes) -> None: ...


class Typed:
    """A map of a state document; its session has an id and a clock that are the same in every run."""

    def __init__(self, number: int) -> None:
        self.told = b""
        self._document = StateDocument(agent=f"agent-{number}", client_id=client_id(number), clock=_clock())
        self._document.on_commit(self._on_commit)
        self.update_since = self._document.update_since
        self.state_vector = self._document.state_vector
        self.apply = self._document.apply

    def write(self, key: str, value: str) -> None:
        self._document.set_cell("steps", key, value)

    def _on_commit(self, commit: Commit) -> None:
        self.told = commit.update


class Plain:
    """A root Y.Map."""

    def __init__(self, number: int) -> None:
        self.told = b""
        self._ydoc: Doc[Any] = Doc(client_id=client_id(number))
        self._ydoc.observe(self._on_update)
        self._steps: YMap[Any] = self._ydoc.get("steps", type=YMap)
        self.state_vector = self._ydoc.get_state
        self.apply = self._ydoc.apply_update

    def write(self, key: str, value: str) -> None:
        self._steps[key] = value

    def update_since(self, state_vector: bytes | None) -> bytes:
        return self._ydoc.get_update(state_vector)

    def _on_update(self, event: TransactionEvent) -> None:
        self.told = event.update


LAYOUTS: Final[dict[str, Callable[[int], Replica]]] = {"Comity": Typed, "Y.Map": Plain}


def client_id(number: int) -> int:
    """Return a session's id, as long as those that pycrdt draws."""
    return Random(number).getrandbits(53)


def _clock() -> HybridClock:
    """Return a clock that runs while it is looked at, from the middle of 2025 on."""
    looks = iter(range(175_000_000_000 * WRITES_PER_MS, 2**62))
    return HybridClock(lambda: EPOCH_MS + next(looks) // WRITES_PER_MS)


class Overwrites:
    """So many writers, who go on from where they were.

    Args:
        replica: makes the document of a writer, by its number.
        writers: how many there are.
        apart: whether they exchange what they wrote only now and then; else each sees every write at once.
    """

    def __init__(self, replica: Callable[[int], Replica], writers: int, *, apart: bool = False) -> None:
        self._replicas = [replica(number) for number in range(writers)]
        self._apart = apart
        self._written = 0

    def go_on(self, writes: int) -> bytes:
        """Overwrite until so many writes were made in all, and return the whole document as one update."""
        for write in range(self._written, writes):
            replica = self._replicas[write % len(self._replicas)]
            replica.write(f"key {write % KEYS}", f"value {write}")
            if not self._apart:
                self._tell(replica)
            elif write % APART == 0:
                exchange(self._replicas)
        self._written = writes
        exchange(self._replicas)
        return self._replicas[0].update_since(None)

    def _tell(self, replica: Replica) -> None:
        for other in self._replicas:
            if other is not replica:
                other.apply(replica.told)


def exchange(replicas: Sequence[Replica]) -> None:
    """Bring every replica what it lacks, by way of the first."""
    first, *others = replicas
    for other in (*others, *others):
        first.apply(other.update_since(first.state_vector()))
        other.apply(first.update_since(other.state_vector()))
