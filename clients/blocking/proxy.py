"""Proxies: what belongs to the loop's thread, as other threads use it."""

from collections.abc import AsyncIterator, Callable, ItemsView, Iterator, KeysView, ValuesView
from dataclasses import is_dataclass
from enum import Enum
from functools import lru_cache, partial, wraps
from inspect import isawaitable, iscoroutine, isroutine
from typing import Any, Final, TypeVar, cast

from comity.crdt_types import State
from comity.crdt_types.errors import StateError
from comity.crdt_types.types.field import Field

from .callbacks import Callbacks, OnError
from .loopthread import LoopThread

T = TypeVar("T")

_CACHED: Final = 512  # classes of proxies; a program has some dozen classes of states
_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})
_OF_THE_LOOP: Final = ("comity.", "pycrdt.", "contextlib")  # where what may not leave its thread is defined

# What Python looks up in a class, and never in an object. In-place operators are those of an edit.
_OPERATORS: Final = (
    *("__len__", "__iter__", "__reversed__", "__contains__", "__getitem__", "__setitem__", "__delitem__"),
    *("__bool__", "__int__", "__float__", "__index__", "__str__", "__repr__", "__format__", "__bytes__"),
    *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"),
    *("__add__", "__sub__", "__mul__", "__mod__", "__and__", "__or__", "__xor__", "__neg__", "__pos__", "__abs__"),
    *("__radd__", "__rsub__", "__rmul__", "__rand__", "__ror__", "__rxor__"),
    *("__iadd__", "__isub__", "__imul__", "__iand__", "__ior__", "__ixor__"),
    *("__call__", "__enter__", "__exit__"),
)


