"""What the frames of a provider mean to a session, and what they count."""

import asyncio
from typing import Final

from comity.crdt_types.errors import ProtocolError
from comity.crdt_types.hocuspocus import SHARED, Credentials, Stateless, decode
from comity.crdt_types.update import EMPTY_UPDATE
from comity.crdt_types.varint import read_bytes
from comity.crdt_types.wire import AWARENESS, STEP1, STEP2, SYNC, UPDATE, document_update, encode_sync

from ..rooms.entrance import VET_INLINE
from ..rooms.outbox import Outbox
from ..rooms.room import Room
from ..rooms.vetting import vet
from ..sessions.session import Session
from ..transport.sockets import Packet
from .dues import Dues

_STEP1: Final = bytes((STEP1,))
_UPDATE_STEPS: Final = (bytes((SYNC, STEP2)), bytes((SYNC, UPDATE)))
_NOTHING: Final = encode_sync(STEP2, EMPTY_UPDATE)


class Taker:
    """Takes the frames of one document.

    Args:
        session: the conversation with the room.
        room: the room.
        outbox: what the client is owed.
        dues: what the provider counts.
        may_write: whether its updates are taken.
    """

    def __init__(self, session: Session, room: Room, outbox: Outbox, dues: Dues, *, may_write: bool) -> None:
        self._session = session
        self._room = room
        self._outbox = outbox
        self._dues = dues
        self._may_write = may_write

    def offer(self, data: bytes | str) -> bool:
        """Take a frame if that takes no waiting; tell whether it was taken.

        Raises: ComityError, when the document must be left.
        """
        assert isinstance(data, bytes)
        if data[0] == AWARENESS:
            return self._session.offer(data)
        if not _is_update(data) or not self._session.offer(data):
            return False
        self._dues.count(data)
        return True

    async def take(self, data: bytes | str) -> None:
        """Take a frame, however long that takes.

        Raises: ComityError, when the document must be left.
        """
        assert isinstance(data, bytes)
        if data[0] == SYNC:
            await self._take_sync(data)
        elif data[0] in SHARED:
            await self._session.take(data)
        else:
            self._take_other(data)

    async def _take_sync(self, data: bytes) -> None:
        if data[1:2] == _STEP1:
            await self._take_request(data)
            return
        if not _is_update(data):
            raise ProtocolError("not a sync message", subject="frame")
        self._dues.count(data)
        if not self._may_write and data[1] == STEP2 and await self._has_all(data):
            data = _NOTHING
        await self._session.take(data)

    async def _take_request(self, data: bytes) -> None:
        """Answer a step 1, and ask in turn: the provider counts a change until its answer to that is saved."""
        self._dues.begin()
        await self._session.take(data)
        self._dues.know(read_bytes(data, 2)[0])
        await self._room.sound()
        self._outbox.put(Packet(encode_sync(STEP1, self._room.state_vector())))

    async def _has_all(self, data: bytes) -> bool:
        """Tell whether the room has everything that the step 2 of a reader holds, so that nothing is turned down."""
        update = document_update(data)
        if update is None:
            return False
        if len(update) > VET_INLINE:
            await asyncio.to_thread(vet, update)
        else:
            vet(update)
        await self._room.sound()
        return not self._room.lacks(update)

    def _take_other(self, data: bytes) -> None:
        match decode(data):
            case Credentials():
                return  # nobody is authenticated by a token yet, so a fresh one changes nothing
            case Stateless():
                return  # for an application's own code on the server, of which there is none
            case message:
                raise ProtocolError(f"{type(message).__name__} is not for clients to send", subject="frame")


def _is_update(data: bytes) -> bool:
    return data.startswith(_UPDATE_STEPS)
