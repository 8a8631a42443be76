"""Records: the messages, turns, tool calls and so on of a conversation, as values and as they are stored.

A record is stored as a map without its id, which is its key, and without what is as usual. All times are whole
milliseconds since the Unix epoch.
"""

from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import AfterValidator, ConfigDict, PlainSerializer

from comity.crdt_types import StateDocument
from comity.crdt_types.document.clock import stamp_ms

from .frozen import NOTHING, FrozenMap, freeze
from .status import OPEN_CALLS, Role, ToolStatus, TurnStatus

_PartsOf = Annotated[tuple[dict[str, Any], ...], AfterValidator(freeze)]
Content = str | _PartsOf | None
"""What a message says: text, a list of parts, or nothing."""

# What somebody made by hand is validated like what comes from elsewhere.
_CHECKED: Final = ConfigDict(revalidate_instances="always")
_STAMP_DIGITS: Final = 14  # of a hybrid clock's stamp in base 16, which has at most 53 bits


def new_id(document: StateDocument) -> str:
    """Return an id greater than all that this document has seen: a stamp of its clock, and its session's client id."""
    return f"{document.clock.tick():0{_STAMP_DIGITS}x}-{document.client_id:x}"


def time_of(id: str) -> int:
    """Return when an id was made, 0 if it does not say so."""
    try:
        return stamp_ms(int(id[:_STAMP_DIGITS], 16))
    except ValueError:
        return 0


@dataclass(frozen=True, slots=True)
class AudioClip:
    """What is known of the audio of a message; its bytes are read with `audio_of`.

    Attributes:
        mime: the media type, such as ``audio/pcm``.
        size: its bytes.
        chunks: in how many pieces it is stored.
        duration_ms: how long it lasts, if that is known.
        sample_rate: samples per second, if that is known.
        transcript: what is said in it, if it is not the message's content.
    """

    mime: str
    size: int
    chunks: int
    duration_ms: int | None = None
    sample_rate: int | None = None
    transcript: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """Audio to be kept with a message.

    Attributes:
        data: its bytes.
        mime: the media type.
        duration_ms: how long it lasts, if that is known.
        sample_rate: samples per second, if that is known.
        transcript: what is said in it, if it is not the message's content.
    """

    data: bytes
    mime: str = "audio/pcm"
    duration_ms: int | None = None
    sample_rate: int | None = None
    transcript: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        id: its id; later messages have greater ones, and the answer of a tool has that of the call.
        role: who it is from.
        content: text, or a list of parts as model interfaces take them; None if there is none, as where an assistant
            only calls tools.
        name: the name of the participant, if there are several of the role.
        turn: the id of the turn that it belongs to.
        call: of a tool's answer, the id of the `ToolCall` that it answers.
        tool_call_id: the same as the model's interface calls it; not always unique.
        created_at: when it was written.
        tokens: how many tokens it has, if that is known.
        interrupted: whether it was cut off: the content is what was said until then.
        audio: its audio, if it has any.
        metadata: whatever else belongs to it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CHECKED

    id: str = ""
    role: Role = Role.USER
    content: Content = None
    name: str | None = None
    turn: str | None = None
    call: str | None = None
    tool_call_id: str | None = None
    created_at: int = 0
    tokens: int | None = None
    interrupted: bool = False
    audio: AudioClip | None = None
    metadata: FrozenMap = NOTHING

    @property
    def text(self) -> str:
        """The content as text: that of its text parts, where it has several."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        texts = (part.get("text") for part in self.content)
        return "".join(text for text in texts if isinstance(text, str))


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: what is said and done from one message of the user to the end of the answer.

    Attributes:
        id: its id; later turns have greater ones.
        status: what became of it.
        agent: who began it.
        started_at: when.
        ended_at: when it ended; None while it is active.
        reason: why it was interrupted.
        metadata: whatever else belongs to it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CHECKED

    id: str = ""
    status: TurnStatus = TurnStatus.ACTIVE
    agent: str = ""
    started_at: int = 0
    ended_at: int | None = None
    reason: str = ""
    metadata: FrozenMap = NOTHING

    @property
    def is_active(self) -> bool:
        """Whether it is under way."""
        return self.status is TurnStatus.ACTIVE

    @property
    def duration_ms(self) -> int | None:
        """How long it took; None while it is active."""
        return None if self.ended_at is None else self.ended_at - self.started_at


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool, made by an assistant's message.

    Attributes:
        id: its id: that of the message that makes the call, a dot, and its number in that message.
        call_id: the id that the model's interface gave it; not always unique.
        name: the tool's name.
        arguments: what it is called with, as the model wrote it, mostly JSON.
        status: what became of it.
        turn: the id of the turn that it belongs to.
        agent: who makes it.
        started_at: when it was made.
        ended_at: when its result was there.
        result: its result, if there is one.
        error: why it failed or was cancelled.
        answer: the id of the message with the result, if there is one: that of the call itself.
        metadata: whatever else belongs to it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CHECKED

    id: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    status: ToolStatus = ToolStatus.PENDING
    turn: str | None = None
    agent: str = ""
    started_at: int = 0
    ended_at: int | None = None
    result: Annotated[Any, AfterValidator(freeze)] = None
    error: str = ""
    answer: str | None = None
    metadata: FrozenMap = NOTHING

    @property
    def message(self) -> str:
        """The id of the message that makes the call."""
        return self.id.partition(".")[0]

    @property
    def is_open(self) -> bool:
        """Whether its result is still to come."""
        return self.status in OPEN_CALLS


@dataclass(frozen=True, slots=True)
class Stream:
    """A message that is being written, token by token.

    Attributes:
        id: the id that the message will have.
        role: who it is from.
        text: what there is of it so far.
        turn: the id of the turn that it belongs to.
        name: the name of the participant.
        agent: who writes it.
        chunks: how many pieces have come.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CHECKED

    id: str = ""
    role: Role = Role.ASSISTANT
    text: str = ""
    turn: str | None = None
    name: str | None = None
    agent: str = ""
    chunks: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What messages said that are not kept any more.

    Attributes:
        id: its id; later summaries have greater ones.
        text: what they said.
        first: the id of the first of them.
        last: the id of the last of them.
        messages: how many they were.
        tokens: how many tokens the summary has, if that is known.
        created_at: when it was written.
        metadata: whatever else belongs to it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CHECKED

    id: str = ""
    text: str = ""
    first: str = ""
    last: str = ""
    messages: int = 0
    tokens: int | None = None
    created_at: int = 0
    metadata: FrozenMap = NOTHING