class Proxies:
    """Hands out proxies, and makes their calls in the loop's thread.

    Args:
        thread: the loop's thread.
        callbacks: where callbacks run.
    """

    def __init__(self, thread: LoopThread, callbacks: Callbacks) -> None:
        self.thread = thread
        self.callbacks = callbacks

    # Both ways --------------------------------------------------------------------------------------------------

    def proxy(self, target: T) -> T:
        """Return a proxy of something that belongs to the loop's thread; to type checkers it is the thing itself."""
        proxy_class: Callable[..., Any] = _proxy_class(type(target))  # type: ignore[arg-type]  # mypy takes no class for hashable
        return cast("T", proxy_class(target, self))

    def wrapped(self, value: Any) -> Any:
        """Return what another thread gets of a value; to be called in the loop's thread.

        Plain values pass, iterators come as what they yield, and what belongs to the loop's thread as a proxy.
        """
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind in (list, set, frozenset):
            return value if _PLAIN.issuperset(map(type, value)) else kind(map(self.wrapped, value))
        if isinstance(value, tuple):
            parts = map(self.wrapped, value)
            return tuple(parts) if kind is tuple else kind._make(parts) if hasattr(kind, "_make") else value
        if kind is dict:
            return {key: self.wrapped(item) for key, item in value.items()}
        return self._wrapped_object(value)

    def _wrapped_object(self, value: Any) -> Any:
        if isinstance(value, (Field, State)):
            return self.proxy(value)
        if isinstance(value, (KeysView, ValuesView, ItemsView)):
            return self._snapshot(value)
        if isinstance(value, Iterator):
            return iter([self.wrapped(item) for item in value])
        if isawaitable(value) or isinstance(value, AsyncIterator):
            raise _asynchronous(value)
        if isroutine(value) or isinstance(value, partial):
            return self.caller(value)
        return self.proxy(value) if _belongs_to_the_loop(value) else value

    def _snapshot(self, view: KeysView[Any] | ValuesView[Any] | ItemsView[Any, Any]) -> Any:
        """Return a view of a mapping as it is now."""
        if isinstance(view, KeysView):
            return dict.fromkeys(view).keys()
        if isinstance(view, ValuesView):
            return {number: self.wrapped(value) for number, value in enumerate(view)}.values()
        return {key: self.wrapped(value) for key, value in view}.items()

    def unwrapped(self, value: Any) -> Any:
        """Return what the loop's thread gets of a value: of a proxy the thing itself, of an iterator what it yields."""
        kind = type(value)
        if issubclass(kind, Proxy):
            return _target(value)
        if kind in (list, tuple, set):
            return kind(_target(item) if issubclass(type(item), Proxy) else item for item in value)
        if kind is dict:
            return {key: _target(item) if issubclass(type(item), Proxy) else item for key, item in value.items()}
        return list(value) if isinstance(value, Iterator) else value

    # Calls ------------------------------------------------------------------------------------------------------

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a function in the loop's thread, and return what this thread gets of its result."""
        if not _PLAIN.issuperset(map(type, arguments)):
            arguments = tuple(map(self.unwrapped, arguments))
        if named:
            named = {name: self.unwrapped(value) for name, value in named.items()}
        return self.thread.call(self._answer, function, arguments, named)

    def _answer(self, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        result = function(*arguments, **named)
        return result if type(result) in _PLAIN else self.wrapped(result)

    def caller(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that calls one in the loop's thread."""

        def call(*arguments: Any, **named: Any) -> Any:
            return self.call(function, *arguments, **named)

        return call

    def listening(
        self,
        function: Callable[..., Callable[[], object]],
        callback: Callable[..., object],
        *,
        on_error: OnError | None = None,
        convert: Callable[..., tuple[Any, ...] | None] | None = None,
        **named: Any,
    ) -> Callable[[], None]:
        """Have a callback called, in the thread of the callbacks, by what calls listeners in the loop's thread.

        Args:
            function: called with a listener; returns how to stop it.
            callback: what to call in the other thread.
            on_error: called there if the callback fell too far behind.
            convert: returns what the callback is told of what the listener is, None for nothing; the same, for other
                threads, if there is no such function.
            named: what else the function is called with.
        """
        call, mailbox = self.callbacks.carried(callback, on_error)

        def listen(*arguments: Any) -> None:
            told = tuple(map(self.wrapped, arguments)) if convert is None else convert(*arguments)
            if told is not None:
                call(*told)

        stop = self.thread.call(lambda: function(listen, **named))

        def stopped() -> None:
            mailbox.end()
            self.thread.post(stop)

        return stopped


class Proxy:
    """Stands for something that belongs to the loop's thread: what is asked of it is done there.

    Its class is made for that of the thing, so that operators work, and `isinstance` says what the thing would.
    """

    __slots__ = ("__weakref__", "_proxies", "_target")

    def __init__(self, target: Any, proxies: Proxies) -> None:
        object.__setattr__(self, "_target", target)
        object.__setattr__(self, "_proxies", proxies)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # as mocks do it
        return type(_target(self))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(_target(self)).__name__!r} object has no attribute {name!r} in other threads")
        target, proxies = _target(self), _proxies(self)
        field = vars(target).get(name) if hasattr(target, "__dict__") else None
        if isinstance(field, (Field, State)):
            return proxies.proxy(field)  # which fields there are is settled; that needs no other thread
        method = getattr(type(target), name, None)
        if isroutine(method):
            return _method(proxies, target, name, method)
        return proxies.call(getattr, target, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _proxies(self).call(setattr, _target(self), name, value)

    def __eq__(self, other: object) -> bool:
        return issubclass(type(other), Proxy) and _target(self) is _target(other)

    def __hash__(self) -> int:
        return id(_target(self))

    def __dir__(self) -> list[str]:
        return [name for name in dir(_target(self)) if not name.startswith("_")]

    def __reduce_ex__(self, _protocol: object) -> Any:
        raise TypeError(f"a live {type(_target(self)).__name__} cannot be copied; copy its value")


def _target(proxy: object) -> Any:
    return object.__getattribute__(proxy, "_target")


def _proxies(proxy: object) -> Proxies:
    found: Proxies = object.__getattribute__(proxy, "_proxies")
    return found


@lru_cache(_CACHED)
def _proxy_class(kind: type[Any]) -> type[Proxy]:
    """Return the class of proxies for objects of a class, with those operators that it has."""
    members: dict[str, Any] = {"__slots__": (), "__doc__": kind.__doc__}
    for name in _OPERATORS:
        method = getattr(kind, name, None)
        if method is not None and method is not getattr(object, name, None):
            members[name] = _operator(name, method)
    members.setdefault("__repr__", _operator("__repr__", kind.__repr__))
    if getattr(kind, "__hash__", None) is None:
        members["__hash__"] = None
    return type(kind.__name__, (Proxy,), members)


def _operator(name: str, method: Any) -> Callable[..., Any]:
    def operate(self: Any, *arguments: Any) -> Any:
        target, proxies = _target(self), _proxies(self)
        result = proxies.call(_operated, method, target, *arguments)
        return self if result is _ITSELF else result

    operate.__name__ = name
    return operate


class _Itself(Enum):
    """What an operator in place returned, if it returned what it was applied to."""

    ITSELF = "itself"


_ITSELF: Final = _Itself.ITSELF


def _operated(method: Callable[..., Any], target: Any, *arguments: Any) -> Any:
    result = method(target, *arguments)
    return _ITSELF if result is target else result


def _method(proxies: Proxies, target: Any, name: str, method: Any) -> Callable[..., Any]:
    """Return a method of something in the loop's thread."""
    if name == "transaction":
        return lambda: proxies.thread.transaction(target.transaction)
    if name.startswith("on_"):
        call = partial(proxies.listening, getattr(target, name))
    else:
        call = partial(proxies.call, _called, target, name)

    @wraps(method)
    def forward(*arguments: Any, **named: Any) -> Any:
        return call(*arguments, **named)

    return forward


def _called(target: Any, name: str, /, *arguments: Any, **named: Any) -> Any:
    return getattr(target, name)(*arguments, **named)


def _belongs_to_the_loop(value: Any) -> bool:
    if isinstance(value, (BaseException, Enum, type)) or is_dataclass(value):
        return False
    return f"{type(value).__module__}.".startswith(_OF_THE_LOOP)


def _asynchronous(value: Any) -> StateError:
    if iscoroutine(value):
        value.close()
    return StateError(
        "this is for programs with an event loop",
        subject=getattr(value, "__qualname__", type(value).__name__),
        remedy="use the method of the same name of the tier, which waits",
    )
