"""The one tree of errors, and the one table that maps them to HTTP statuses and WebSocket close codes.

::

    ComityError
    |- StateError                   a typed edit or a schema that cannot be
    |  |- SchemaError               a State class that is not well formed
    |  |- InvalidValueError         a value that does not fit its field
    |  |- TransactionError          an edit in the wrong place, such as inside a listener
    |  |- RuleError                 a rule of the schema says no
    |  |- StaleVersionError         made against a version that is not known any more
    |  |- PreconditionError         something that a decision relied on has changed
    |  |  `- LeaseHeldError         somebody else holds the lease
    |  |- NotConnectedError         the call needs a server, and there is no connection to one
    |  |- TransitionRefusedError    a state machine does not take the event where it stands
    |  `- ActionFailedError         a transition was made, and an action that was to follow it failed
    |- ProtocolError                a frame that is malformed, truncated or unknown
    |- AccessError
    |  |- UnauthenticatedError      nobody we know
    |  `- ForbiddenError            somebody we know, who may not
    |- RoomError
    |  |- RoomNotFoundError         a room name that cannot be, or a room that is gone
    |  |- LineageError              the replica belongs to another history of the room
    |  |- ErasedError               the room was erased, and what the replica holds of it with it
    |  |- NameTakenError            a checkpoint or branch of a name that there is already
    |  `- TooLargeError             a message or value over its limit
    |- OverloadError                come back later
    |  |- DrainingError             the server is shutting down
    |  |- TooSlowError              a reader that takes nothing for too long
    |  `- TooFastError              more than the limits allow
    |- ConnectionFailedError        no connection could be made or kept
    |- StorageError                 the disk or the database
    |- StartError                   the server cannot start as it is told to
    `- EngineError                  the document engine stopped in the middle of an update

Every error carries what happened, to what, and what to do about it, as fields and as its message.
"""

from typing import Final, NamedTuple


