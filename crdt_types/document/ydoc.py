"""Yjs documents below pycrdt's Python layer, on the way of every edit.

pycrdt wraps each type, event and transaction in Python objects and opens a transaction for every single operation:
6.5 us for one append and one delete in one transaction, against 1.1 us for the same calls on what it wraps. Those
calls are not public. They are used here and nowhere else, as they stand in pycrdt 0.14.13, which is why
pyproject.toml admits no other minor version.
"""

# pyright: reportPrivateUsage=false

import logging
from collections.abc import Callable
from typing import Any

from pycrdt import Doc, Map, Text
from pycrdt._pycrdt import Array as RawArray
from pycrdt._pycrdt import ArrayEvent as RawArrayEvent

logger = logging.getLogger("comity")

Transaction = Any  # pycrdt._pycrdt.Transaction; it may not outlive the call that hands it out

__all__ = ["RawArray", "RawArrayEvent", "Transaction", "YDoc"]


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
        """Tell of every transaction: first the events of the lanes, if there are any, then the update."""
        self._subscriptions += [self.lanes.observe_deep(on_lanes), self._raw.observe(on_update)]

    def observe_text(self, text: Text, on_event: Callable[[Any], None]) -> None:
        """Tell of every event of a root text."""
        self._subscriptions.append(text.integrated.observe(on_event))

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
        txn = self.begin()
        try:
            self._raw.apply_update(txn, update)
        finally:
            self.end(txn)
