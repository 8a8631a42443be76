"""Makes positions.json: the positions that a session makes between neighbours, call by call.

The file holds ``sessions``: ``name``, ``client`` (the Yjs client id) and ``calls``, each ``[left, right,
position]``: a position between two neighbours, of which either may be null at an end of the list. The calls of one
session follow each other; what it made before counts.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from comity.crdt_types.document.position import Positions

Call = list[str | None]

CLIENTS: Final = (0, 1, 35, 36, 2**32 - 1, 2**53 - 1)
STRANGE: Final = (
    *(
        "",
        "-",
        "m",
        "n",
        "zzz",
        "a",
        "~",
        " ",
        ".",
        "i0",
        "i0-",
        "i0.",
        "i0.-",
        "i0.17-",
        "i0.1711",
        "i0.1711--",
        "i0.171-",
    ),
    *("i0.1711-", "i00.1711-", "i05.1711-", "i050.1711-", "h0.1711-", "hz.1711-", "a0.1711-", "zz.1711-", "I0.1711-"),
    *(
        "i0.1711/i0.-",
        "i0.1711,h0.-",
        "i0.1711/i0.1811-",
        "i0.1711,hz.1811,hz.-",
        "i0.1711,i0.1811/i1.-",
        "i0.1711;i0.-",
    ),
    *("i0.-", "i0.0711-", "i0.1700-", "j10.1711-", "gzz.1711-", "izz.1711-", "i0i.1711-", "i0i.1a11-"),
)


class Session:
    """One session's positions, and what it was asked for."""

    def __init__(self, client: int) -> None:
        self.client = client
        self.calls: list[Call] = []
        self._positions = Positions(client)

    def between(self, left: str | None, right: str | None) -> str:
        """Make a position."""
        made = self._positions.between(left, right)
        self.calls.append([left, right, made])
        return made


def position_vectors() -> list[dict[str, Any]]:
    """Return the sessions of positions.json."""
    return [vector for make in (_ends, _middles, _alternating, _neighbours, _strangers) for vector in make()]


def _vector(name: str, session: Session) -> dict[str, Any]:
    return {"name": name, "client": session.client, "calls": session.calls}


def _ends() -> Iterator[dict[str, Any]]:
    for client in CLIENTS:
        for name, at in (("appended", _last), ("put in front", _first)):
            session = Session(client)
            _insert(session, [], at, 50)
            yield _vector(f"{name} by {client}", session)


def _first(_items: list[str]) -> int:
    return 0


def _last(items: list[str]) -> int:
    return len(items)


def _insert(session: Session, items: list[str], at: Callable[[list[str]], int], times: int) -> None:
    for _ in range(times):
        place = at(items)
        left = items[place - 1] if place else None
        right = items[place] if place < len(items) else None
        items.insert(place, session.between(left, right))


def _middles() -> Iterator[dict[str, Any]]:
    for seed, client in enumerate(CLIENTS):
        random, session = Random(seed), Session(client)
        _insert(session, [], lambda items: random.randint(0, len(items)), 60)  # noqa: B023  # called at once
        yield _vector(f"anywhere by {client}", session)


def _alternating() -> Iterator[dict[str, Any]]:
    """Sessions that insert into one list in turn."""
    random, items = Random(7), list[str]()
    sessions = [Session(client) for client in (5, 2**40, 2**53 - 1)]
    for _ in range(120):
        _insert(random.choice(sessions), items, lambda items: random.randint(0, len(items)), random.randint(1, 4))
        if random.random() < 0.2 and items:
            del items[random.randrange(len(items))]
    for session in sessions:
        yield _vector(f"in turn with others, {session.client}", session)


def _neighbours() -> Iterator[dict[str, Any]]:
    """Neighbours that leave no room between them, or are the wrong way round."""
    session = Session(9)
    one = session.between(None, None)
    other = session.between(one, None)
    for left, right in ((one, one), (other, one), (other, other), ("m", "m"), ("i0.1711-", "i0.1711-"), ("z", "a")):
        session.between(left, right)
    yield _vector("no room", session)


def _strangers() -> Iterator[dict[str, Any]]:
    """Neighbours that another program made."""
    session = Session(10)
    for strange in STRANGE:
        session.between(strange, None)
        session.between(None, strange)
        for other in STRANGE:
            if strange < other:
                session.between(strange, other)
    yield _vector("not formed like positions", session)
