"""Versions: which version of a schema wrote a document, whether this one may go on, and what it must migrate first."""

import logging
from collections.abc import Callable, Container, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from ..document.cells import Cells
from ..document.changes import Change
from ..document.entry import CELL, COUNTER, HEADER, OPAQUE, Entry
from ..document.lanes import Lane
from ..document.listeners import Commit, Footprint
from ..document.statedocument import StateDocument
from ..document.steps import CellStep
from ..errors import SchemaError
from .migrating import SCHEMA, Lineage, comes_late, made, reconciled
from .migration import Migration

logger = logging.getLogger("comity")


class Schema(NamedTuple):
    """The name and version that a State class declares, and how its data came to be.

    Attributes:
        name: by which the versions of one schema know each other.
        version: counts from 1.
        is_marked: whether documents shall say that this version wrote them.
        migrations: from older versions, in their order.
        floor: the oldest version that can read this one, as far as the migrations do not say it.
    """

    name: str
    version: int
    is_marked: bool
    migrations: tuple[Migration, ...]
    floor: int = 1

    def oldest_reader(self, version: int) -> int:
        """Return the oldest version that can read what a version writes."""
        leading = [step for step in self.migrations if step.to <= version]
        if not leading:
            return self.floor
        return self.oldest_reader(leading[-1].since) if leading[-1].backward else leading[-1].to


def declared_schema(cls_name: str, name: str | None, version: int, migrations: tuple[Migration, ...]) -> Schema:
    """Return the schema that a class declares.

    Raises: SchemaError, if the version is no whole number from 1 up, the name is empty, or the migrations do not form
        a chain that ends at the version or before.
    """
    if type(version) is not int or version < 1:
        raise SchemaError(f"{version!r} is no version", subject=cls_name, remedy="count from 1 up")
    if name == "":
        raise SchemaError("a schema without a name", subject=cls_name, remedy="give a text, or none")
    steps = tuple(sorted(migrations, key=lambda step: step.since))
    if any(step.to > version for step in steps) or any(one.to > other.since for one, other in pairwise(steps)):
        raise SchemaError(
            f"migrations that do not lead to version {version} one after the other",
            subject=cls_name,
            remedy="declare one from each version that needs one",
        )
    return Schema(name or cls_name, version, name is not None or version > 1, steps)


class _Bell:
    """Reads the map of schemas for nobody, but has it told whenever somebody else writes there."""

    def fits(self, entry: Entry) -> bool:
        """Have every entry told of."""
        return False

    def pick(self, entries: tuple[Entry, ...]) -> Any:
        """Return the first value."""
        return entries[0].value

    def disputed(self, key: Any) -> None:
        """Leave it at that: which of several versions' marks is read does not matter."""


