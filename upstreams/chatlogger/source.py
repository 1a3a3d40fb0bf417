"""An organization at a ChatLogger as a source of chats."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from domain.capabilities import Capabilities, Capability, ChatOrder
from domain.errors import GatewayError, InvalidArgument, NotFound, UnexpectedAnswer, UpstreamError, UpstreamRejected
from domain.records import Account, AccountKind, Agent, Chat, Check, Folder, Health, Message, Person, Source
from domain.source import ChatSource, Connector, MessagesRead, MessageWindow, NewChat, NewMessage, Progress, SourcePage
from upstreams.chatlogger import requests
from upstreams.chatlogger.access import Access
from upstreams.chatlogger.capabilities import CAPABILITIES, PAGE_ROWS, table_of
from upstreams.chatlogger.errors import POLICY
from upstreams.chatlogger.forms import CREATE_CHAT_SCHEMA, CREDENTIALS_SCHEMA, OPTIONS_SCHEMA, Options
from upstreams.chatlogger.mapping import account_from_json, created_chat, number, sent_message
from upstreams.chatlogger.metadata import CHAT_METADATA, check_metadata
from upstreams.chatlogger.reading import Place, Reader
from upstreams.chatlogger.session import Session
from upstreams.chatlogger.writing import check_message, check_new_chat, owner_of_new_chat
from upstreams.http import UpstreamClients
from upstreams.json_reading import as_object
from upstreams.refusals import refuse, refused, refused_stream
from upstreams.watching import watched_within

C = Capability


class ChatLoggerSource:
    """One organization of one ChatLogger."""

    def __init__(self, clients: UpstreamClients, source: Source, credentials: Mapping[str, str]) -> None:
        email, password = credentials.get("email"), credentials.get("password")
        api_key = credentials.get("api_key")
        self._source = source
        self._options = Options.of(source)
        self._client = clients.client(
            source,
            headers={},
            secrets=[secret for secret in (api_key, password) if secret],
            policy=POLICY,
            per_minute=self._options.requests_per_minute,
        )
        session = None
        if email and password:
            session = Session(self._client, clients.clock, email=email, password=password)
        self._has_key_without_slug = api_key is not None and self._options.slug is None
        self._access = Access(
            self._client,
            session=session,
            api_key=api_key,
            slug=self._options.slug,
            prefix=self._options.path_prefix,
        )
        self._reader = Reader(self._client, self._access, source)
        table = table_of(has_login=self._access.has_login, has_key=self._access.has_key)
        self._capabilities = watched_within(table, source, quota=self._options.requests_per_minute)

    @property
    def source(self) -> Source:
        """The record that it was made from."""
        return self._source

    @property
    def capabilities(self) -> Capabilities:
        """ChatLogger's table, narrowed to what the credentials can."""
        return self._capabilities

    def health(self) -> Health:
        """How it has been answering lately."""
        return self._client.health()

    async def aclose(self) -> None:
        """Nothing of its own to close; the session ends by itself."""

    # Reading

    async def check(self) -> Sequence[Check]:
        """The release, which needs no credentials, then each credential alone."""
        try:
            release = Check("version", True, f"ChatLogger {await self._access.version()}.")
        except GatewayError as error:
            if self._options.path_prefix is None or not isinstance(error, UnexpectedAnswer):
                return [Check("reachable", False, error.message), Check("credentials", None, "It could not be asked.")]
            release = Check("version", None, "It does not tell its release, and need not: `path_prefix` is set.")
        checks = [Check("reachable", True, "It answers."), release]
        if self._access.has_login:
            checks.append(await self._check_login("credentials"))
        if self._access.has_key or self._has_key_without_slug:
            checks.append(await self._check_key("api_key" if self._access.has_login else "credentials"))
        return checks

    async def account(self) -> Account | None:
        """The organization: its number from the login, its slug from the options."""
        if not self._access.has_login:
            return Account(kind=AccountKind.ORGANIZATION, slug=self._options.slug)
        request = requests.read_account(await self._access.prefix())
        return await self._reader.ask(request, lambda body: account_from_json(as_object(body), self._options.slug))

    async def list_chats(self, order: ChatOrder, token: str | None) -> SourcePage[Chat]:
        """50 rows, newest creation first."""
        self._require(C.LIST_CHATS)
        return await self._reader.page(Place.of(token), limit=PAGE_ROWS)

    async def drain_chats(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        """The whole list in larger pages; a row tells all there is."""
        self._require(C.LIST_CHATS)
        async for page in self._reader.drain():
            yield page

    async def get_chat(self, chat_id: str) -> Chat | None:
        """The chat, with all that is told of it."""
        self._require(C.READ_CHAT)
        try:
            return await self._reader.chat(chat_id)
        except NotFound:
            return None

    async def read_messages(self, chat_id: str, window: MessageWindow) -> MessagesRead | None:
        """All messages, whatever the window."""
        self._require(C.LIST_MESSAGES)
        try:
            return await self._reader.messages(chat_id)
        except NotFound:
            return None

    async def get_message(self, chat_id: str, message_id: str) -> Message | None:
        """Found in the list of all."""
        self._require(C.READ_MESSAGE)
        try:
            return await self._reader.message(chat_id, message_id)
        except NotFound:
            return None

    async def list_folders(self) -> Sequence[Folder]:
        """ChatLogger has none."""
        return ()

    async def list_agents(self) -> Sequence[Agent] | None:
        """None: nobody answers."""
        return None

    # Writing

    async def create_chat(self, new: NewChat) -> Chat:
        """With the API key where there is one, because only then `userId` counts; then the first messages, one after the other."""
        self._require(C.CREATE_CHAT)
        check_new_chat(new, has_key=self._access.has_key)
        owner = owner_of_new_chat(self._options, new.user_id, has_key=self._access.has_key)
        chat_id = await self._created(new, owner)
        await self._begin_with(chat_id, new)
        known = created_chat(
            self._source,
            chat_id,
            new,
            owner=Person(owner) if owner is not None else None,
            knows_owner=self._access.has_key,
        )
        if not self._access.has_login:
            return known
        try:
            return await self._reader.chat(chat_id)
        except (UpstreamError, NotFound):
            return known  # it was made; that it cannot be read now must not look like a failure

    async def rename_chat(self, chat_id: str, title: str | None) -> Chat:
        """Set the title; it cannot be emptied."""
        self._require(C.RENAME_CHAT)
        if not title:
            raise InvalidArgument("A title at ChatLogger cannot be emptied. Give another one.", path=("title",))
        return await self._update("rename_chat", chat_id, requests.set_title(title))

    async def set_metadata(self, chat_id: str, metadata: Mapping[str, Any] | None) -> Chat:
        """Replace all twelve fields; those that are left out become empty."""
        self._require(C.EDIT_METADATA)
        check_metadata(metadata, CHAT_METADATA)
        return await self._update("set_metadata", chat_id, requests.set_metadata(metadata))

    async def set_tags(self, chat_id: str, tags: Sequence[str]) -> Chat:
        """Exactly these tags."""
        self._require(C.TAG_CHAT)
        return await self._update("set_tags", chat_id, requests.set_tags(sorted(set(tags))))

    async def delete_chat(self, chat_id: str) -> None:
        """Delete the chat with its messages. After a failure of the server it is looked at, because not every database can."""
        self._require(C.DELETE_CHAT)
        request = requests.delete_chat(await self._access.prefix(), chat_id)
        try:
            await self._access.as_user(request)
        except UpstreamError as error:
            if error.vendor_status != 500 or not await self._still_has_messages(chat_id):
                raise
            raise UpstreamRejected(
                f"{self._source.key}: deleting a chat was answered with 500, and the chat is still there with its messages. Its database was probably made "
                "without ON DELETE CASCADE and cannot delete chats that have messages. Let whoever runs ChatLogger apply its SQL migrations.",
                source_id=self._source.id,
                operation="delete_chat",
            ) from error

    async def send_message(self, new: NewMessage) -> AsyncIterator[Progress]:
        """Store the message; one item, because nobody answers."""
        self._require(C.SEND_MESSAGE)
        check_message(new)
        request = requests.send_message(await self._access.prefix(), self._access.slug, new.chat_id, new)
        answer = await self._access.with_key(request)
        message_id = self._client.understood(answer, lambda body: number(as_object(body), "message_id"))
        yield Progress(await self._shown(new, message_id) or sent_message(self._source, message_id, new))

    # What ChatLogger cannot do

    search = refused(C.SEARCH)
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

    def _require(self, capability: Capability) -> None:
        """The credentials decide: what one of the two cannot is refused before any call."""
        if not self._capabilities.can(capability):
            refuse(self, capability)

    async def _check_login(self, name: str) -> Check:
        try:
            await self.account()
            await self._reader.page(Place(), limit=1)
        except GatewayError as error:
            return Check(name, False, error.message)
        return Check(name, True, "The login may list chats.")

    async def _check_key(self, name: str) -> Check:
        """A key that is good is refused for the request's sake, another one for its own."""
        if self._has_key_without_slug:
            return Check(name, False, "An API key needs the option `slug`, the name of its organization.")
        try:
            await self._access.with_key(requests.try_api_key(await self._access.prefix(), self._access.slug))
        except (UpstreamRejected, NotFound):
            return Check(name, True, "The API key may write.")
        except GatewayError as error:
            return Check(name, False, error.message)
        return Check(name, True, "The API key may write.")

    async def _created(self, new: NewChat, owner: str | None) -> str:
        prefix = await self._access.prefix()
        if self._access.has_key:
            answer = await self._access.with_key(requests.create_chat_in(prefix, self._access.slug, new, user_id=owner))
        else:
            answer = await self._access.as_user(requests.create_chat(prefix, new))
        return self._client.understood(answer, lambda body: number(as_object(body), "chat_id"))

    async def _begin_with(self, chat_id: str, new: NewChat) -> None:
        prefix = await self._access.prefix()
        for message in new.messages:
            try:
                await self._access.with_key(requests.send_message(prefix, self._access.slug, chat_id, message))
            except UpstreamError as error:
                error.perhaps_executed = True  # the chat is there already
                raise

    async def _update(self, operation: str, chat_id: str, changes: Mapping[str, Any]) -> Chat:
        request = requests.update_chat(operation, await self._access.prefix(), chat_id, changes)
        return await self._reader.ask(request, self._reader.chat_of)

    async def _still_has_messages(self, chat_id: str) -> bool:
        try:
            return bool((await self._reader.messages(chat_id)).messages)
        except (UpstreamError, NotFound):
            return False

    async def _shown(self, new: NewMessage, message_id: str) -> Message | None:
        """The message as the list shows it, with its time and its parent. That it cannot be read must not look like a failure to send it."""
        if not self._access.has_login:
            return None
        try:
            return await self._reader.message(new.chat_id, message_id)
        except (UpstreamError, NotFound):
            return None


def chatlogger(clients: UpstreamClients) -> Connector:
    """The vendor's line in the registry."""

    def connect(source: Source, credentials: Mapping[str, str]) -> ChatSource:
        return ChatLoggerSource(clients, source, credentials)

    return Connector(
        vendor="chatlogger",
        display_name="ChatLogger",
        capabilities=CAPABILITIES,
        credentials_schema=CREDENTIALS_SCHEMA,
        options_schema=OPTIONS_SCHEMA,
        create_chat_schema=CREATE_CHAT_SCHEMA,
        connect=connect,
    )
