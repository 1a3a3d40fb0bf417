"""What the server starts with: twelve chats that the owner's token shows, on a workflow and on an agent, and one that it does not."""

from typing import Any

from simulators.seed import Talk, talks
from simulators.splox.identity import AGENT_ID, ASSISTANT, OTHER, OWNER, seeded_chat_id, seeded_message_id
from simulators.splox.records import Account, Chat, Message, Thread
from simulators.splox.store import Store

_ON_AGENT, _BY_ANOTHER, _PUBLIC = {2, 6, 10}, {4}, {8}
_WITH_METADATA: dict[int, dict[str, Any]] = {1: {"ticket": 1042, "labels": ["billing"]}, 9: {"priority": "high"}}


def fill(store: Store) -> None:
    for place, talk in enumerate(talks("splox")):
        _add(store, OTHER if place in _BY_ANOTHER else OWNER, place, talk, agent=place in _ON_AGENT)
    hidden = Talk("Only its owner's token lists this", ("Is this private?", "It is yours alone."), 30 * 3600, 29 * 3600)
    _add(store, OTHER, 100, hidden, agent=True)


def _add(store: Store, owner: Account, place: int, talk: Talk, *, agent: bool) -> None:
    kind, resource_id = ("agent", AGENT_ID) if agent else ("workflow", ASSISTANT.workflow_id)
    now = store.clock()
    created, updated = (store.cut(round((now - age) * 1e6)) for age in (talk.created_age, talk.updated_age))
    chat_id = seeded_chat_id(place)
    chat = Chat(
        chat_id, owner.user_id, talk.title, "api", kind, resource_id, _WITH_METADATA.get(place), created, updated
    )
    if place in _PUBLIC:
        chat.is_public, chat.share_token = True, f"share-{place}"
    store.chats[chat_id] = chat
    thread = store.threads[chat_id] = Thread(owner.user_id, resource_id)
    step = (updated - created) / len(talk.lines)
    for line, text in enumerate(talk.lines):
        parent = thread.messages[-1].id if thread.messages and store.switches.parents == "chained" else None
        at = store.cut(round(created + step * (line + 1)))
        role, content = ("user", "assistant")[line % 2], [{"type": "text", "text": text}]
        thread.messages.append(Message(seeded_message_id(place, line), chat_id, role, content, at, parent))
