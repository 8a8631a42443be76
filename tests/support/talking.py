"""Conversations for tests: managers of conversations in memory, and how they meet."""

from comity.clients.agents.conversation.document import Conversation
from comity.clients.agents.conversation.manager import ConversationManager
from comity.crdt_types import StateDocument

Manager = ConversationManager[Conversation]


def manager(agent: str = "ana") -> Manager:
    """Return the manager of an empty conversation."""
    return ConversationManager(Conversation(StateDocument(agent=agent)))


def copy_of(one: Manager, agent: str = "ben") -> Manager:
    """Return another agent's manager of the same conversation."""
    return ConversationManager(Conversation(StateDocument(agent=agent, update=one.live.document.update_since())))


def exchange(one: Manager, other: Manager) -> None:
    """Bring two managers' conversations to the same state."""
    for here, there in ((one, other), (other, one)):
        there.live.document.apply(here.live.document.update_since(there.live.document.state_vector()))
