"""Telling: the events of a manager on their way to callbacks, each callback in a task of its own."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from comity.crdt_types.errors import StateError, TooSlowError

from .delivery import Delivery

B = TypeVar("B")
E = TypeVar("E")

OnError = Callable[[TooSlowError], object]


class Telling(Generic[B]):
    """The callbacks of a manager, and the tasks that they run in, from its entry to its end.

    Args:
        changed: called when there is another callback, or one less.
    """

    def __init__(self, changed: Callable[[], object] = lambda: None) -> None:
        self._changed = changed
        self._deliveries: list[Delivery] | None = None  # None outside of the manager's ``async with``
        self._kinds: dict[Delivery, type[Any] | None] = {}

    def __bool__(self) -> bool:
        """Whether anybody hears of events."""
        return bool(self._kinds)

    def start(self) -> None:
        """Take callbacks from now on."""
        self._deliveries = []

    async def close(self) -> None:
        """Tell what is still to be told, and then nothing more."""
        deliveries, self._deliveries = self._deliveries or [], None
        self._kinds.clear()
        for delivery in deliveries:
            await delivery.close()

    def emit(self, event: B) -> None:
        """Tell of an event."""
        for delivery, kind in list(self._kinds.items()):
            if kind is None or isinstance(event, kind):
                delivery.put(event)

    @overload
    def on_event(
        self, callback: Callable[[B], object], kind: None = None, *, on_error: OnError | None = None
    ) -> Callable[[], None]: ...

    @overload
    def on_event(
        self, callback: Callable[[E], object], kind: type[E], *, on_error: OnError | None = None
    ) -> Callable[[], None]: ...

    def on_event(
        self, callback: Callable[[Any], object], kind: type[Any] | None = None, *, on_error: OnError | None = None
    ) -> Callable[[], None]:
        """Call a callback, sync or async, with every event from now on, in a task of its own and in order.

        Args:
            callback: the callback.
            kind: the class of the events that it hears of; all of them if None.
            on_error: called if the callback falls so far behind that it is not called any more.

        Returns: a function that stops it.

        Raises: StateError, if the manager was not entered with ``async with``.
        """

        def stop() -> None:
            delivery.stop()
            self._kinds.pop(delivery, None)
            self._changed()

        def fell_behind(error: TooSlowError) -> None:
            stop()
            if on_error is not None:
                on_error(error)

        delivery = self.delivery(callback, fell_behind)
        self._kinds[delivery] = kind
        self._changed()
        return stop

    def delivery(self, callback: Callable[..., object], on_error: OnError | None) -> Delivery:
        """Return what calls a callback in a task that ends with the manager.

        Raises: StateError, if the manager was not entered with ``async with``.
        """
        if self._deliveries is None:
            raise StateError(
                "nobody owns the task that the callback would run in",
                subject=repr(callback),
                remedy="enter the manager with 'async with'",
            )
        self._deliveries = [each for each in self._deliveries if not each.is_done]
        delivery = Delivery(callback, on_error)
        self._deliveries.append(delivery)
        return delivery
