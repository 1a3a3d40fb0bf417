"""Toy: a notice board with chats, in which nobody answers.

API: none but the server beside this file, which is what its documents would be.

Quirks, each with its source:

- The list of chats is never paged and its order is not told (server). It is read whole.
- Times are seconds since 1970 (server).
- A message is stored as it is; nothing makes it idempotent (server), so it is never sent twice by us.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from domain.capabilities import Capabilities, Capability, ChatOrder, emulated, native, overlay, unsupported
from domain.errors import GatewayError, InvalidArgument, NotFound, UpstreamUnauthorized
from domain.records import Account, Agent, Chat, Check, Folder, Health, Message, MessageRole, Source
from domain.source import (
    ChatSource,
    Connector,
    FirstMessage,
    MessagesRead,
    MessageWindow,
    NewChat,
    NewMessage,
    Progress,
    Skipped,
    SourcePage,
)
from upstreams.client import UpstreamClient
from upstreams.http import UpstreamClients
from upstreams.json_reading import Json, as_object, rows
from upstreams.policy import VendorPolicy
from upstreams.refusals import refuse, refused, refused_stream
from upstreams.requests import Request, delete, get, post, segment
from upstreams.truth import Meaning, Truth
from upstreams.watching import POLLS_PER_MINUTE, watched_within

# Capabilities

C = Capability
_NO_CALL = "Toy has no call for it."
_NOBODY = "Nobody answers at Toy."
FIELDS = frozenset(["title", "created_at", "raw"])

CAPABILITIES = Capabilities(
    support={
        C.CREATE_CHAT: native(),
        C.LIST_CHATS: native("The whole list at once."),
        C.READ_CHAT: native(),
        C.RENAME_CHAT: overlay(),
        C.TAG_CHAT: overlay(),
        C.EDIT_METADATA: overlay(),
        C.DELETE_CHAT: native(),
        C.LIST_MESSAGES: native("All messages at once."),
        C.READ_MESSAGE: emulated("Found in the list of all messages."),
        C.SEND_MESSAGE: native(),
        C.GENERATE_REPLY: unsupported(_NOBODY),
        C.STREAM_REPLY: unsupported(_NOBODY),
        C.STOP_REPLY: unsupported(_NOBODY),
        C.REGENERATE_REPLY: unsupported(_NOBODY),
        C.EDIT_MESSAGE: unsupported(_NO_CALL),
        C.DELETE_MESSAGE: unsupported(_NO_CALL),
        C.BRANCHES: unsupported("Toy's chats are one line."),
        C.PIN_CHAT: overlay(),
        C.ARCHIVE_CHAT: overlay(),
        C.MOVE_CHAT: overlay(),
        C.MARK_CHAT_READ: overlay(),
        C.SHARE_CHAT: unsupported(_NO_CALL),
        C.SEARCH: emulated("Searched in the gateway's own index of what it has seen."),
        C.LIVE_MESSAGES: emulated("Noticed when it is read."),
        C.LIVE_CHANGES: emulated("Noticed when it is read; only deletions."),
    },
    row_fields=FIELDS,
    version_fields=("title", "created_at"),
)

# Requests


def list_chats_request() -> Request:
    """All chats."""
    return get("list_chats", "/chats")


def get_chat_request(chat_id: str) -> Request:
    """One chat."""
    return get("get_chat", f"/chats/{segment(chat_id)}")


def create_chat_request(title: str) -> Request:
    """A new chat."""
    return post("create_chat", "/chats", {"title": title})


def delete_chat_request(chat_id: str) -> Request:
    """Delete a chat with its messages."""
    return delete("delete_chat", f"/chats/{segment(chat_id)}")


def list_messages_request(chat_id: str) -> Request:
    """All messages of a chat, oldest first."""
    return get("list_messages", f"/chats/{segment(chat_id)}/messages")


def send_message_request(chat_id: str, message: NewMessage | FirstMessage) -> Request:
    """One more message."""
    body = {"role": _role(message.role), "text": message.text, "note": message.metadata}
    return post("send_message", f"/chats/{segment(chat_id)}/messages", body)


# Mapping

_ROLES = {"user": MessageRole.USER, "assistant": MessageRole.ASSISTANT}
_NAMES = {role: name for name, role in _ROLES.items()}


def chat_from_json(source: Source, body: Json) -> Chat:
    """A chat, alike in the list and alone."""
    return Chat(
        organization_id=source.organization_id,
        source_id=source.id,
        native_id=body.identifier("id"),
        told=FIELDS,
        title=body.text("title"),
        created_at=body.epoch_seconds("created"),
        raw=dict(body.fields),
    )


def message_from_json(source: Source, chat_id: str, body: Json) -> Message:
    """One message, not chained."""
    return Message(
        organization_id=source.organization_id,
        source_id=source.id,
        chat_id=chat_id,
        native_id=body.identifier("id"),
        role=_ROLES.get(body.text("role"), MessageRole.OTHER),
        text=body.text("text"),
        created_at=body.epoch_seconds("created"),
        metadata=note if isinstance(note := body.fields.get("note"), dict) else None,
    )


def messages_from_json(source: Source, chat_id: str, body: Json) -> tuple[list[Message], Skipped]:
    """All messages, each the child of the one before it, and how many rows were left out."""
    found, skipped = rows(
        body.list("messages"), body.at("messages"), lambda row: message_from_json(source, chat_id, row)
    )
    return [
        replace(message, parent_id=found[place - 1].native_id if place else None) for place, message in enumerate(found)
    ], skipped


def words_from_json(body: Any) -> str:
    """Toy's own explanation of an error."""
    words = body.get("why") if isinstance(body, dict) else None
    return words if isinstance(words, str) else ""