R = TypeVar("R", bound="Message | Turn | ToolCall | Stream | Summary")


def adopt(record: R, id: str) -> R:
    """Give a record that was just read its id and the time that it was made at."""
    object.__setattr__(record, "id", id)
    began = _BEGAN.get(type(record))
    if began is not None and not getattr(record, began):
        object.__setattr__(record, began, time_of(id))
    return record


_BEGAN: Final[dict[type, str]] = {
    Message: "created_at",
    Turn: "started_at",
    ToolCall: "started_at",
    Summary: "created_at",
}


def _usual(cls: type[Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((field.name, field.default) for field in fields(cls) if field.name != "id")


_USUAL: Final = {cls: _usual(cls) for cls in (AudioClip, Message, Turn, ToolCall, Stream, Summary)}


def compact(record: Any) -> dict[str, Any]:
    """Return a record as it is stored."""
    began = _BEGAN.get(type(record))
    stored: dict[str, Any] = {}
    for name, usual in _USUAL[type(record)]:
        value = getattr(record, name)
        if value != usual and not (name == began and value == time_of(record.id)):
            stored[name] = _stored(value)
    return stored


def _stored(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return compact(value) if is_dataclass(value) else value


_COMPACT: Final = PlainSerializer(compact)
StoredMessage = Annotated[Message, _COMPACT]
StoredTurn = Annotated[Turn, _COMPACT]
StoredToolCall = Annotated[ToolCall, _COMPACT]
StoredStream = Annotated[Stream, _COMPACT]
StoredSummary = Annotated[Summary, _COMPACT]
