"""Yjs documents below pycrdt's Python layer, on the way of every edit.

pycrdt wraps each type, event and transaction in Python objects and opens a transaction for every single operation:
6.5 us for one append and one delete in one transaction, against 1.1 us for the same calls on what it wraps. Those
calls are not public. They are used here and nowhere else, as they stand in pycrdt 0.14.13, which is why
pyproject.toml admits no other minor version.
"""

# pyright: reportPrivateUsage=false

import gc
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakMethod

from pycrdt import Doc, Map, Text
from pycrdt._pycrdt import Array as RawArray
from pycrdt._pycrdt import ArrayEvent as RawArrayEvent

from ..varint import read_uint

logger = logging.getLogger("comity")

Transaction = Any  # pycrdt._pycrdt.Transaction; it may not outlive the call that hands it out

__all__ = ["RawArray", "RawArrayEvent", "Transaction", "YDoc", "item_id"]


# Bytes of an update that makes so many objects that the garbage collector would go over all of them several times.
_BULK: Final = 256 * 1024

_AFTER: Final = 0  # the item that a position stands before
_OF_ITEM: Final = 0  # what the encoding of a position begins with that is an item's


class YDoc:
    """One Yjs document: its root map of lanes, its transactions and its events.

    Args:
        lanes: the name of the root map.
        client_id: the Yjs client id; a random one if None.
    """

    def __init__(self, lanes: str, client_id: int | None) -> None:
        self.doc: Doc[Any] = Doc(client_id=client_id)
        self.client_id = self.doc.client_id
        self.lanes: Any = self.doc.get(lanes, type=Map).integrated
        self._raw = self.doc._doc
        self._subscriptions: list[Any] = []

    def observe(self, on_lanes: Callable[[list[Any]], None], on_update: Callable[[Any], None]) -> None:
        """Call methods with every transaction: first with the events of the lanes, if there are any, then the update.

        Their object is not kept alive.
        """
        self._subscriptions += [
            self.lanes.observe_deep(_weakly(on_lanes)),
            self._raw.observe(_weakly(on_update)),
        ]

    def observe_text(self, text: Text, name: str, on_event: Callable[[str, Any], None]) -> None:
        """Call a method with every event of a root text, and its name; its object is not kept alive."""
        call = _weakly(on_event)
        self._subscriptions.append(text.integrated.observe(lambda event: call(name, event)))

    def close(self) -> None:
        """Tell of nothing any more."""
        for subscription in self._subscriptions:
            subscription.drop()
        self._subscriptions.clear()

    @property
    def busy(self) -> bool:
        """Whether a transaction or an observer is under way that pycrdt's own layer opened."""
        return self.doc._txn is not None

    def read(self, reader: Callable[[Transaction], object]) -> None:
        """Call something that reads, with a transaction."""
        with self.doc.transaction() as txn:
            reader(txn._txn)

    def begin(self) -> Transaction:
        """Open a transaction; to be ended with `end`, whatever happens."""
        return self._raw.create_transaction()

    def end(self, txn: Transaction) -> None:
        """End a transaction, which runs the observers."""
        try:
            txn.commit()
        finally:
            txn.drop()
            if self.doc._exceptions:
                self._log_exceptions()

    def _log_exceptions(self) -> None:
        # pycrdt keeps what observers raised and raises it from the next transaction, whoever's that is.
        for error in self.doc._exceptions:
            logger.error("an observer of a Yjs document failed", exc_info=error)
        self.doc._exceptions.clear()

    def apply(self, update: bytes) -> None:
        """Apply an update; raises ValueError if it is not one."""
        if len(update) < _BULK:
            self._apply(update)
        else:
            with _no_collection():
                self._apply(update)

    def _apply(self, update: bytes) -> None:
        txn = self.begin()
        try:
            self._raw.apply_update(txn, update)
        finally:
            self.end(txn)


def item_id(array: Any, at: int, txn: Transaction) -> tuple[int, int]:
    """Return the Yjs id of an array's item: its client and its clock."""
    encoded = array.sticky_index(txn, at, _AFTER).encode()
    kind, at = read_uint(encoded, 0)
    assert kind == _OF_ITEM
    client, at = read_uint(encoded, at)
    return client, read_uint(encoded, at)[0]


@contextmanager
def _no_collection() -> Generator[None]:
    """Leave the garbage collector out of a block that makes objects in bulk, all of which stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _weakly(method: Callable[..., object]) -> Callable[..., None]:
    """Return a function that calls a method while its object lives.

    An observer that held the document would never let it go: Yjs holds the observer, and Python sees no cycle there.
    """
    weak = WeakMethod(method)

    def call(*arguments: object) -> None:
        live = weak()
        if live is not None:
            live(*arguments)

    return call
