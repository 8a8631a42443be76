"""Who is asking, and what they may do."""

from enum import StrEnum
from typing import Final, Literal, NamedTuple

from comity.crdt_types.errors import ProtocolError

Anyone = Literal["write", "read", "nothing"]

# Names go into the log with every update and into every Welcome.
MAX_NAME: Final = 100
# Between the names of those whose edits one version holds, which cannot be told apart; no name has it.
JOINT: Final = "\n"


class Action(StrEnum):
    """What can be done in a room."""

    READ = "read"
    WRITE = "write"


Access = frozenset[Action]

_GRANTS: Final[dict[Anyone, Access]] = {
    "write": frozenset(Action),
    "read": frozenset({Action.READ}),
    "nothing": frozenset(),
}


class Principal(NamedTuple):
    """Somebody who asks; ``authenticated`` tells whether the name is proven or only claimed."""

    name: str
    authenticated: bool


class Policy(NamedTuple):
    """The rules that decide access; ``anyone`` is what somebody unauthenticated may do, in every room."""

    anyone: Anyone = "write"


ANONYMOUS: Final = Principal("anonymous", authenticated=False)


def access(principal: Principal, room: str, policy: Policy) -> Access:
    """Return what a principal may do in a room; every entry to the server asks this and nothing else."""
    del room  # no rule looks at it yet; every caller must already say which
    return frozenset(Action) if principal.authenticated else _GRANTS[policy.anyone]


def alias_of(principal: Principal) -> str:
    """Return the name by which a principal is known again, "" for somebody who gave none."""
    return "" if principal == ANONYMOUS else principal.name


def claimed(name: str) -> Principal:
    """Return the principal of somebody who says what they are called.

    Raises: ProtocolError, if that is no name.
    """
    if not name:
        return ANONYMOUS
    if len(name) > MAX_NAME or not name.isprintable():
        raise ProtocolError("not a name", subject="agent", remedy=f"use at most {MAX_NAME} printable characters")
    return Principal(name, authenticated=False)
