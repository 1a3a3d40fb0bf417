"""A team at Kodey as a source of chats."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from domain.capabilities import Capabilities, Capability, ChatOrder
from domain.errors import GatewayError, InvalidArgument, NotFound, UpstreamError, UpstreamUnauthorized
from domain.records import (
    Account,
    AccountKind,
    Agent,
    Chat,
    Check,
    Folder,
    Health,
    Message,
    MessageRole,
    Source,
)
from domain.source import (
    ChatSource,
    Connector,
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
from upstreams.json_reading import as_object, rows
from upstreams.kodey.capabilities import CAPABILITIES, PUBLISHABLE_KEY_QUOTA, SECRET_KEY_QUOTA
from upstreams.kodey.errors import POLICY
from upstreams.kodey.forms import CREATE_CHAT_SCHEMA, CREDENTIALS_SCHEMA, OPTIONS_SCHEMA
from upstreams.kodey.mapping import (
    chat_from_json,
    chat_row_from_json,
    message_from_json,
    messages_from_json,
    owner_of,
    question_of,
    replace_parent,
)
from upstreams.kodey.requests import (
    create_chat_request,
    delete_chat_request,
    get_chat_request,
    list_chats_request,
    list_messages_request,
    send_message_request,
)
from upstreams.refusals import refuse, refused, refused_stream
from upstreams.watching import watched_within

C = Capability


class KodeySource:
    """A team at Kodey."""

    def __init__(self, clients: UpstreamClients, source: Source, credentials: Mapping[str, str]) -> None:
        key = credentials.get("api_key", "")
        default_quota = PUBLISHABLE_KEY_QUOTA if key.startswith("pk_") else SECRET_KEY_QUOTA
        quota = float(source.options.get("requests_per_minute", default_quota))
        self._source = source
        self._clock = clients.clock
        self._reply_seconds = float(source.options.get("reply_timeout_seconds", 120))
        self._capabilities = watched_within(CAPABILITIES, source, quota=quota)
        self._team_id: str | None = None
        self._client: UpstreamClient = clients.client(
            source,
            headers={"x-api-key": key},
            secrets=[key],
            policy=POLICY,
            per_minute=quota,
        )

    @property
    def source(self) -> Source:
        """The record that it was made from."""
        return self._source

    @property
    def capabilities(self) -> Capabilities:
        """Kodey's table, with what is left of the key's quota for watching."""
        return self._capabilities

    def health(self) -> Health:
        """How Kodey has been answering lately."""
        return self._client.health()

    async def aclose(self) -> None:
        """Nothing of its own to close."""

    # Reading

    async def check(self) -> Sequence[Check]:
        """Read the list of chats, which shows at once whether Kodey is there and the key may read."""
        try:
            await self._list()
        except UpstreamUnauthorized as error:
            return [Check("reachable", True, "Kodey answers."), Check("credentials", False, error.message)]
        except GatewayError as error:
            return [Check("reachable", False, error.message), Check("credentials", None, "Kodey could not be asked.")]
        return [Check("reachable", True, "Kodey answers."), Check("credentials", True, "The key may list chats.")]

    async def account(self) -> Account | None:
        """The team, as far as an answer has named it: only single chats do, so an empty team stays unknown."""
        if self._team_id is None:
            page = await self._list()
            if page.rows:
                await self.get_chat(page.rows[0].native_id)
        return Account(kind=AccountKind.TEAM, native_id=self._team_id) if self._team_id else None

    async def list_chats(self, order: ChatOrder, token: str | None) -> SourcePage[Chat]:
        """Never called: Kodey has no order. See `drain_chats`."""
        refuse(self, C.LIST_CHATS)

    async def drain_chats(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        """The one list."""
        yield await self._list()

    async def get_chat(self, chat_id: str) -> Chat | None:
        """The chat without its user, whom only the list knows."""
        try:
            return await self._client.json(get_chat_request(chat_id), self._read_chat)
        except NotFound:
            return None

    async def read_messages(self, chat_id: str, window: MessageWindow) -> MessagesRead | None:
        """All messages, whatever the window."""
        try:
            return await self._messages(chat_id)
        except NotFound:
            return None

    async def get_message(self, chat_id: str, message_id: str) -> Message | None:
        """Found in the list of all."""
        try:
            read = await self._messages(chat_id)
        except NotFound:
            return None
        return next((message for message in read.messages if message.native_id == message_id), None)

    async def list_folders(self) -> Sequence[Folder]:
        """Kodey has none."""
        return ()

    async def list_agents(self) -> Sequence[Agent] | None:
        """None: what an entry of `GET /agent` looks like is not documented."""
        return None

    # Writing

    async def create_chat(self, new: NewChat) -> Chat:
        """Start a chat with an agent. Title, tags and folder are the gateway's to keep."""
        if not new.agent:
            raise InvalidArgument(
                "A chat at Kodey needs an agent. Give `agent`, the id of one of the team's agents.",
                path=("agent",),
            )
        if new.messages:
            raise InvalidArgument(
                "Kodey answers each message, so a chat cannot begin with some. Leave `messages` out and send them.",
                path=("messages",),
            )
        if new.options:
            raise InvalidArgument("Kodey takes no further options. Leave `options` out.", path=("options",))
        user_id = self._user_id(new.user_id)
        chat = await self._client.json(create_chat_request(new, user_id=user_id), self._read_chat)
        return replace(chat, owner=owner_of(user_id), told=chat.told | {"owner"})

    async def delete_chat(self, chat_id: str) -> None:
        """Delete the chat with its messages."""
        await self._client.send(delete_chat_request(chat_id))

    async def send_message(self, new: NewMessage) -> AsyncIterator[Progress]:
        """Send and wait for the agent. One item: the reply, and the message as far as the list shows it."""
        self._check_message(new)
        request = send_message_request(new.chat_id, new.text, timeout_seconds=self._reply_seconds)
        reply = await self._client.json(
            request, lambda body: message_from_json(self._source, new.chat_id, as_object(body))
        )
        try:
            read = await self._messages(new.chat_id)
        except (UpstreamError, NotFound):
            # The message was sent and answered; that the list cannot be read now must not look like a failure of it.
            yield Progress(None, reply)
            return
        question = question_of(read.messages, reply.native_id, new.text)
        listed = next((message for message in read.messages if message.native_id == reply.native_id), None)
        yield Progress(question, listed or replace_parent(reply, question))

    # What Kodey cannot do

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

    # Parts of the above

    async def _list(self) -> SourcePage[Chat]:
        answer = await self._client.send(list_chats_request())
        found, skipped = self._client.understood(answer, self._read_rows)
        return SourcePage(found, answer.started_at, skipped=self._client.skipped(answer.request, skipped))

    async def _messages(self, chat_id: str) -> MessagesRead:
        answer = await self._client.send(list_messages_request(chat_id))
        found, skipped = self._client.understood(
            answer, lambda body: messages_from_json(self._source, chat_id, as_object(body))
        )
        return MessagesRead(
            messages=found,
            started_at=answer.started_at,
            is_complete=True,
            active_leaf=found[-1].native_id if found else None,
            total=None if skipped else len(found),
            skipped=self._client.skipped(answer.request, skipped),
        )

    def _read_rows(self, body: Any) -> tuple[list[Chat], Skipped]:
        chats = as_object(body)
        return rows(chats.list("chats"), chats.at("chats"), lambda row: chat_row_from_json(self._source, row))

    def _read_chat(self, body: Any) -> Chat:
        shape = as_object(body)
        chat = chat_from_json(self._source, shape)
        self._team_id = shape.identifier("teamId")
        return chat

    def _user_id(self, asked: str | None) -> str | None:
        """Whose chat it will be; `viewer` was replaced by the subject of whoever asks before."""
        fixed = self._source.options.get("user_id")
        allowed = self._source.options.get("user_ids", ())
        if asked is None:
            return fixed if isinstance(fixed, str) and fixed != "viewer" else None
        if fixed != "viewer" and asked != fixed and asked not in allowed:
            raise InvalidArgument(
                "This source may not create chats for that user. Name one of its option `user_ids`, or leave `userId` out.",
                path=("userId",),
            )
        return asked

    def _check_message(self, new: NewMessage) -> None:
        if new.role is not MessageRole.USER:
            raise InvalidArgument("Kodey takes messages of users only. Leave `role` out.", path=("role",))
        for name, value in (("model", new.model), ("metadata", new.metadata), ("attachments", new.attachments)):
            if value:
                raise InvalidArgument(
                    f"Kodey takes the words of a message and nothing else. Leave `{name}` out.", path=(name,)
                )


def kodey(clients: UpstreamClients) -> Connector:
    """The vendor's line in the registry."""

    def connect(source: Source, credentials: Mapping[str, str]) -> ChatSource:
        return KodeySource(clients, source, credentials)

    return Connector(
        vendor="kodey",
        display_name="Kodey",
        capabilities=CAPABILITIES,
        credentials_schema=CREDENTIALS_SCHEMA,
        options_schema=OPTIONS_SCHEMA,
        create_chat_schema=CREATE_CHAT_SCHEMA,
        connect=connect,
        default_base_url="https://pooled.api.kodey.ai",
    )
