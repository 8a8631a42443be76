"""A voice agent with a scripted model: it listens, calls a tool, is interrupted, and goes on in writing.

Start the server with scripts/serve, then this program: .venv/bin/python examples/conversation.py
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Sequence

import comity
from comity.clients.agents.conversation import (
    ConversationManager,
    ConversationStatus,
    Event,
    Message,
    MessageAdded,
    Recording,
    Role,
    StatusChanged,
    ToolCallCompleted,
    TurnInterrupted,
)

ADDRESS = "ws://127.0.0.1:8765"


async def model(text: str) -> AsyncIterator[str]:
    """Say a text word by word, as a model does."""
    for word in text.split(" "):
        await asyncio.sleep(0.005)
        yield f"{word} "


def show(event: Event) -> None:
    if isinstance(event, StatusChanged):
        print(f"  ({event.new})")
    elif isinstance(event, MessageAdded) and event.message.text:
        cut = " [cut off]" if event.message.interrupted else ""
        print(f"{event.message.role}: {event.message.text}{cut}")
    elif isinstance(event, ToolCallCompleted):
        print(f"  {event.call.name}({event.call.arguments}) = {event.call.result}")
    elif isinstance(event, TurnInterrupted):
        print(f"  interrupted: {event.turn.reason}")


async def answer(call: ConversationManager, text: str, *, barge_in: int | None = None) -> None:
    """Speak an answer, which the user may interrupt after some words."""
    call.update(ConversationStatus.RESPONDING)
    call.update_audio(output_active=True)
    stream = call.stream()
    heard = 0
    async for token in model(text):
        if heard == barge_in:
            call.interrupt_turn("the user speaks")  # what was said until now stays, marked as interrupted
            break
        stream.write(token)
        heard += 1
    else:
        stream.complete()
        call.complete_turn()
    call.update_audio(output_active=False)


async def speak(call: ConversationManager) -> None:
    call.update(ConversationStatus.CONNECTING)
    call.update_connection(connected=True, transport="webrtc")
    call.update(ConversationStatus.CONNECTED)
    call.add_message(Role.SYSTEM, "You book flights. Be brief.")
    call.update_audio(input_active=True)

    call.update(ConversationStatus.LISTENING)
    call.start_turn("Is there a flight to Seattle?", audio=Recording(b"\0" * 3200, "audio/pcm", sample_rate=16_000))
    tool = call.start_tool_call("find_flights", {"to": "SEA"})
    call.complete_tool_call(tool.id, {"flights": ["HAT069 at 6:00", "HAT083 at 11:30"]})
    await answer(call, "There are two: one at six, and one at half past eleven, of which the earlier one", barge_in=9)

    call.start_turn("The later one, please.")
    call.pin(call.state.messages[-1].id)
    await answer(call, "It is booked: HAT083 at 11:30.")

    call.update_connection(connected=False)
    call.update(ConversationStatus.DISCONNECTED)


def summarise(messages: Sequence[Message]) -> str:
    return f"{len(messages)} messages about flights to Seattle"


async def main(address: str) -> None:
    name = f"call-{uuid.uuid4().hex[:8]}"
    async with comity.connect(address, agent="voice") as client, ConversationManager.open(client, name) as call:
        call.on_event(show)
        await speak(call)
        (hit, *_) = call.search("seattle", role=Role.USER)
        print("found:", hit.snippet)
        await call.save_to_file("call.conversation")

        async with ConversationManager.open(client, f"{name}-chat") as chat:
            await chat.continue_from(call, turns=1, summarise=summarise)
            chat.start_turn("Which flight was it?")
            for message in chat.to_llm_messages():
                print(message["role"], "|", message["content"])
            chat.add_message(Role.ASSISTANT, "HAT083.")
            chat.complete_turn()
            await chat.live.durable()
        await call.live.durable()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ADDRESS))
