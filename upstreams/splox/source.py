"""A Splox account as a source of chats."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Any, TypeVar

from domain.capabilities import Capabilities, Capability, ChatOrder
from domain.errors import (
    GatewayError,
    InvalidArgument,
    NotFound,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRejected,
    UpstreamUnauthorized,
)
from domain.records import Account, AccountKind, Agent, Chat, Check, Folder, Health, Message, MessageRole, Source
from domain.source import (
    ChatSource,
    Connector,
    MessagesRead,
    MessageWindow,
    NewChat,
    NewMessage,
    Notice,
    Progress,
    SourcePage,
)
from upstreams.client import UpstreamClient
from upstreams.http import UpstreamClients
from upstreams.json_reading import as_object
from upstreams.refusals import refuse, refused, refused_stream
from upstreams.splox import requests
from upstreams.splox.capabilities import CAPABILITIES, PAGE_MESSAGES
from upstreams.splox.errors import POLICY
from upstreams.splox.forms import CREATE_CHAT_SCHEMA, CREDENTIALS_SCHEMA, OPTIONS_SCHEMA, Options, demands
from upstreams.splox.history import EndlessHistory, History, HistoryPage, page_from_json
from upstreams.splox.mapping import chat_from_json, chats_from_json
from upstreams.splox.runs import Runs
from upstreams.splox.watching import watch_chat
from upstreams.splox.workflows import Route, Workflows
from upstreams.watching import watched_within

C = Capability
T = TypeVar("T")
_UNNAMED = "New chat"


class SploxSource:
    """One account at Splox."""

    def __init__(self, clients: UpstreamClients, source: Source, credentials: Mapping[str, str]) -> None:
        token = credentials.get("api_key", "")
        options = Options.of(source)
        self._source = source
        self._options = options
        self._capabilities = watched_within(CAPABILITIES, source)
        self._user_id: str | None = None
        self._client: UpstreamClient = clients.client(
            source,
            headers={"Authorization": f"Bearer {token}"},
            secrets=[token],
            policy=POLICY,
            at_most={requests.RUN_WORKFLOW: options.runs_per_minute},
        )
        self._workflows = Workflows(self._client, source, options, clients.clock)
        self._history = History(self._page)
        self._runs = Runs(
            self._client, source, self._history, clients.clock, timeout_seconds=options.reply_timeout_seconds
        )

    @property
    def source(self) -> Source:
        """The record that it was made from."""
        return self._source

    @property
    def capabilities(self) -> Capabilities:
        """Splox's table."""
        return self._capabilities

    def health(self) -> Health:
        """How Splox has been answering lately."""
        return self._client.health()

    async def aclose(self) -> None:
        """Nothing of its own to close."""

    # Reading

    async def check(self) -> Sequence[Check]:
        """Read the lists of chats, which shows at once whether Splox is there, the token may read, and the resources exist."""
        try:
            pages = [page async for page in self.drain_chats(frozenset())]
        except UpstreamUnauthorized as error:
            return [Check("reachable", True, "Splox answers."), Check("credentials", False, error.message)]
        except (UnexpectedAnswer, UpstreamRejected) as error:
            return [Check("reachable", True, "Splox answers."), Check("resources", False, error.message)]
        except GatewayError as error:
            return [Check("reachable", False, error.message), Check("credentials", None, "Splox could not be asked.")]
        return [
            Check("reachable", True, "Splox answers."),
            Check("credentials", True, "The token may list chats."),
            Check("resources", True, f"{len(pages)} lists of chats were read."),
        ]

    async def account(self) -> Account | None:
        """Whose token it is, as a chat made with it tells; else the owner of all chats, where that is one."""
        if self._user_id is None:
            owners = {chat.owner async for page in self.drain_chats(frozenset()) for chat in page.rows}
            owner = owners.pop() if len(owners) == 1 else None
            self._user_id = owner.native_id if owner is not None else None
        return Account(kind=AccountKind.ACCOUNT, native_id=self._user_id) if self._user_id else None

    async def list_chats(self, order: ChatOrder, token: str | None) -> SourcePage[Chat]:
        """Never called: Splox has no order. See `drain_chats`."""
        refuse(self, C.LIST_CHATS)

    async def drain_chats(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        """The chats of each resource, each chat once. A resource that Splox does not know has none; one that fails costs no other's rows."""
        resources = await self._workflows.resources()
        asked = [self._list(kind, resource.id) for resource in resources for kind in resource.types]
        pages = await asyncio.gather(*asked, return_exceptions=True)
        failure: BaseException | None = None
        seen: set[str] = set()
        for page in pages:
            if isinstance(page, SourcePage):
                rows = [chat for chat in page.rows if chat.native_id not in seen]
                seen.update(chat.native_id for chat in rows)
                yield SourcePage(rows, page.started_at, skipped=page.skipped)
            elif failure is None or isinstance(failure, NotFound):
                failure = page
        if failure is not None and not (
            isinstance(failure, NotFound) and any(isinstance(p, SourcePage) for p in pages)
        ):
            raise self._no_resources() if isinstance(failure, NotFound) else failure

    async def get_chat(self, chat_id: str) -> Chat | None:
        """The chat, whole."""
        try:
            return await self._chat(chat_id)
        except NotFound:
            return None

    async def read_messages(self, chat_id: str, window: MessageWindow) -> MessagesRead | None:
        """The window; the whole chat where reading the window showed it."""
        try:
            return await self._in_chat(chat_id, self._history.window(chat_id, window))
        except NotFound:
            return None

    async def get_message(self, chat_id: str, message_id: str) -> Message | None:
        """Found in the history."""
        try:
            return await self._in_chat(chat_id, self._history.message(chat_id, message_id))
        except NotFound:
            return None

    async def list_folders(self) -> Sequence[Folder]:
        """Splox has none that its API shows."""
        return ()

    async def list_agents(self) -> Sequence[Agent] | None:
        """The account's workflows."""
        return await self._workflows.agents()

    # Writing

    async def create_chat(self, new: NewChat) -> Chat:
        """Start a chat of a resource. Tags and folder are the gateway's to keep."""
        for name, value in (("messages", new.messages), ("options", new.options), ("userId", new.user_id)):
            if value:
                raise InvalidArgument(f"Splox takes no `{name}` for a new chat. Leave it out.", path=(name,))
        request = requests.create_chat_request(
            name=new.title or _UNNAMED, resource_id=self._resource_of(new), metadata=new.metadata
        )
        chat = await self._client.json(request, self._read_chat)
        self._user_id = chat.owner.native_id if chat.owner is not None else self._user_id
        return chat

    async def delete_chat(self, chat_id: str) -> None:
        """Delete its messages, which would stay otherwise, and then the chat."""
        with suppress(NotFound):  # whether a chat without messages has a history is not told
            await self._client.send(requests.delete_history_request(chat_id))
        try:
            await self._client.send(requests.delete_chat_request(chat_id))
        except UpstreamError as error:
            error.perhaps_executed = True  # the messages are gone, whatever became of the chat
            raise

    async def send_message(self, new: NewMessage) -> AsyncIterator[Progress]:
        """Run the workflow of the chat with it, and follow the reply."""
        self._check_message(new)
        resource_id, route = await self._route(new)
        try:
            async with aclosing(self._runs.send(new, route)) as steps:
                async for progress in steps:
                    yield progress
        except EndlessHistory as error:
            raise self._endless() from error
        except (UpstreamRejected, NotFound):
            if resource_id is not None:
                self._workflows.forget(resource_id)
            raise

    async def follow_reply(self, chat_id: str, message_id: str) -> AsyncIterator[Message]:
        """Read the reply until it is final."""
        try:
            async with aclosing(self._runs.follow(chat_id, message_id)) as steps:
                async for message in steps:
                    yield message
        except EndlessHistory as error:
            raise self._endless() from error

    async def stop_reply(self, chat_id: str, message_id: str) -> Message | None:
        """Stop the run that writes the reply."""
        try:
            return await self._in_chat(chat_id, self._runs.stop(chat_id, message_id))
        except NotFound:
            return None

    async def watch(self, chat_id: str | None) -> AsyncIterator[Notice]:
        """Follow the stream of a chat. Splox closes it after half an hour."""
        if chat_id is None:
            refuse(self, C.LIVE_MESSAGES)  # there is no stream for all chats
        async with aclosing(watch_chat(self._client, chat_id)) as notices:
            async for notice in notices:
                yield notice

    # What Splox cannot do

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
    edit_message = refused(C.EDIT_MESSAGE)
    delete_message = refused(C.DELETE_MESSAGE)
    create_folder = refused(C.MOVE_CHAT)
    update_folder = refused(C.MOVE_CHAT)
    delete_folder = refused(C.MOVE_CHAT)

    # Parts of the above

    async def _chat(self, chat_id: str) -> Chat:
        return await self._client.json(requests.get_chat_request(chat_id), self._read_chat)

    def _read_chat(self, body: Any) -> Chat:
        return chat_from_json(self._source, as_object(body))

    async def _list(self, kind: str, resource_id: str) -> SourcePage[Chat]:
        answer = await self._client.send(requests.list_chats_request(kind, resource_id))
        found, skipped = self._client.understood(answer, lambda body: chats_from_json(self._source, body))
        return SourcePage(found, answer.started_at, skipped=self._client.skipped(answer.request, skipped))

    async def _page(self, chat_id: str, before: datetime | None) -> HistoryPage:
        request = requests.list_messages_request(chat_id, limit=PAGE_MESSAGES, before=before)
        answer = await self._client.send(request)
        found, has_more, skipped = self._client.understood(
            answer, lambda body: page_from_json(self._source, chat_id, body)
        )
        return HistoryPage(found, has_more, self._client.skipped(answer.request, skipped), answer.started_at)

    async def _in_chat(self, chat_id: str, reading: Coroutine[Any, Any, T]) -> T:
        """What a reading of a chat's history gave. An empty or refused one asks whether there is such a chat; raises `NotFound` when not."""
        try:
            found = await reading
        except EndlessHistory as error:
            raise self._endless() from error
        except UpstreamRejected:
            await self._chat(chat_id)
            raise
        if isinstance(found, MessagesRead) and not found.messages:
            await self._chat(chat_id)
        return found

    async def _route(self, new: NewMessage) -> tuple[str | None, Route]:
        """What answers, and the resource that it was looked up by, if it was."""
        if new.model is not None:
            return new.model, await self._workflows.route(new.model)
        if (route := self._workflows.route_for_all) is not None:
            return None, route
        agent = (await self._chat(new.chat_id)).agent
        resource_id = (agent.native_id if agent is not None else None) or ""
        return resource_id, await self._workflows.route(resource_id)

    def _resource_of(self, new: NewChat) -> str:
        if new.agent:
            return new.agent
        if len(self._options.resources) == 1:
            return self._options.resources[0].id
        raise InvalidArgument(
            "A chat at Splox belongs to a workflow or agent, and the source has not exactly one. Give `agent`, the id of one.",
            path=("agent",),
        )

    def _check_message(self, new: NewMessage) -> None:
        if new.role is not MessageRole.USER:
            raise InvalidArgument("Splox takes messages of users only. Leave `role` out.", path=("role",))
        if new.metadata:
            raise InvalidArgument("Splox keeps no metadata of messages. Leave `metadata` out.", path=("metadata",))
        for index, attachment in enumerate(new.attachments):
            if attachment.url is None:
                raise InvalidArgument(
                    "Splox fetches files from their address. Give each attachment a `url`.",
                    path=("attachments", str(index), "url"),
                )

    def _endless(self) -> UnexpectedAnswer:
        return UnexpectedAnswer(
            f"{self._source.key}: list messages was answered with pages that do not come to an end. Check the vendor's version; newer messages can be read.",
            source_id=self._source.id,
            operation="list_messages",
        )

    def _no_resources(self) -> UnexpectedAnswer:
        return UnexpectedAnswer(
            f"{self._source.key}: list chats was answered with 404 for every resource. Check `base_url` and the option `resources`.",
            source_id=self._source.id,
            operation="list_chats",
        )


def splox(clients: UpstreamClients) -> Connector:
    """The vendor's line in the registry."""

    def connect(source: Source, credentials: Mapping[str, str]) -> ChatSource:
        return SploxSource(clients, source, credentials)

    return Connector(
        vendor="splox",
        display_name="Splox",
        capabilities=CAPABILITIES,
        credentials_schema=CREDENTIALS_SCHEMA,
        options_schema=OPTIONS_SCHEMA,
        create_chat_schema=CREATE_CHAT_SCHEMA,
        demands=demands,
        connect=connect,
        default_base_url="https://app.splox.io/api/v1",
    )
