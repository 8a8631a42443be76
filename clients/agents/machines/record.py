"""Records: what a machine keeps in the document, as immutable values."""

from dataclasses import dataclass, field

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of a machine, as its journal holds it.

    Attributes:
        number: its place in the machine's life, from 1 on, without gaps.
        event: the event; `BEGINNING` when the machine began, `UPGRADE` when its definition was exchanged.
        source: the active states before, in the machine's order.
        target: the active states after.
        who: the agent that fired.
        why: the reason that it gave.
        at: when, by the server's clock, in milliseconds since the Unix epoch.
        data: what the event brought.
        context: the context fields that changed, with their new values.
        actions: the names of the actions that were to follow.
        is_timeout: whether the event came by itself.
    """

    number: int
    event: str
    source: list[str]
    target: list[str]
    who: str
    why: str
    at: int
    data: dict[str, JsonValue] = field(default_factory=dict)
    context: dict[str, JsonValue] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)
    is_timeout: bool = False


@dataclass(frozen=True, slots=True)
class Entered:
    """When a state that is active was entered.

    Attributes:
        number: the transition by which.
        at: when, in milliseconds since the Unix epoch.
    """

    number: int
    at: int


@dataclass(frozen=True, slots=True)
class Timeout:
    """An event that is to come by itself.

    Attributes:
        state: the state that it belongs to.
        event: the event.
        due: when, by the server's clock, in milliseconds since the Unix epoch.
    """

    state: str
    event: str
    due: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Actions that a transition asked for and that nobody has reported done.

    Attributes:
        who: the agent that runs them, or ran them when it stopped.
        actions: their names.
        error: what one of them raised; empty if none did, or nobody could tell.
    """

    who: str
    actions: list[str]
    error: str = ""


BEGINNING = "$begin"
UPGRADE = "$upgrade"