class ComityError(Exception):
    """Any error that Comity raises on purpose.

    Args:
        what: what happened, one clause.
        subject: the thing it happened to: a room, a field, a file.
        remedy: what the reader can do about it.
        limit: the name of the limit that was exceeded, if it was one.
        retry_after: in how many seconds another attempt may do better, if that is known.
    """

    def __init__(
        self,
        what: str,
        *,
        subject: str = "",
        remedy: str = "",
        limit: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.what = what
        self.subject = subject
        self.remedy = remedy
        self.limit = limit
        self.retry_after = retry_after
        head = f"{subject}: {what}" if subject else what
        super().__init__(f"{head}; {remedy}" if remedy else head)

    @property
    def http_status(self) -> int:
        """The HTTP status that answers a request which met this error."""
        return answer_for(type(self)).http_status

    @property
    def close_code(self) -> int:
        """The WebSocket close code that ends a connection which met this error."""
        return answer_for(type(self)).close_code


class StateError(ComityError):
    """A typed edit or a schema that cannot be."""


class SchemaError(StateError):
    """A ``State`` class that is not well formed."""


class InvalidValueError(StateError):
    """A value that does not fit its field; nothing was written."""


class TransactionError(StateError):
    """An edit in the wrong place, such as inside a change listener."""


class RuleError(StateError):
    """A rule of the schema denies the edit; nothing was written."""


class StaleVersionError(StateError):
    """The call was made against a version that is not known any more, or never was."""


class PreconditionError(StateError):
    """Something that a decision relied on has changed, or its time has not come; nothing was written."""


class LeaseHeldError(PreconditionError):
    """Somebody else holds the lease; nothing was written.

    Args:
        what: what happened, one clause.
        subject: the lease.
        remedy: what the reader can do about it.
        holder: the agent that holds it.
        until: when it expires unless it is renewed, in ms since the Unix epoch by the server's clock.
        retry_after: in how many seconds that is.
    """

    def __init__(
        self,
        what: str,
        *,
        subject: str = "",
        remedy: str = "",
        holder: str = "",
        until: int = 0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(what, subject=subject, remedy=remedy, retry_after=retry_after)
        self.holder = holder
        self.until = until


class NotConnectedError(StateError):
    """The call needs a server, and there is no connection to one."""


class TransitionRefusedError(StateError):
    """A state machine does not take the event where it stands, or another agent was first; nothing was written.

    Args:
        what: what happened, one clause.
        subject: the machine or its event.
        remedy: what the reader can do about it.
        configuration: the states that are active instead.
        by: the agent that made the last transition.
    """

    def __init__(
        self, what: str, *, subject: str = "", remedy: str = "", configuration: tuple[str, ...] = (), by: str = ""
    ) -> None:
        super().__init__(what, subject=subject, remedy=remedy)
        self.configuration = configuration
        self.by = by


class ActionFailedError(StateError):
    """A transition of a state machine was made and stands, and an action that was to follow it failed.

    Args:
        what: what happened, one clause.
        subject: the action.
        remedy: what the reader can do about it.
        number: the transition's number.
    """

    def __init__(self, what: str, *, subject: str = "", remedy: str = "", number: int = 0) -> None:
        super().__init__(what, subject=subject, remedy=remedy)
        self.number = number


class ProtocolError(ComityError):
    """A frame that is malformed, truncated or unknown."""


class AccessError(ComityError):
    """The principal may not do this."""


class UnauthenticatedError(AccessError):
    """The server does not know who is asking."""


class ForbiddenError(AccessError):
    """The server knows who is asking, and the answer is no."""


class RoomError(ComityError):
    """A room that cannot serve this request."""


class RoomNotFoundError(RoomError):
    """There is no such room, or there cannot be one of that name."""


class LineageError(RoomError):
    """The replica belongs to another history of the room."""


class NameTakenError(RoomError):
    """There is one of that name already; nothing was changed."""


class ErasedError(RoomError):
    """The room was erased; what a replica still holds of it must be forgotten."""


class TooLargeError(RoomError):
    """A message, value or document over its limit."""


class OverloadError(ComityError):
    """The server cannot serve this now; come back with backoff."""


class DrainingError(OverloadError):
    """The server is shutting down."""


class TooSlowError(OverloadError):
    """A reader that took nothing for too long."""


class TooFastError(OverloadError):
    """A sender over its rate."""


class ConnectionFailedError(ComityError):
    """No connection to the server could be made or kept."""


class StorageError(ComityError):
    """The disk or the database failed, or what they hold cannot be trusted."""


class StartError(ComityError):
    """The server cannot start as it is told to."""


class EngineError(ComityError):
    """The document engine stopped in the middle of an update; its document must not be touched again."""


class Answer(NamedTuple):
    """How an error is answered: over HTTP and over WebSocket."""

    http_status: int
    close_code: int


# 44xx: do not come back as you are. 45xx: come back with backoff.
ANSWERS: Final[dict[type[ComityError], Answer]] = {
    ComityError: Answer(500, 4500),
    StateError: Answer(422, 4400),
    StaleVersionError: Answer(409, 4400),
    PreconditionError: Answer(412, 4412),
    TransitionRefusedError: Answer(409, 4400),
    ProtocolError: Answer(400, 4400),
    AccessError: Answer(403, 4403),
    UnauthenticatedError: Answer(401, 4401),
    ForbiddenError: Answer(403, 4403),
    RoomError: Answer(409, 4409),
    RoomNotFoundError: Answer(404, 4404),
    LineageError: Answer(409, 4409),
    ErasedError: Answer(410, 4410),
    TooLargeError: Answer(413, 4413),
    OverloadError: Answer(503, 4503),
    DrainingError: Answer(503, 4503),
    TooSlowError: Answer(503, 4508),
    TooFastError: Answer(429, 4529),
    ConnectionFailedError: Answer(502, 4503),
    StorageError: Answer(503, 4503),
}


def mistake(subject: str = "") -> ComityError:
    """Return the error that tells a client of a fault of the server's own, which only its log describes."""
    return ComityError("the server made a mistake", subject=subject, remedy="see its log")


def answer_for(error: type[ComityError]) -> Answer:
    """Return the HTTP status and close code of an error class, its nearest listed ancestor's if it has none."""
    for ancestor in error.__mro__:
        if ancestor in ANSWERS:
            return ANSWERS[ancestor]
    return ANSWERS[ComityError]


def is_permanent(close_code: int) -> bool:
    """Tell whether a close code means "do not come back as you are" (the 44xx band)."""
    return 4400 <= close_code < 4500


_BY_CLOSE_CODE: Final[dict[int, type[ComityError]]] = {
    1009: TooLargeError,  # the standard's own, of a transport that read no further
    4400: ProtocolError,
    4401: UnauthenticatedError,
    4403: ForbiddenError,
    4404: RoomNotFoundError,
    4409: LineageError,
    4410: ErasedError,
    4412: PreconditionError,
    4413: TooLargeError,
    4503: DrainingError,
    4508: TooSlowError,
    4529: TooFastError,
}


def error_for(close_code: int, reason: str, subject: str) -> ComityError:
    """Return the error that a close code and its reason stand for."""
    error = _BY_CLOSE_CODE.get(close_code, ConnectionFailedError)
    return error(reason or f"closed with code {close_code}", subject=subject)
