"""The configuration of a system: settings by name, that everybody reads and whose changes are noted."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from comity.crdt_types import Change

from ...tiers.tier import Tier
from .audit import Trail
from .document import SystemState
from .setting import Setting
from .telling import told

T = TypeVar("T")
D = TypeVar("D")


class Configuration:
    """Reads and writes settings.

    Args:
        tier: the tier that holds the system's state.
        trail: where changes are noted.
    """

    def __init__(self, tier: Tier[SystemState], trail: Trail) -> None:
        self._tier = tier
        self._values = tier.state.configuration
        self._trail = trail

    @overload
    def get(self, setting: Setting[T]) -> T: ...

    @overload
    def get(self, setting: str, default: D) -> Any | D: ...

    @overload
    def get(self, setting: str) -> Any: ...

    def get(self, setting: Setting[Any] | str, default: Any = None) -> Any:
        """Return the value of a setting.

        Args:
            setting: a `Setting`, of whose type the value is then, or a name.
            default: what to return if nothing is set under a name; a `Setting` has its own.
        """
        if isinstance(setting, Setting):
            return setting.read(self._values[setting.name]) if setting.name in self._values else setting.default
        return self._values.get(setting, default)

    def all(self) -> dict[str, Any]:
        """Return everything that is set, by name, as it is stored."""
        return self._values.value

    def set(self, setting: Setting[T] | str, value: T, *, why: str = "") -> None:
        """Set a setting, and note who did, in one transaction; nothing is written where it is the value already.

        Args:
            setting: a `Setting`, whose type the value must fit, or a name.
            value: the value.
            why: the reason, for the audit trail.

        Raises: InvalidValueError, if it does not fit; nothing is written then.
        """
        name = setting.name if isinstance(setting, Setting) else setting
        stored = setting.stored(value) if isinstance(setting, Setting) else value
        old = self._values.get(name)
        if name in self._values and _is_same(old, stored):
            return
        with self._tier.transaction():
            self._values[name] = stored
            self._trail.note(f"configuration.{name}", old, stored, why)

    def unset(self, setting: Setting[Any] | str, *, why: str = "") -> bool:
        """Take back what was set, so that the default holds, and note who did; returns whether anything was set."""
        name = setting.name if isinstance(setting, Setting) else setting
        if name not in self._values:
            return False
        with self._tier.transaction():
            old = self._values.pop(name)
            self._trail.note(f"configuration.{name}", old, None, why)
        return True

    def watch(self, setting: Setting[T], callback: Callable[[T, T], Awaitable[object] | object]) -> Callable[[], None]:
        """Call a function with the old and the new value whenever a setting changes; returns how to stop it.

        Args:
            setting: the setting.
            callback: the function; it may be asynchronous.
        """

        def values(change: Change) -> tuple[T, T] | None:
            if change.key != setting.name:
                return None
            absent = setting.default
            return (
                absent if change.action == "added" else setting.read(change.old),
                absent if change.action == "removed" else setting.read(change.new),
            )

        return self._tier.subscribe(told(values, callback), name="configuration.*")


def _is_same(old: object, new: object) -> bool:
    """Tell whether two stored values are the same, also inside: to ``==`` True is 1, and 1 is 1.0."""
    return old == new and repr(old) == repr(new)
