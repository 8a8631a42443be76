"""Decisions: what clients ask a room to apply only if what they relied on still holds."""

from functools import partial
from typing import Final

from comity.crdt_types.errors import OverloadError, ProtocolError, TooLargeError
from comity.crdt_types.precondition import Precondition
from comity.crdt_types.structs import builds_on

from ..rooms.archive import Archive
from ..rooms.deciding import Decision, Made
from ..rooms.entrance import Entrance, vetted
from ..rooms.member import Member
from ..rooms.room import Room
from ..rooms.vetting import Section, vet_state_vector
from ..settings import Settings


class Decisions:
    """Takes decisions for rooms.

    Args:
        archive: where rooms are kept.
        settings: what is taken.
    """

    def __init__(self, archive: Archive, settings: Settings) -> None:
        self._archive: Final = archive
        self._settings: Final = settings

    async def take(self, room: Room, member: Member, update: bytes, precondition: Precondition, attempt: int) -> Made:
        """Apply an update if its precondition holds; returns once it is on disk.

        It has its turn after all that came over the connection before.

        Args:
            room: the room.
            member: whose decision it is: somebody who is in the room.
            update: what to apply; it must not build on what is not in the room.
            precondition: what must hold.
            attempt: how often that was tried, with this one.

        Raises:
            PreconditionError: if it does not hold; nothing is applied.
            ProtocolError, InvalidValueError, TooLargeError: if the update would not be taken otherwise either.
            StorageError: if nothing can be stored.
            ComityError: of another class, if the room ended meanwhile; the update may be stored then.
        """
        if len(update) > self._settings.max_message:
            raise TooLargeError("a decision over the limit of a message", subject=room.name, limit="max_message")
        await vetted(vet_state_vector, precondition.state_vector)
        entrance = Entrance(room, self._archive, self._settings)
        sections = await entrance.vetted(update)
        if any(section.begin != section.needs for section in sections):
            raise ProtocolError("a decision that has gaps", subject="update")
        needs = await vetted(partial(needs_of, sections=sections), update)
        await entrance.check_size(update, sections)
        await entrance.open()
        if member not in room.members:
            raise OverloadError("the room has ended", subject=f"room {room.name!r}", remedy="come back")
        decision = Decision(precondition, attempt, needs)
        room.decide(member, update, sections, decision)
        return await decision.made()


def needs_of(update: bytes, sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """Return what a document must have for an update to find its place, all of it at once."""
    brought = {section.client: section.end for section in sections}
    ends: dict[int, int] = {}
    for client, clock in builds_on(update):
        if clock >= brought.get(client, 0):
            ends[client] = max(ends.get(client, 0), clock + 1)
    return tuple(Section(client, end, end, end) for client, end in ends.items())
