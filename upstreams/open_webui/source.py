"""An Open WebUI as a source of chats."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from domain.capabilities import Capabilities, Capability, ChatOrder
from domain.errors import (
    Conflict,
    GatewayError,
    InvalidArgument,
    NotFound,
    UpstreamError,
    UpstreamRejected,
)
from domain.records import (
    Account,
    AccountKind,
    Agent,
    Chat,
    Check,
    Folder,
    Health,
    Message,
    SearchHit,
    Source,
)
from domain.source import (
    ChatSource,
    Connector,
    FolderContents,
    MessagesRead,
    MessageWindow,
    NewChat,
    NewMessage,
    Notice,
    Progress,
    SearchRequest,
    Skipped,
    SourcePage,
)
from upstreams.http import UpstreamClients
from upstreams.json_reading import as_list, as_object, rows
from upstreams.open_webui import requests
from upstreams.open_webui.access import Access
from upstreams.open_webui.capabilities import CAPABILITIES, PAGE_ROWS, table_of
from upstreams.open_webui.chats import agents_from_json, folder_from_json, hits_from_json
from upstreams.open_webui.conversation import Conversation
from upstreams.open_webui.ears import Ears
from upstreams.open_webui.errors import POLICY
from upstreams.open_webui.folders import check_parent
from upstreams.open_webui.forms import CREATE_CHAT_SCHEMA, CREDENTIALS_SCHEMA, OPTIONS_SCHEMA, Options
from upstreams.open_webui.live import Live
from upstreams.open_webui.reading import FullChat, Reader, after_a_write, page_number
from upstreams.open_webui.writing import chat_body, tag_ids
from upstreams.refusals import refuse
from upstreams.requests import Request
from upstreams.watching import watched_within

_LOOKED_THROUGH = 5


class OpenWebUISource:
    """One account of one Open WebUI."""

    def __init__(self, clients: UpstreamClients, source: Source, credentials: Mapping[str, str]) -> None:
        options = Options.of(source)
        token = credentials.get("api_key") or credentials.get("jwt") or ""
        self._source = source
        self._options = options
        self._prefix = options.path_prefix
        self._clock = clients.clock
        self._client = clients.client(
            source,
            headers={"Authorization": f"Bearer {token}"},
            secrets=[token],
            policy=POLICY,
            per_minute=options.requests_per_minute,
        )
        has_session = "api_key" not in credentials and not token.startswith("sk-")
        self._access = Access(
            self._client, source, prefix=self._prefix, has_session=has_session, all_users=options.all_users
        )
        self._capabilities = watched_within(
            table_of(has_session=has_session), source, quota=options.requests_per_minute
        )
        self._live: Live | None = None
        if has_session:
            seconds = clients.settings.timeout_seconds
            self._live = Live(self._client, self._access, source, token, timeout_seconds=seconds)
        self._reader = Reader(self._client, self._access, source, self._clock, self._prefix)
        self._conversation = Conversation(
            self._reader, self._access, source, self._clock, options, ears=Ears(self._live, self._clock)
        )

    @property
    def source(self) -> Source:
        """The record that it was made from."""
        return self._source

    @property
    def capabilities(self) -> Capabilities:
        """Open WebUI's table, as far as the credentials reach."""
        return self._capabilities

    def health(self) -> Health:
        """How it has been answering lately."""
        return self._client.health()

    async def aclose(self) -> None:
        """End the server's stream, whoever watches."""
        if self._live is not None:
            await self._live.aclose()

    # Reading

    async def check(self) -> Sequence[Check]:
        """The release, which needs no credentials, then a list, which does."""
        try:
            version = await self._access.version()
        except UpstreamRejected as error:
            return [Check("reachable", True, "It answers."), Check("version", False, error.message), _UNTRIED]
        except GatewayError as error:
            return [
                Check("reachable", False, error.message),
                Check("version", None, "It could not be asked."),
                _UNTRIED,
            ]
        reached = [Check("reachable", True, "It answers."), Check("version", True, f"Open WebUI {version}.")]
        try:
            await self._reader.page(1)
        except GatewayError as error:
            return [*reached, Check("credentials", False, error.message)]
        return [*reached, Check("credentials", True, "The account may list its chats.")]

    async def account(self) -> Account | None:
        """The instance: Open WebUI has no organizations."""
        return Account(kind=AccountKind.INSTANCE)

    async def list_chats(self, order: ChatOrder, token: str | None) -> SourcePage[Chat]:
        """60 rows, newest change first; the tokens are page numbers."""
        page, _ = await self._reader.page(page_number(token))
        return page

    def drain_chats(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        """Rows, archived ones too, or, where they do not tell enough, every chat in full."""
        return self._reader.drain(needs)

    async def get_chat(self, chat_id: str) -> Chat | None:
        """The chat, with all that is told of it."""
        full = await self._full_or_none(chat_id)
        return full.chat if full is not None else None

    async def read_messages(self, chat_id: str, window: MessageWindow) -> MessagesRead | None:
        """The whole tree, whatever the window."""
        full = await self._full_or_none(chat_id)
        if full is None:
            return None
        return MessagesRead(
            messages=full.tree.messages,
            started_at=full.started_at,
            is_complete=True,
            active_leaf=full.tree.active_leaf,
            skipped=full.skipped,
            chat=full.chat,
        )

    async def get_message(self, chat_id: str, message_id: str) -> Message | None:
        """Found in the tree."""
        full = await self._full_or_none(chat_id)
        return full.messages.get(message_id) if full is not None else None

    async def list_folders(self) -> Sequence[Folder]:
        """All folders, nested ones too."""
        request = requests.list_folders(self._prefix)
        folders, skipped = await self._reader.ask(request, self._folders)
        self._client.skipped(request, skipped)
        return folders

    async def list_agents(self) -> Sequence[Agent] | None:
        """The models."""
        request = requests.list_models(self._prefix)
        agents, skipped = await self._reader.ask(request, agents_from_json)
        self._client.skipped(request, skipped)
        return agents

    async def search(self, request: SearchRequest) -> SourcePage[SearchHit]:
        """Chats whose title or messages hold the text. The token is `page:row`."""
        words = " ".join([request.text.strip(), *(f"tag:{tag}" for tag in request.tags)]).strip()
        if not words:
            raise InvalidArgument("Open WebUI cannot search for nothing. Give some text.", path=("query",))
        page_text, _, row_text = (request.token or "1:0").partition(":")
        page, first = page_number(page_text), page_number(row_text) if row_text not in ("", "0") else 0
        answer = await self._access.send(requests.search(self._prefix, words, page))
        rank = (page - 1) * PAGE_ROWS
        hits, skipped = self._client.understood(
            answer, lambda body: hits_from_json(self._source, body, text=request.text, first_rank=rank)
        )
        last = first + request.limit
        goes_on = f"{page + 1}:0" if len(hits) + skipped.count >= PAGE_ROWS else None
        return SourcePage(
            [hit for hit in hits[first:last] if _is_wanted(hit, request)],
            answer.started_at,
            next=f"{page}:{last}" if last < len(hits) else goes_on,
            skipped=self._client.skipped(answer.request, skipped),
        )

    # Writing chats

    async def create_chat(self, new: NewChat) -> Chat:
        """Start a chat with its first messages; tags need calls of their own."""
        _check_new(new)
        tags = tag_ids(new.tags or ())
        body = chat_body(new, now_seconds=self._now_seconds())
        try:
            full = self._reader.full(await self._access.send(requests.create_chat(self._prefix, body, new.folder_id)))
        except UpstreamError as error:
            found = await self._find_created(new.idempotency_id) if error.perhaps_executed else None
            if found is None:
                raise
            full = found
        self._access.remember([full.chat.native_id])
        try:
            return await self._tagged(full.chat, tags) if tags else full.chat
        except UpstreamError:
            return full.chat  # it was made; that its tags are missing, the answer shows

    async def rename_chat(self, chat_id: str, title: str | None) -> Chat:
        """Set the title; it cannot be emptied."""
        if title is None:
            raise InvalidArgument("A title at Open WebUI cannot be emptied. Give another one.", path=("title",))
        return await self._update(chat_id, {"title": title}, "rename_chat")

    async def set_metadata(self, chat_id: str, metadata: Mapping[str, Any] | None) -> Chat:
        """Replace what stands under `metadata` in the chat's object."""
        return await self._update(
            chat_id, {"metadata": dict(metadata) if metadata is not None else None}, "set_metadata"
        )

    async def set_tags(self, chat_id: str, tags: Sequence[str]) -> Chat:
        """Exactly these tags."""
        wanted = tag_ids(tags)
        return await self._tagged((await self._reader.chat(chat_id)).chat, wanted)

    async def set_pinned(self, chat_id: str, pinned: bool) -> Chat:
        """Toggle it if it is not so already."""
        return await self._toggle(chat_id, "pinned", pinned, requests.toggle_pin(self._prefix, chat_id))

    async def set_archived(self, chat_id: str, archived: bool) -> Chat:
        """Toggle it if it is not so already; the chat leaves its folder."""
        return await self._toggle(chat_id, "archived", archived, requests.toggle_archive(self._prefix, chat_id))

    async def move_chat(self, chat_id: str, folder_id: str | None) -> Chat:
        """Into a folder, which unpins and unarchives, or into none."""
        return await self._write(chat_id, requests.move_chat(self._prefix, chat_id, folder_id))

    async def share_chat(self, chat_id: str) -> Chat:
        """Publish a snapshot."""
        await self._own(chat_id)
        await self._access.send(requests.share_chat(self._prefix, chat_id))
        with after_a_write():
            return (await self._reader.chat(chat_id)).chat

    async def unshare_chat(self, chat_id: str) -> Chat:
        """Remove the snapshot."""
        await self._own(chat_id)
        await self._access.send(requests.unshare_chat(self._prefix, chat_id))
        with after_a_write():
            return (await self._reader.chat(chat_id)).chat

    async def delete_chat(self, chat_id: str) -> None:
        """Delete it with all its messages."""
        await self._own(chat_id)
        await self._access.send(requests.delete_chat(self._prefix, chat_id))
        self._access.forget(chat_id)

    # Writing messages

    def send_message(self, new: NewMessage) -> AsyncIterator[Progress]:
        """Append the message; a user's one is answered in the background, and the answer read as it grows."""
        return self._conversation.send(new)

    def regenerate(self, chat_id: str, message_id: str, *, reply_id: str, model: str | None) -> AsyncIterator[Progress]:
        """Let the same question be answered again."""
        return self._conversation.regenerate(chat_id, message_id, reply_id=reply_id, model=model)

    def follow_reply(self, chat_id: str, message_id: str) -> AsyncIterator[Message]:
        """Go on reading a reply until it is final."""
        return self._conversation.follow(chat_id, message_id)

    async def watch(self, chat_id: str | None) -> AsyncIterator[Notice]:
        """Follow what the server tells of the account's chats."""
        if self._live is None or chat_id is not None:
            refuse(self, Capability.LIVE_MESSAGES)
        async with aclosing(self._live.watch()) as notices:
            async for notice in notices:
                yield notice

    async def stop_reply(self, chat_id: str, message_id: str) -> Message | None:
        """Stop what runs in the chat, and wait until the reply says so."""
        return await self._conversation.stop(chat_id, message_id)

    async def edit_message(self, chat_id: str, message_id: str, text: str) -> Message:
        """Replace the words."""
        return await self._conversation.edit(chat_id, message_id, text)

    async def delete_message(self, chat_id: str, message_id: str) -> Sequence[str]:
        """Delete it and its direct children."""
        return await self._conversation.delete(chat_id, message_id)

    # Folders

    async def create_folder(self, name: str, parent_id: str | None) -> Folder:
        """Create a folder under one that is there: Open WebUI would accept any parent."""
        if parent_id is not None:
            check_parent(await self.list_folders(), None, parent_id)
        request = requests.create_folder(self._prefix, name, parent_id)
        return await self._reader.ask(request, lambda body: folder_from_json(self._source, as_object(body)))

    async def update_folder(self, folder_id: str, *, name: str | None, parent_id: str | None, moves: bool) -> Folder:
        """Rename, move, or both."""
        check_parent(await self.list_folders(), folder_id, parent_id if moves else None)
        if name is not None:
            await self._access.send(requests.rename_folder(self._prefix, folder_id, name))
        with after_a_write():
            if moves:
                await self._access.send(requests.move_folder(self._prefix, folder_id, parent_id))
            return check_parent(await self.list_folders(), folder_id, None)

    async def delete_folder(self, folder_id: str, contents: FolderContents) -> None:
        """Delete with subfolders."""
        deletes_chats = contents is FolderContents.DELETE_CHATS
        await self._access.send(requests.delete_folder(self._prefix, folder_id, deletes_chats=deletes_chats))

    # Parts of the above

    def _now_seconds(self) -> int:
        return int(self._clock.now().timestamp())

    async def _full_or_none(self, chat_id: str) -> FullChat | None:
        try:
            return await self._reader.chat(chat_id)
        except NotFound:
            return None

    async def _own(self, chat_id: str) -> None:
        """Raise `NotFound` unless the chat may be written to: an administrator's key could delete the chats of others."""
        if not self._access.is_known(chat_id):
            await self._reader.chat(chat_id)

    async def _write(self, chat_id: str, request: Request) -> Chat:
        await self._own(chat_id)
        return self._reader.full(await self._access.send(request)).chat

    async def _update(self, chat_id: str, keys: Mapping[str, Any], operation: str) -> Chat:
        return await self._write(chat_id, requests.update_chat(self._prefix, chat_id, keys, operation=operation))

    async def _toggle(self, chat_id: str, field: str, wanted: bool, request: Request) -> Chat:
        """Read, compare, toggle, verify. A toggle that somebody else made meanwhile is put right once."""
        chat = (await self._reader.chat(chat_id)).chat
        for _ in range(2):
            if getattr(chat, field) is wanted:
                return chat
            try:
                chat = self._reader.full(await self._access.send(request)).chat
            except UpstreamError as error:
                if not error.perhaps_executed:
                    raise
                chat = (await self._reader.chat(chat_id)).chat
                if getattr(chat, field) is not wanted:
                    raise
        if getattr(chat, field) is wanted:
            return chat
        raise Conflict(
            f"{self._source.key}: somebody else changes `{field}` of the chat at the same time. Read the chat again, then decide."
        )

    async def _tagged(self, chat: Chat, wanted: Sequence[str]) -> Chat:
        has = set(chat.tags or ())
        if has == set(wanted):
            return chat
        # One after the other: the server reads, changes and writes the chat's list of tags.
        with after_a_write():
            for tag in wanted:
                if tag not in has:
                    await self._access.send(requests.add_tag(self._prefix, chat.native_id, tag))
            for tag in sorted(has - set(wanted)):
                await self._access.send(requests.remove_tag(self._prefix, chat.native_id, tag))
            return (await self._reader.chat(chat.native_id)).chat

    async def _find_created(self, intent: str) -> FullChat | None:
        """The chat of a creation whose answer was lost, found by the gateway's id in it among the newest of the list."""
        if not intent:
            return None
        try:
            page, _ = await self._reader.page(1)
            newest = sorted(
                page.rows, key=lambda chat: chat.created_at or chat.updated_at or self._clock.now(), reverse=True
            )
            for row in newest[:_LOOKED_THROUGH]:
                full = await self._full_or_none(row.native_id)
                if full is not None and full.intent == intent:
                    return full
        except UpstreamError:
            return None  # the caller raises what went wrong first
        return None

    def _folders(self, body: Any) -> tuple[list[Folder], Skipped]:
        return rows(as_list(body), "$", lambda row: folder_from_json(self._source, row))


_UNTRIED = Check("credentials", None, "They could not be tried.")


def _check_new(new: NewChat) -> None:
    if new.user_id is not None:
        raise InvalidArgument(
            "A chat at Open WebUI belongs to the account of the source. Leave `userId` out.", path=("userId",)
        )
    if new.options is not None and set(new.options) - {"chat"}:
        raise InvalidArgument("Open WebUI takes the option `chat` alone. Leave the others out.", path=("options",))


def _is_wanted(hit: SearchHit, request: SearchRequest) -> bool:
    chat = hit.found
    if not isinstance(chat, Chat) or chat.updated_at is None:
        return False
    if request.chat_ids is not None and chat.native_id not in request.chat_ids:
        return False
    is_late_enough = request.since is None or chat.updated_at >= request.since
    return is_late_enough and (request.until is None or chat.updated_at < request.until)


def open_webui(clients: UpstreamClients) -> Connector:
    """The vendor's line in the registry."""

    def connect(source: Source, credentials: Mapping[str, str]) -> ChatSource:
        return OpenWebUISource(clients, source, credentials)

    return Connector(
        vendor="open_webui",
        display_name="Open WebUI",
        capabilities=CAPABILITIES,
        credentials_schema=CREDENTIALS_SCHEMA,
        options_schema=OPTIONS_SCHEMA,
        create_chat_schema=CREATE_CHAT_SCHEMA,
        connect=connect,
    )
