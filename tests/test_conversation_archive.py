"""Conversations in files: all of it comes back, damage is found, and nothing is changed by what fails."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity import After, Before, Register, StateDocument, errors, migration
from comity.clients.agents.conversation import archive
from comity.clients.agents.conversation.document import Conversation
from comity.clients.agents.conversation.frozen import frozen_map
from comity.clients.agents.conversation.manager import ConversationManager
from comity.clients.agents.conversation.records import (
    AudioClip,
    Message,
    Recording,
    Stream,
    Summary,
    ToolCall,
    Turn,
    new_id,
)
from comity.clients.agents.conversation.status import ConversationStatus, Role, ToolStatus, TurnStatus


def files(directory: Path) -> list[str]:
    return [file.name for file in directory.iterdir()]


def spoken() -> Conversation:
    """Return a conversation that uses every field."""
    state = Conversation(StateDocument(agent="ana"))
    first, second = new_id(state.document), new_id(state.document)
    call = ToolCall(
        call_id="call_1", name="look_up", arguments='{"a": 1 }', status=ToolStatus.COMPLETED, result={"raw": b"\0\xff"}
    )
    state.assign(
        {
            "status": ConversationStatus.RESPONDING,
            "connection": {"connected": True, "latency_ms": 12.5},
            "audio": {"voice": "alto", "volume": 0.5},
            "messages": {
                first: Message(content="Grüezi ✈️", turn="t1", metadata=frozen_map({"at": [1, None, {"b": b"\x80"}]})),
                second: Message(role=Role.ASSISTANT, turn="t1", audio=AudioClip("audio/pcm", 6, 2, sample_rate=16000)),
                f"{second}.0": Message(role=Role.TOOL, content="", call=f"{second}.0", tool_call_id="call_1"),
            },
            "turns": {"t1": Turn(status=TurnStatus.INTERRUPTED, started_at=5, ended_at=9, reason="hung up")},
            "tool_calls": {f"{second}.0": call},
            "streams": {"s": Stream(agent="ana")},
            "chunks": {"s/00000000": "Hel", "s/00000001": "lo"},
            "audio_clips": {f"{second}/00000000": b"\0\1\2", f"{second}/00000001": b"\xff\n\x1a"},
            "pinned": [first],
            "summaries": {"0": Summary(text="before", first="a", last="b", messages=7)},
            "metadata": {"user": {"id": 7, "tags": ["gold"]}, "2^63": 2**63},
            "counts": {"messages": 10, "turn_ms": 4000},
        }
    )
    return state


async def test_all_that_a_conversation_holds_comes_back_audio_included(tmp_path: Path) -> None:
    state, path = spoken(), tmp_path / "call.conversation"
    about = await archive.save(state, path)
    assert about.agent == "ana"
    loaded = Conversation()
    assert await archive.load(loaded, path) == about
    assert loaded.to_dict() == state.to_dict()
    assert loaded.audio_clips.value == state.audio_clips.value
    assert files(tmp_path) == ["call.conversation"]


async def test_a_snapshot_comes_back_as_it_was_taken(tmp_path: Path) -> None:
    talk = ConversationManager(Conversation(StateDocument(agent="ana")))
    talk.start_turn("Hello", audio=Recording(bytes(range(256)) * 3000, "audio/pcm", transcript="Hello"))
    talk.pin(talk.state.messages[0].id)
    talk.complete_tool_call(talk.start_tool_call("look_up", {"a": 1}).id, {"found": [1, 2]})
    stream = talk.stream()
    for token in ("It ", "is ", "the"):
        stream.write(token)
    talk.update(metadata={"user": {"name": "Mia"}})
    snapshot = talk.create_snapshot()
    stream.complete()
    talk.complete_turn()
    await talk.save_to_file(tmp_path / "then", snapshot=snapshot)
    await talk.save_to_file(tmp_path / "now")
    for name, wanted in (("then", snapshot), ("now", talk.create_snapshot())):
        loaded = ConversationManager(Conversation())
        await loaded.load_from_file(tmp_path / name)
        assert loaded.create_snapshot() == wanted


async def test_what_is_read_keeps_the_authors_of_edits(tmp_path: Path) -> None:
    state = spoken()
    other = Conversation(StateDocument(agent="bob", update=state.document.update_since()))
    other.error.set("bob's")
    state.error.set("ana's")
    state.document.apply(other.document.update_since())
    await archive.save(state, tmp_path / "file")
    _, read = await archive.read(tmp_path / "file", Conversation)
    assert read.conflicts() == state.conflicts() != []


async def test_a_conversation_that_is_there_gives_way_only_if_told_to(tmp_path: Path) -> None:
    path, there = tmp_path / "file", spoken()
    await archive.save(Conversation(counts={"messages": 3}, messages={"1": Message(content="new")}), path)
    before = there.to_dict()
    with pytest.raises(errors.InvalidValueError, match="replace=True"):
        await archive.load(there, path)
    assert there.to_dict() == before
    await archive.load(there, path, replace=True)
    assert there.messages.value == {"1": Message(content="new")}
    assert there.counts.messages == 3
    assert there.counts.turn_ms == 0
    assert there.audio_clips == {} == there.turns.value == there.metadata.value


async def test_what_others_add_while_it_is_replaced_merges_with_it(tmp_path: Path) -> None:
    state = spoken()
    other = Conversation(StateDocument(agent="bob", update=state.document.update_since()))
    await archive.save(Conversation(messages={"1": Message(content="new")}), tmp_path / "file")
    await archive.load(state, tmp_path / "file", replace=True)
    other.messages["2"] = Message(content="meanwhile")
    state.document.apply(other.document.update_since())
    assert list(state.messages) == ["1", "2"]


async def test_a_damaged_file_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    path, state = tmp_path / "file", Conversation()
    await archive.save(spoken(), path)
    sound = path.read_bytes()
    for damaged in (b"", sound[:5], sound[:-1], sound + b"\0", b"GIF89a" + sound, sound.replace(b"ana", b"eve")):
        path.write_bytes(damaged)
        with pytest.raises(errors.StorageError, match="use another copy"):
            await archive.load(state, path)
    assert state.to_dict(defaults=False) == Conversation().to_dict(defaults=False)


@settings(max_examples=25)
@given(st.data())
def test_a_flipped_bit_anywhere_is_found(data: st.DataObject) -> None:
    content = bytearray(CONTENT)
    at = data.draw(st.integers(0, len(content) * 8 - 1))
    content[at // 8] ^= 1 << at % 8
    with pytest.raises(errors.StorageError):
        archive.opened(Path("file"), bytes(content))


CONTENT = archive.packed(archive.About(1, "ana", 3), b"abc")


@migration(1, 2, backward=False)
def with_a_mood(old: Before, new: After) -> None:
    new.rename("error", "trouble")
    new.set("mood", "upset" if old.register("error") else "calm")


class Newer(Conversation, name="conversation", version=2, migrations=[with_a_mood]):
    mood: Register[str]
    trouble: Register[str | None]


async def test_a_file_of_an_older_version_is_migrated(tmp_path: Path) -> None:
    older = spoken()
    older.error.set("no sound")
    await archive.save(older, tmp_path / "file")
    newer = Newer()
    await archive.load(newer, tmp_path / "file")
    assert (newer.mood.value, newer.trouble.value) == ("upset", "no sound")
    assert newer.messages.value == older.messages.value


async def test_a_newer_schema_and_a_newer_format_say_so(tmp_path: Path) -> None:
    path, state = tmp_path / "file", Conversation()
    await archive.save(Newer(mood="calm"), path)
    with pytest.raises(errors.SchemaError, match="version 2"):
        await archive.load(state, path)
    content = bytearray(CONTENT)
    content[len(archive.MAGIC)] = 2
    path.write_bytes(content)
    with pytest.raises(errors.StorageError, match="format 2"):
        await archive.load(state, path)
    assert state.to_dict(defaults=False) == Conversation().to_dict(defaults=False)


async def test_a_file_that_cannot_be_read_or_written_says_why_and_stays_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(errors.StorageError, match="No such file"):
        await archive.read(tmp_path / "nothing", Conversation)
    with pytest.raises(errors.StorageError, match="No such file"):
        await archive.save(spoken(), tmp_path / "no folder" / "file")
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(errors.StorageError):
        await archive.save(spoken(), path)
    assert files(tmp_path) == ["file"]


async def test_much_audio_is_loaded_in_several_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "AUDIO_BATCH", 100)
    clips = {f"m/{number:08}": bytes([number]) * 40 for number in range(10)}
    await archive.save(Conversation(messages={"m": Message()}, audio_clips=clips), tmp_path / "file")
    loaded = Conversation()
    updates: list[int] = []
    loaded.document.on_commit(lambda commit: updates.append(len(commit.update)))
    await archive.load(loaded, tmp_path / "file")
    assert loaded.audio_clips.value == clips
    assert len(updates) == 6
    assert max(updates) < 300


TEXT = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXT | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT.filter(lambda key: key != "__proto__"), inner, max_size=3)
    ),
    max_leaves=6,
)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(Role),
    content=st.none() | TEXT | st.lists(st.dictionaries(st.sampled_from(["type", "text"]), VALUES), max_size=2),
    name=st.none() | TEXT,
    turn=st.none() | TEXT,
    created_at=st.integers(0, 2**50),
    tokens=st.none() | st.integers(0, 10**6),
    interrupted=st.booleans(),
    metadata=st.dictionaries(st.sampled_from(["a", "b"]), VALUES, max_size=2),
)


@settings(max_examples=40)
@given(
    st.dictionaries(TEXT, MESSAGES, max_size=3),
    st.dictionaries(TEXT, st.binary(max_size=50), max_size=2),
    st.dictionaries(TEXT, VALUES, max_size=3),
    st.sampled_from(ConversationStatus),
)
def test_any_conversation_comes_back_as_it_was(
    messages: dict[str, Message], audio: dict[str, bytes], metadata: dict[str, Any], status: ConversationStatus
) -> None:
    state = Conversation(messages=messages, audio_clips=audio, metadata=metadata, status=status)
    update = state.document.update_since()
    about, content = archive.opened(Path("file"), archive.packed(archive.About(1, "", len(update)), update))
    assert about.size == len(content)
    read = Conversation(StateDocument(update=content))
    assert read.to_dict() == state.to_dict()