POLICY = VendorPolicy(
    truths=(Truth(Meaning.UNAUTHORIZED, (401, 401), "Check the credential `api_key` of the source."),),
    words=words_from_json,
)

# The source


class ToySource:
    """A notice board as a source."""

    def __init__(self, clients: UpstreamClients, source: Source, credentials: Mapping[str, str]) -> None:
        key = credentials.get("api_key", "")
        self._source = source
        self._client: UpstreamClient = clients.client(
            source, headers={"Authorization": f"Bearer {key}"}, secrets=[key], policy=POLICY
        )

    @property
    def source(self) -> Source:
        """The record that it was made from."""
        return self._source

    @property
    def capabilities(self) -> Capabilities:
        """Toy's table, and how often watching may ask."""
        return watched_within(CAPABILITIES, self._source)

    def health(self) -> Health:
        """How Toy has been answering lately."""
        return self._client.health()

    async def aclose(self) -> None:
        """Nothing of its own to close."""

    async def check(self) -> Sequence[Check]:
        """Read the list."""
        try:
            await self._list()
        except UpstreamUnauthorized as error:
            return [Check("reachable", True, "Toy answers."), Check("credentials", False, error.message)]
        except GatewayError as error:
            return [Check("reachable", False, error.message), Check("credentials", None, "Toy could not be asked.")]
        return [Check("reachable", True, "Toy answers."), Check("credentials", True, "The key may list chats.")]

    async def account(self) -> Account | None:
        """Toy does not tell."""
        return None

    async def list_chats(self, order: ChatOrder, token: str | None) -> SourcePage[Chat]:
        """Never called: Toy has no order. See `drain_chats`."""
        refuse(self, C.LIST_CHATS)

    async def drain_chats(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        """The one list."""
        yield await self._list()

    async def get_chat(self, chat_id: str) -> Chat | None:
        """The chat, with all that is told of it."""
        try:
            return await self._client.json(get_chat_request(chat_id), self._read_chat)
        except NotFound:
            return None

    async def read_messages(self, chat_id: str, window: MessageWindow) -> MessagesRead | None:
        """All messages, whatever the window."""
        try:
            answer = await self._client.send(list_messages_request(chat_id))
        except NotFound:
            return None
        found, skipped = self._client.understood(
            answer, lambda body: messages_from_json(self._source, chat_id, as_object(body))
        )
        return MessagesRead(
            messages=found,
            started_at=answer.started_at,
            is_complete=True,
            active_leaf=found[-1].native_id if found else None,
            skipped=self._client.skipped(answer.request, skipped),
        )

    async def get_message(self, chat_id: str, message_id: str) -> Message | None:
        """Found in the list of all."""
        read = await self.read_messages(chat_id, MessageWindow(last=1))
        messages = read.messages if read is not None else ()
        return next((message for message in messages if message.native_id == message_id), None)

    async def list_folders(self) -> Sequence[Folder]:
        """Toy has none."""
        return ()

    async def list_agents(self) -> Sequence[Agent] | None:
        """None: nobody answers."""
        return None

    async def create_chat(self, new: NewChat) -> Chat:
        """Start a chat, and write its first messages one after the other."""
        chat = await self._client.json(create_chat_request(new.title or "Untitled"), self._read_chat)
        for message in new.messages:
            await self._client.send(send_message_request(chat.native_id, message))
        return chat

    async def delete_chat(self, chat_id: str) -> None:
        """Delete the chat with its messages."""
        await self._client.send(delete_chat_request(chat_id))

    async def send_message(self, new: NewMessage) -> AsyncIterator[Progress]:
        """Store the message; one item, because nobody answers."""
        if new.attachments:
            raise InvalidArgument("Toy keeps no files. Leave `attachments` out.", path=("attachments",))
        sent = await self._client.json(
            send_message_request(new.chat_id, new),
            lambda body: message_from_json(self._source, new.chat_id, as_object(body)),
        )
        yield Progress(replace(sent, parent_id=new.parent_id))

    search = refused(C.SEARCH)
    rename_chat = refused(C.RENAME_CHAT)
    set_metadata = refused(C.EDIT_METADATA)
    set_tags = refused(C.TAG_CHAT)
    set_pinned = refused(C.PIN_CHAT)
    set_archived = refused(C.ARCHIVE_CHAT)
    move_chat = refused(C.MOVE_CHAT)
    share_chat = refused(C.SHARE_CHAT)
    unshare_chat = refused(C.SHARE_CHAT)
    regenerate = refused_stream(C.REGENERATE_REPLY)
    watch = refused_stream(C.LIVE_MESSAGES)
    follow_reply = refused_stream(C.STREAM_REPLY)
    stop_reply = refused(C.STOP_REPLY)
    edit_message = refused(C.EDIT_MESSAGE)
    delete_message = refused(C.DELETE_MESSAGE)
    create_folder = refused(C.MOVE_CHAT)
    update_folder = refused(C.MOVE_CHAT)
    delete_folder = refused(C.MOVE_CHAT)

    async def _list(self) -> SourcePage[Chat]:
        answer = await self._client.send(list_chats_request())
        found, skipped = self._client.understood(answer, self._read_rows)
        return SourcePage(found, answer.started_at, skipped=self._client.skipped(answer.request, skipped))

    def _read_rows(self, body: Any) -> tuple[list[Chat], Skipped]:
        chats = as_object(body)
        return rows(chats.list("chats"), chats.at("chats"), lambda row: chat_from_json(self._source, row))

    def _read_chat(self, body: Any) -> Chat:
        return chat_from_json(self._source, as_object(body))


def _role(role: MessageRole) -> str:
    if role not in _NAMES:
        raise InvalidArgument("Toy keeps messages of USER and ASSISTANT only.", path=("role",))
    return _NAMES[role]


_KEY = {"type": "string", "title": "API key", "description": "The board's key.", "minLength": 1, "format": "password"}


def toy(clients: UpstreamClients) -> Connector:
    """The vendor's line in the registry."""

    def connect(source: Source, credentials: Mapping[str, str]) -> ChatSource:
        return ToySource(clients, source, credentials)

    return Connector(
        vendor="toy",
        display_name="Toy",
        capabilities=CAPABILITIES,
        credentials_schema={
            "type": "object",
            "properties": {"api_key": _KEY},
            "required": ["api_key"],
            "additionalProperties": False,
        },
        options_schema={
            "type": "object",
            "properties": {"polls_per_minute": POLLS_PER_MINUTE},
            "additionalProperties": False,
        },
        create_chat_schema={
            "type": "object",
            "properties": {
                "title": {"type": "string", "title": "Title"},
                "messages": {
                    "type": "array",
                    "title": "First messages",
                    "items": {"type": "object", "properties": {"role": {"enum": ["USER", "ASSISTANT"]}}},
                },
                "options": {"type": "object", "maxProperties": 0},
            },
            "not": {"anyOf": [{"required": ["agent"]}, {"required": ["userId"]}]},
        },
        connect=connect,
    )
