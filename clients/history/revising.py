"""Revising: the edits that bring something of a room's past back, or of a branch, and what they come to."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import pycrdt

from comity.crdt_types import Commit, Conflict, StateDocument
from comity.crdt_types.history.differences import Differences
from comity.crdt_types.history.playback import Playback
from comity.crdt_types.history.record import VersionRecord, merged
from comity.crdt_types.history.rollback import Reverted, Rollback
from comity.crdt_types.update import EMPTY_UPDATE, sole_client


class Reverting:
    """A rollback under way: a document that is brought to the present, and the edits that then take something back.

    Args:
        start: the document before the first version that is to be taken back, as a Yjs update.
        agent: the name that the edits bear.
        fields: the names of the fields meant; all of them if None.
        whole: whether all that came since is taken back.
    """

    def __init__(self, start: bytes, agent: str, *, fields: Iterable[str] | None = None, whole: bool = False) -> None:
        self._document = StateDocument(agent=agent, update=start)
        self._rollback = Rollback(self._document, fields=fields, whole=whole)

    def take_all(self, newest: bytes) -> None:
        """Take back all that lies between the start and the newest state, given as a Yjs update."""
        self._rollback.take(pycrdt.get_update(newest, self._document.state_vector()))

    def go_on(self, page: Sequence[VersionRecord], chosen: Callable[[VersionRecord], bool]) -> None:
        """Go through the next versions, and take back those that are chosen."""
        for is_chosen, run in groupby(page, chosen):
            step = self._rollback.take if is_chosen else self._rollback.follow
            step(merged([record.update for record in run]))

    def revert(self) -> tuple[bytes, bytes, Reverted]:
        """Make the edits, and return the document before them, the edits, and what they came to.

        Both are Yjs updates; the edits are EMPTY_UPDATE if there are none.
        """
        before = self._document.update_since()
        commits = _Commits()
        self._document.on_commit(commits)
        reverted = self._rollback.revert()
        return before, commits.update, reverted


class Merging(NamedTuple):
    """What a branch brings to its room, as an update, EMPTY_UPDATE if that is nothing, and what that comes to."""

    update: bytes
    differences: Differences
    conflicts: tuple[Conflict, ...]


def merging(parent: bytes, branch: bytes) -> Merging:
    """Return what a branch brings to its room, both given as a whole document."""
    playback = Playback(parent)
    document = playback.document
    commits = _Commits()
    document.on_commit(commits)
    known = set(map(_dispute, document.conflicts()))
    missing = pycrdt.get_update(branch, document.state_vector())
    playback.announce(missing)
    playback.play(missing)
    fresh = [conflict for conflict in document.conflicts() if _dispute(conflict) not in known]
    return Merging(commits.update, playback.differences(), tuple(fresh))


def _dispute(conflict: Conflict) -> tuple[Any, ...]:
    """Return what makes a conflict another one; of a deletion that there is one, not when it was seen here."""
    rivals = frozenset((-1, 0) if rival.deleted else (rival.client, rival.stamp) for rival in conflict.rivals)
    return conflict.field, conflict.key, rivals


class _Commits:
    """Listens to a document, and has its last update."""

    def __init__(self) -> None:
        self.update = EMPTY_UPDATE

    def __call__(self, commit: Commit) -> None:
        self.update = commit.update


class Authors:
    """Knows who made a version: the agent that its lane names, or else the one that the server took it from.

    Args:
        newest: the document as it is, as a Yjs update.
    """

    def __init__(self, newest: bytes) -> None:
        self._index = StateDocument(update=newest).index

    def of(self, record: VersionRecord) -> str:
        """Return the author of a version."""
        return self._index.author(sole_client(record.update)) or record.author