class Versions:
    """Keeps an opened state in step with the versions of its schema that wrote its document.

    Args:
        document: the document.
        schema: that of the state's class.
        fields: the paths of the state's fields.

    Raises: SchemaError, if a newer version wrote the document that this one cannot read, or a migration fails.
    """

    def __init__(self, document: StateDocument, schema: Schema, fields: Container[str]) -> None:
        self._document = document
        self._schema = schema
        self._lineage = Lineage(schema.name)
        self._marker = self._lineage.marker(schema.version)
        self._fields = fields
        self._marks: Cells = document.index.cells(CELL, SCHEMA)
        self._error: SchemaError | None = None
        self._unguard: Callable[[], None] | None = None
        self._due = True  # there may be something to migrate
        self._sessions = document.index.cells(COUNTER, self._lineage.sessions(schema.version))
        if document.index.live:
            self._check()
        if self._marks.reader is None:
            self._marks.reader = _Bell()
        document.listeners.on_unfit(self._told)
        if schema.migrations:
            document.add_recorder(self._note)
        if schema.is_marked:
            document.on_commit(self._committed)
            self._arm()

    # Others' versions -------------------------------------------------------------------------------------------

    def _told(self, found: Any, entry: Entry) -> None:
        if found is self._marks:
            self._due = True
            self._look_again()

    def _note(self, footprint: Footprint) -> None:
        # Also when somebody leaves a mark: it may be a lane of a migration that was made one with others already.
        if not footprint.local and not self._due:
            marks = self._sessions.field
            self._due = any(e.field == marks or e.client not in self._sessions for e in _come(footprint))

    def _committed(self, commit: Commit) -> None:
        if self._due and self._schema.migrations:
            self._look_again()
        self._arm()

    def _look_again(self) -> None:
        before = self._error
        try:
            self._check()
        except SchemaError as error:
            self._error = error
            if before is None:
                logger.error("%s", error)
        else:
            self._error = None
        self._arm()

    def _check(self) -> None:
        self._check_newer()
        if self._due and not self._document.in_transaction and not self._document.lacks_updates:
            self._due = False
            for step in self._schema.migrations:
                self._migrate(step)

    def _check_newer(self) -> None:
        for version, oldest in self._written():
            if version > self._schema.version and oldest > self._schema.version:
                raise SchemaError(
                    f"version {version} of the schema wrote here, and this is version {self._schema.version}",
                    subject=f"schema {self._schema.name!r}",
                    remedy=f"version {oldest} or later is needed to edit it",
                )

    def _written(self) -> Iterator[tuple[int, int]]:
        """Yield the versions that wrote here, each with the oldest that can read it."""
        for key, entries in self._marks.items():
            name, _, version = key.rpartition("@")
            if name == self._schema.name and version.isdecimal():
                for value in (entry.value for entry in entries):
                    yield int(version), value if type(value) is int else int(version)

    # Migrating --------------------------------------------------------------------------------------------------

    def _migrate(self, step: Migration) -> None:
        if self._lineage.record(step) in self._marks:
            self._catch_up(step)
            self._adopt(reconciled(self._document, self._lineage, step))
        elif self._holds_older(step):
            self._adopt(made(self._document, self._lineage, step, self._schema.oldest_reader(step.to)))

    def _catch_up(self, step: Migration) -> None:
        """Migrate what the older version wrote while it knew nothing of the migration."""
        if not comes_late(self._document, self._lineage, step):
            return
        try:
            self._adopt(made(self._document, self._lineage, step, self._schema.oldest_reader(step.to)))
        except SchemaError as error:
            logger.error("what an older version wrote late stays as it is: %s", error)

    def _adopt(self, update: bytes | None) -> None:
        if update is not None:
            # As an editor's own: what is applied as another's would not be sent.
            self._document.ydoc.apply_update(update)

    def _holds_older(self, step: Migration) -> bool:
        newer = self._lineage.newer(self._document, step.since)
        lanes = self._document.lanes.mirrors.values()
        return any(lane.client not in newer and _holds_state(lane) for lane in lanes)

    # Marking ----------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Ask to be asked, as long as there is something to write or to refuse."""
        due = self._error is not None or (self._schema.is_marked and not self._is_marked)
        if due and self._unguard is None:
            self._unguard = self._document.add_guard(self._ask)
        elif not due and self._unguard is not None:
            self._unguard()
            self._unguard = None

    @property
    def _is_marked(self) -> bool:
        if self._marker not in self._marks:
            return False
        return self._schema.version == 1 or self._document.client_id in self._sessions

    def _ask(self, changes: list[Change]) -> None:
        if not any(change.field.partition("/")[0] in self._fields for change in changes):
            return
        if self._error is not None:
            raise self._error
        self._mark()

    def _mark(self) -> None:
        version = self._schema.version
        if self._marker not in self._marks:
            self._document.set_cell(SCHEMA, self._marker, self._schema.oldest_reader(version))
        if version > 1 and self._document.client_id not in self._sessions:
            self._document.count(self._sessions.field, 1)


def _come(footprint: Footprint) -> Iterator[Entry]:
    """Yield the entries of the cells and items that a transaction touched, as far as they are live."""
    for step in footprint.steps:
        if isinstance(step, CellStep):
            yield from step.cells.get(step.key, ())
        elif step.gained:
            yield step.entry


def _holds_state(lane: Lane) -> bool:
    return any(
        entry.kind not in (HEADER, OPAQUE) and not entry.field.startswith("$")
        for segment in lane.segments
        for entry in segment.entries
    )
