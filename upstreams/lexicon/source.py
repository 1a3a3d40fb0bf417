"""A tenant at Lexicon, or some users of it, as a source of chats."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from domain.capabilities import Capabilities, Capability, ChatOrder, unsupported
from domain.errors import Conflict, GatewayError, InvalidArgument, NotFound, UpstreamUnauthorized
from domain.records import Account, AccountKind, Agent, Chat, Check, Folder, Health, Message, MessageRole, Source
from domain.source import ChatSource, Connector, MessagesRead, MessageWindow, NewChat, NewMessage, Progress, SourcePage
from upstreams.http import UpstreamClients
from upstreams.json_reading import as_object
from upstreams.lexicon.capabilities import CAPABILITIES
from upstreams.lexicon.chats import Chats, offset_of
from upstreams.lexicon.conversation import Conversation
from upstreams.lexicon.errors import POLICY
from upstreams.lexicon.forms import CREATE_CHAT_SCHEMA, CREDENTIALS_SCHEMA, OPTIONS_SCHEMA, Options, demands
from upstreams.lexicon.history import History
from upstreams.lexicon.mapping import chat_from_json
from upstreams.lexicon.requests import create_chat_request, delete_chat_request
from upstreams.redaction import Redactor
from upstreams.refusals import refuse, refused, refused_stream
from upstreams.watching import watched_within

C = Capability
_NOBODY = "00000000-0000-0000-0000-000000000000"
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0


class LexiconSource:
    """The users of a tenant that the options name."""

    def __init__(self, clients: UpstreamClients, source: Source, credentials: Mapping[str, str]) -> None:
        key = credentials.get("api_key", "")
        self._source = source
        self._clock = clients.clock
        self._options = Options.of(source)
        self._timeout = clients.settings.timeout_seconds
        self._capabilities = watched_within(
            capabilities_of(self._options), source, quota=self._options.requests_per_minute
        )
        self._client = clients.client(
            source,
            headers={"X-API-Key": key},
            secrets=[key],
            policy=POLICY,
            per_minute=self._options.requests_per_minute,
        )
        self._chats = Chats(self._client, source, self._options, self._clock)
        self._history = History(self._client, source, self._clock)
        self._conversation = Conversation(
            self._client,
            self._history,
            source,
            self._clock,
            Redactor([key]),
            timeout_seconds=self._timeout,
            reply_timeout_seconds=self._options.reply_timeout_seconds,
        )

    @property
    def source(self) -> Source:
        """The record that it was made from."""
        return self._source

    @property
    def capabilities(self) -> Capabilities:
        """Lexicon's table, narrowed by how many users the options name."""
        return self._capabilities

    def health(self) -> Health:
        """How Lexicon has been answering lately."""
        return self._client.health()

    async def aclose(self) -> None:
        """Nothing of its own to close: each socket lives as long as the answer that it carries."""

    # Reading

    async def check(self) -> Sequence[Check]:
        """Read the chats of the first user, which shows at once whether Lexicon is there and the key may read."""
        try:
            await self._reach()
        except UpstreamUnauthorized as error:
            return [Check("reachable", True, "Lexicon answers."), Check("credentials", False, error.message)]
        except GatewayError as error:
            return [
                Check("reachable", False, error.message),
                Check("credentials", None, "Lexicon could not be asked."),
            ]
        return [Check("reachable", True, "Lexicon answers."), Check("credentials", True, "The key may read chats.")]

    async def account(self) -> Account | None:
        """The tenant, as far as a chat has named it: users without chats leave it unknown."""
        for user_id in self._options.user_ids:
            if self._chats.tenant_id is None:
                await self._chats.page(user_id, offset=0, newest_first=True)
        tenant_id = self._chats.tenant_id
        return Account(kind=AccountKind.TENANT, native_id=tenant_id) if tenant_id is not None else None

    async def list_chats(self, order: ChatOrder, token: str | None) -> SourcePage[Chat]:
        """50 rows of the one user; the tokens are offsets."""
        if not self._capabilities.native_orders:
            refuse(self, C.LIST_CHATS)
        (user_id,) = self._options.user_ids
        return await self._chats.page(user_id, offset=offset_of(token), newest_first=order.descending)

    def drain_chats(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        """The chats of every user; a row tells all that Lexicon knows."""
        return self._chats.all()

    async def get_chat(self, chat_id: str) -> Chat | None:
        """The chat, with all that is told of it."""
        try:
            return await self._chats.get(chat_id)
        except NotFound:
            return None

    async def read_messages(self, chat_id: str, window: MessageWindow) -> MessagesRead | None:
        """The window; all messages where one page has them."""
        try:
            await self._chats.user_of(chat_id)
            return await self._history.read(chat_id, window)
        except NotFound:
            return None

    async def get_message(self, chat_id: str, message_id: str) -> Message | None:
        """Found in the list."""
        try:
            await self._chats.user_of(chat_id)
            return await self._history.find(chat_id, message_id)
        except NotFound:
            return None

    async def list_folders(self) -> Sequence[Folder]:
        """Lexicon has none."""
        return ()

    async def list_agents(self) -> Sequence[Agent] | None:
        """None: nothing can be chosen."""
        return None

    # Writing

    async def create_chat(self, new: NewChat) -> Chat:
        """Start a chat of a user. Tags and folder are the gateway's to keep."""
        if new.messages:
            raise InvalidArgument(
                "Lexicon answers each message, so a chat cannot begin with some. Leave `messages` out and send them.",
                path=("messages",),
            )
        if new.options:
            raise InvalidArgument("Lexicon takes no further options. Leave `options` out.", path=("options",))
        request = create_chat_request(new, user_id=self._options.user_of_new(new.user_id))
        return await self._client.json(
            request, lambda body: self._chats.seen(chat_from_json(self._source, as_object(body)))
        )

    async def delete_chat(self, chat_id: str) -> None:
        """Delete the chat with its messages. While somebody is connected to it, it is tried again until the time is over."""
        await self._chats.user_of(chat_id)
        deadline = self._clock.monotonic() + self._timeout
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._client.send(delete_chat_request(chat_id))
            except Conflict:
                if self._clock.monotonic() + pause >= deadline:
                    raise
                await self._clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                self._chats.forget(chat_id)
                return

    async def send_message(self, new: NewMessage) -> AsyncIterator[Progress]:
        """Send over a socket of its own, and follow the answer on it."""
        _check_message(new)
        user_id = await self._chats.user_of(new.chat_id)
        async with aclosing(self._conversation.send(new, user_id)) as steps:
            async for progress in steps:
                yield progress

    async def follow_reply(self, chat_id: str, message_id: str) -> AsyncIterator[Message]:
        """Wait until the list shows the reply."""
        await self._chats.user_of(chat_id)
        async for message in self._conversation.follow(chat_id, message_id):
            yield message

    # What Lexicon cannot do

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
    stop_reply = refused(C.STOP_REPLY)
    edit_message = refused(C.EDIT_MESSAGE)
    delete_message = refused(C.DELETE_MESSAGE)
    create_folder = refused(C.MOVE_CHAT)
    update_folder = refused(C.MOVE_CHAT)
    delete_folder = refused(C.MOVE_CHAT)

    async def _reach(self) -> None:
        if self._options.user_ids:
            await self._chats.page(self._options.user_ids[0], offset=0, newest_first=True)
        else:
            await self.get_chat(_NOBODY)


def capabilities_of(options: Options) -> Capabilities:
    """The table for these options. One user's chats have Lexicon's own orders; those of several are read whole; with none named there is no list."""
    if len(options.user_ids) == 1:
        return CAPABILITIES
    if options.user_ids:
        return replace(CAPABILITIES, native_orders=())
    no_list = unsupported("Lexicon lists chats per user, and the option `user_ids` names none.")
    support = {**CAPABILITIES.support, C.LIST_CHATS: no_list}
    return replace(CAPABILITIES, native_orders=(), rows_tell_messages=False, support=support)


def _check_message(new: NewMessage) -> None:
    if new.role is not MessageRole.USER:
        raise InvalidArgument("Lexicon takes messages of users only. Leave `role` out.", path=("role",))
    for name, value in (("model", new.model), ("attachments", new.attachments)):
        if value:
            raise InvalidArgument(
                f"Lexicon takes the words and the metadata of a message, nothing else. Leave `{name}` out.",
                path=(name,),
            )
    if new.metadata is not None and not isinstance(new.metadata, Mapping):
        raise InvalidArgument("`metadata` is a JSON object, or left out.", path=("metadata",))


def lexicon(clients: UpstreamClients) -> Connector:
    """The vendor's line in the registry."""

    def connect(source: Source, credentials: Mapping[str, str]) -> ChatSource:
        return LexiconSource(clients, source, credentials)

    return Connector(
        vendor="lexicon",
        display_name="Lexicon Labs",
        capabilities=CAPABILITIES,
        credentials_schema=CREDENTIALS_SCHEMA,
        options_schema=OPTIONS_SCHEMA,
        create_chat_schema=CREATE_CHAT_SCHEMA,
        demands=demands,
        connect=connect,
    )
