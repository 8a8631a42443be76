"""Rules: what a business allows, denies and warns of, change by change."""

import logging
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, Literal, NamedTuple

from ..document.changes import Change
from ..document.listeners import Callbacks
from ..errors import RuleError, StateError

logger = logging.getLogger("comity")

Verdict = Literal["allow", "deny", "warn"]
Condition = Callable[[Change, Any], object]

# Whose frames are not where a change was made: ours, and those of the standard library that call back into us.
_INNER: Final = ("comity", "contextlib", "collections", "_collections_abc")


@dataclass(frozen=True)
class Rule:
    """One rule of a State class, as `allow`, `deny` and `warn` make it.

    Attributes:
        verdict: what becomes of a change that it is about.
        message: what to tell whoever made the change.
        when: tells whether it is about a change of a state.
        name: by which it is switched on and off.
    """

    verdict: Verdict
    message: str
    when: Condition
    name: str


def _rule(verdict: Verdict, message: str, when: Condition, name: str | None) -> Rule:
    return Rule(verdict, message, when, message if name is None else name)


def allow(message: str, *, when: Condition, name: str | None = None) -> Rule:
    """Return a rule that exempts the changes it is about from every `deny`.

    Args:
        message: why.
        when: gets each change of a local transaction, its field's path counted from the state, and the state with the
            new values; returns whether the rule is about it.
        name: by which the rule is switched on and off; the message if None.
    """
    return _rule("allow", message, when, name)


def deny(message: str, *, when: Condition, name: str | None = None) -> Rule:
    """Return a rule that refuses a transaction with a change that it is about; arguments as of `allow`."""
    return _rule("deny", message, when, name)


def warn(message: str, *, when: Condition, name: str | None = None) -> Rule:
    """Return a rule that lets a change pass and tells of it: to listeners, and once per line of code in the log.

    Arguments are those of `allow`.
    """
    return _rule("warn", message, when, name)


class RuleWarning(NamedTuple):
    """What a `warn` rule has to say.

    Attributes:
        rule: the rule's name.
        message: its message.
        change: the change that it is about.
    """

    rule: str
    message: str
    change: Change


class Switch:
    """A rule of one opened state.

    Attributes:
        enabled: whether it is asked.
    """

    __slots__ = ("enabled", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.enabled = True

    def __repr__(self) -> str:
        return f"<Switch {self.name!r} {'on' if self.enabled else 'off'}>"


class Rules(Mapping[str, Switch]):
    """The rules of one opened state and of the states and rows in it, by name, to be switched on and off."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._switches = {name: Switch(name) for name in names}
        self._listeners = Callbacks()
        self._logged: set[tuple[str, str, int]] = set()

    def __getitem__(self, name: str) -> Switch:
        if name not in self._switches:
            raise StateError(f"no rule {name!r}", subject="rules", remedy=f"there are {', '.join(self._switches)}")
        return self._switches[name]

    def __contains__(self, name: object) -> bool:
        return name in self._switches

    def __iter__(self) -> Iterator[str]:
        return iter(self._switches)

    def __len__(self) -> int:
        return len(self._switches)

    @contextmanager
    def disabled(self, *names: str) -> Generator[None]:
        """Switch rules off inside the block, and back to what they were after it; all of them if none is named.

        Raises: StateError, if there is no rule of a name.
        """
        before = [(self[name], self[name].enabled) for name in names or self]
        for switch, _enabled in before:
            switch.enabled = False
        try:
            yield
        finally:
            for switch, enabled in before:
                switch.enabled = enabled

    def on_warning(self, listener: Callable[[RuleWarning], object]) -> Callable[[], None]:
        """Call a listener with every warning from now on; returns how to stop it."""
        return self._listeners.add(listener)

    def judge(self, found: Iterable[tuple[Rule, Change, Any]], subject: str) -> list[RuleWarning]:
        """Ask the rules that concern one change, and return what they warn of.

        Args:
            found: the rules, each with the change as it sees it, and its state.
            subject: what the change is about, for the error.

        Raises: RuleError, if one denies the change and none allows it.
        """
        matching = [(rule, change) for rule, change, state in found if self._is_about(rule, change, state)]
        verdicts = {rule.verdict for rule, _change in matching}
        if "deny" in verdicts and "allow" not in verdicts:
            denying = next(rule for rule, _change in matching if rule.verdict == "deny")
            raise RuleError(denying.message, subject=subject, remedy="nothing was written")
        return [RuleWarning(rule.name, rule.message, change) for rule, change in matching if rule.verdict == "warn"]

    def _is_about(self, rule: Rule, change: Change, state: Any) -> bool:
        return self._switches[rule.name].enabled and bool(rule.when(change, state))

    def tell(self, warnings: list[RuleWarning]) -> None:
        """Tell the listeners, and the log of what it has not heard from this line of code."""
        where = _call_site()
        for warning in warnings:
            self._listeners.call(warning)
            if (site := (warning.rule, *where)) not in self._logged:
                self._logged.add(site)
                logger.warning("%s: %s (%s:%d)", warning.change.field, warning.message, *where)


def _call_site() -> tuple[str, int]:
    """Return the file and line that made the change: the nearest that is not our own."""
    frame: FrameType = sys._getframe()  # pyright: ignore[reportPrivateUsage]
    while _is_inner(frame) and (outer := frame.f_back) is not None:
        frame = outer
    return frame.f_code.co_filename, frame.f_lineno


def _is_inner(frame: FrameType) -> bool:
    module: str = frame.f_globals.get("__name__", "")
    return module.partition(".")[0] in _INNER
