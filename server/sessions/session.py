"""One connection's conversation with its room: what its frames mean, and whether they may."""

from functools import partial
from typing import Final

from comity import __version__
from comity.crdt_types.errors import ComityError, ForbiddenError, ProtocolError, StorageError, TooLargeError
from comity.crdt_types.update import EMPTY_UPDATE
from comity.crdt_types.wire import (
    AWARENESS,
    STEP1,
    Awareness,
    Call,
    Frame,
    Notice,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    Token,
    Update,
    Welcome,
    decode,
    document_update,
    encode,
    encode_sync,
)

from ..auth import Access, Action, Principal
from ..history.calls import Calls
from ..history.methods import Caller
from ..limits import Allowance
from ..rooms.bounds import REFUSALS
from ..rooms.entrance import VET_INLINE, Entrance, vetted
from ..rooms.hub import Hub
from ..rooms.member import Member
from ..rooms.room import Room
from ..rooms.vetting import vet, vet_state_vector
from ..transport.sockets import Packet

_AWARENESS: Final = bytes((AWARENESS,))


class Session:
    """A connection that is in a room.

    Args:
        hub: the hub of the room.
        room: the room.
        member: the connection's place in it.
        principal: who it is.
        access: what it may do, fixed when it connected.
        is_comity: whether it speaks ``comity.v1``.
        allowance: what it may still ask for; None is any amount.
    """

    def __init__(
        self,
        hub: Hub,
        room: Room,
        member: Member,
        principal: Principal,
        access: Access,
        *,
        is_comity: bool,
        allowance: Allowance | None = None,
    ) -> None:
        self._archive = hub.archive
        self._settings = hub.settings
        self._room = room
        self._contents = room.contents
        self._volume = room.contents.volume
        self._count_refusal = hub.count_refusal
        self._member = member
        self._principal = principal
        self._access = access
        self._allowance = Allowance() if allowance is None else allowance
        self._may_write = Action.WRITE in access
        self._is_comity = is_comity
        self._history = hub.history
        self._calls: Calls | None = None  # made for the first: most connections call nothing
        self._entrance = Entrance(room, hub.archive, hub.settings)

    def greet(self) -> None:
        """Send what a connection is sent first: the welcome, a request for its edits, and who else is here.

        The room must be sound.
        """
        if self._is_comity:
            self._put(self._welcome())
            self._warn()
        if self._may_write:  # what a reader has that the room has not would only be turned down
            self._member.outbox.put(Packet(encode_sync(STEP1, self._room.state_vector())))
        self._put_presence()

    def offer(self, data: bytes | str) -> bool:
        """Take a frame if that takes no waiting; tell whether it was taken.

        Raises: ComityError, when the conversation must end.
        """
        if isinstance(data, str) or len(data) > self._settings.max_message:
            raise objection(data, self._settings.max_message)
        update = document_update(data)
        if update is None:
            return self._offer_presence(data)
        if not self._may_write or len(update) > VET_INLINE or self._archive.full or not self._contents.is_stored:
            return False
        if self._contents.damage is not None:
            return False
        volume = self._volume
        if volume.bound + len(update) > volume.limit:
            return False
        try:
            sections = vet(update, self._entrance.bounds)
        except REFUSALS:
            return False
        self._room.receive(self._member, update, sections)
        return True

    async def take(self, data: bytes | str) -> None:
        """Take a frame, however long that takes; the frames of a conversation are taken one after the other.

        Raises: ComityError, when the conversation must end.
        """
        if not self.offer(data):
            assert isinstance(data, bytes)
            await self._take(decode(data))

    async def close(self) -> None:
        """Answer nothing any more; the outbox must be closed."""
        if self._calls is not None:
            await self._calls.close()

    def notify(self, notice: Notice) -> None:
        """Tell the client something, if it understands."""
        if self._is_comity:
            self._put(notice)

    def _offer_presence(self, data: bytes) -> bool:
        if data[:1] != _AWARENESS:
            return False
        frame = decode(data)
        if isinstance(frame, Awareness):
            self._room.announce(self._member, frame.entries)
        return True

    def _welcome(self) -> Welcome:
        settings = self._settings
        limits = {
            "message": settings.max_message,
            "value": settings.max_value,
            "name": settings.max_name,
            "depth": settings.max_depth,
            "presence": settings.presence_bytes,
            "presence_entries": settings.presence_entries,
        }
        access = tuple(sorted(self._access))
        room = self._room
        erased, redactions = room.contents.buried.lineages, room.contents.redactions
        return Welcome(room.lineage, self._principal.name, access, limits, __version__, erased, redactions)

    def _warn(self) -> None:
        """Say that the room can be read up to its damage only, and not written."""
        damage = self._contents.damage
        if damage is not None:
            self._put(Notice(damage.close_code, str(damage)))

    async def _take_update(self, update: bytes) -> None:
        """Take an update the long way: it may have to wait, or be turned down."""
        if not self._may_write and update != EMPTY_UPDATE:
            await self._reject(ForbiddenError("read only", subject=f"room {self._room.name!r}"))
            return
        try:
            sections = await self._entrance.vetted(update)
            await self._entrance.check_size(update, sections)
        except REFUSALS as error:
            await self._reject(error)
            return
        if update != EMPTY_UPDATE and not await self._may_apply(update):
            update, sections = EMPTY_UPDATE, ()
        self._room.receive(self._member, update, sections)

    async def _may_apply(self, update: bytes) -> bool:
        """Wait until an update can be applied, or tell that it brings nothing while no update can be.

        Raises: StorageError, if it brings something then.
        """
        try:
            await self._entrance.open()
        except StorageError:
            await self._room.sound()
            if self._room.lacks(update):
                raise
            return False
        return True

    async def _reject(self, error: ComityError) -> None:
        if not self._is_comity:
            raise error
        self._count_refusal(error)
        self._room.tally.rejects[error.close_code] += 1
        await self._member.outbox.space()
        await self._member.reject(error)

    async def _answer(self, state_vector: bytes) -> None:
        await vetted(vet_state_vector, state_vector)
        await self._member.outbox.space()
        packet = await self._prepared(state_vector)
        self._room.tally.syncs += 1
        self._room.tally.sync_bytes += len(packet.message)
        self._allowance.charge(len(packet.message))
        # It may hold edits that are still on their way to the disk, and goes out behind them. If they do not get there
        # it must not go out, and the next one holds less.
        while not self._room.is_committed:
            if await self._archive.committed(partial(self._member.outbox.put, packet)):
                return
            packet = await self._prepared(state_vector)
        self._member.outbox.put(packet)

    async def _prepared(self, state_vector: bytes) -> Packet:
        await self._room.sound()
        return self._room.sync(state_vector)

    async def _call(self, call: Call) -> None:
        if self._calls is None:
            caller = Caller(self._room.name, self._principal.name, self._access, self._member)
            self._calls = Calls(self._history, caller, self._member.outbox, self._allowance)
        await self._calls.take(call)

    async def _take(self, frame: Frame) -> None:
        match frame:
            case SyncStep1(state_vector):
                await self._answer(state_vector)
            case SyncStep2(update) | Update(update):
                await self._take_update(update)
            case QueryAwareness():
                await self._member.outbox.space()
                self._allowance.charge(self._put_presence())
            case Token() if self._is_comity:
                return  # nobody is authenticated by one yet, so a fresh one changes nothing
            case Call() if self._is_comity:
                await self._call(frame)
            case _:
                raise ProtocolError(f"{type(frame).__name__} is not for clients to send", subject="frame")

    def _put(self, frame: Frame) -> None:
        self._member.outbox.put(Packet(encode(frame)))

    def _put_presence(self) -> int:
        """Send everyone's presence, and return its size."""
        frame = self._room.roster.full_frame()
        if frame is None:
            return 0
        self._member.outbox.put(Packet(frame))
        return len(frame)


def objection(data: bytes | str, limit: int) -> ComityError:
    """Return why a message is not taken that is a text, or of more bytes than the limit."""
    if isinstance(data, str):
        return ProtocolError("a text message", subject="frame", remedy="send binary messages")
    return TooLargeError(f"a message of more than {limit} bytes", subject="frame", limit="max_message")
