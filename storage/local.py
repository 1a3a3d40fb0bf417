"""The local store as a source like any vendor: the same protocol, over the tables that mirror the vendors.

It needs no network, so each write is one transaction: what it changes, and the events of it, are committed together.
"""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from domain.capabilities import Capabilities, Capability, ChatOrder
from domain.errors import CapabilityMissing, InvalidArgument, NotFound
from domain.records import (
    GATEWAY,
    Account,
    AccountKind,
    Agent,
    Chat,
    Check,
    Folder,
    FolderRef,
    Health,
    HealthState,
    Message,
    SearchHit,
    Source,
)
from domain.source import (
    ChatTouched,
    Connector,
    FolderContents,
    MessagesRead,
    MessageWindow,
    NewChat,
    NewMessage,
    Notice,
    Progress,
    SearchRequest,
    SourcePage,
)
from domain.tree import by_id, newest_leaf
from storage.chats import ChatQuery, ChatsSeen
from storage.columns import instant
from storage.database import Transaction
from storage.local_records import check_text, first_messages, new_chat, new_message, partial_chat
from storage.local_table import CAPABILITIES, CREATE_CHAT, NOTHING
from storage.local_tokens import ListToken, read_token, token_after, token_before
from storage.messages import MessagesSeen
from storage.store import Store

VENDOR = "local"
_PAGE = 50
_DRAIN_PAGE = 500


def connector(store: Store) -> Connector:
    """The line of the registry for the local store."""

    def connect(source: Source, credentials: Mapping[str, str]) -> "LocalSource":
        return LocalSource(store, source)

    return Connector(
        vendor=VENDOR,
        display_name="Local store",
        capabilities=CAPABILITIES,
        credentials_schema=NOTHING,
        options_schema=NOTHING,
        create_chat_schema=CREATE_CHAT,
        connect=connect,
    )


class LocalSource:
    """The local chats of one organization."""

    def __init__(self, store: Store, source: Source) -> None:
        self._store = store
        self._source = source

    @property
    def source(self) -> Source:
        """The record that it was made from."""
        return self._source

    @property
    def capabilities(self) -> Capabilities:
        """The same for every local source."""
        return CAPABILITIES

    def health(self) -> Health:
        """It answers whenever the gateway does."""
        return Health(state=HealthState.HEALTHY)

    async def aclose(self) -> None:
        """The store is closed by who opened it."""

    # Reading

    async def check(self) -> Sequence[Check]:
        """Read one row."""
        await self._store.chats.count(self._query(_PAGE))
        return (Check("store", True, "The local store answers."),)

    async def account(self) -> Account | None:
        """The organization itself."""
        organization = await self._store.organizations.get(self._source.organization_id)
        if organization is None:
            return None
        return Account(
            kind=AccountKind.ORGANIZATION,
            native_id=str(organization.id),
            slug=organization.slug,
            name=organization.name,
        )

    async def list_chats(self, order: ChatOrder, token: str | None) -> SourcePage[Chat]:
        """One page in any order, from a place that stays where it is whatever is written around it."""
        started_at = self._store.clock()
        place = read_token(token)
        query = replace(self._query(_PAGE + 1), order=order, after=place.after, before=place.before, archived=False)
        rows = await self._store.chats.page(query)
        has_more = len(rows) > _PAGE
        rows = rows[-_PAGE:] if place.is_backwards else rows[:_PAGE]
        has_next, has_previous = _neighbours(place, has_more)
        return SourcePage(
            rows=[_live(chat) for chat in rows],
            started_at=started_at,
            next=token_after(rows, order, place) if has_next else None,
            previous=token_before(rows, order, place) if has_previous else None,
        )

    async def drain_chats(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        """Every chat, archived ones included, newest first."""
        query = self._query(_DRAIN_PAGE)
        while True:
            started_at = self._store.clock()
            rows = await self._store.chats.page(query)
            yield SourcePage(rows=[_live(chat) for chat in rows], started_at=started_at)
            if len(rows) < _DRAIN_PAGE:
                return
            query = replace(query, after=read_token(token_after(rows, query.order, ListToken())).after)

    async def get_chat(self, chat_id: str) -> Chat | None:
        """One chat."""
        chat = await self._store.chats.get(self._source.organization_id, self._source.id, chat_id)
        return _live(chat) if chat is not None else None

    async def read_messages(self, chat_id: str, window: MessageWindow) -> MessagesRead | None:
        """Exactly the window."""
        started_at = self._store.clock()
        chat = await self.get_chat(chat_id)
        if chat is None:
            return None
        messages = self._store.messages
        part = await messages.window(self._source.organization_id, self._source.id, chat_id, window)
        return MessagesRead(
            messages=part.messages,
            started_at=started_at,
            is_complete=False,
            active_leaf=await messages.active_leaf(self._source.organization_id, self._source.id, chat_id),
            has_before=part.has_before,
            has_after=part.has_after,
            total=part.total,
            chat=chat,
        )

    async def get_message(self, chat_id: str, message_id: str) -> Message | None:
        """One message; a deleted one without its words, with `deleted_at`."""
        return await self._store.messages.get(self._source.organization_id, self._source.id, chat_id, message_id)

    async def list_folders(self) -> Sequence[Folder]:
        """None of its own: its chats are filed in the gateway's folders."""
        return ()

    async def list_agents(self) -> Sequence[Agent] | None:
        """There is nobody to name."""
        return None

    async def search(self, request: SearchRequest) -> SourcePage[SearchHit]:
        """Full text, best first."""
        if not request.text.strip():
            raise InvalidArgument("A search for nothing was asked for. Give some words.", path=("query",))
        started_at = self._store.clock()
        wanted = replace(request, limit=request.limit + 1)
        hits = await self._store.search.find(self._source.organization_id, (self._source.id,), wanted)
        has_more = len(hits) > request.limit
        return SourcePage(
            rows=[replace(hit, found=_found(hit.found)) for hit in hits[: request.limit]],
            started_at=started_at,
            next=str(int(request.token or 0) + request.limit) if has_more else None,
        )

    # Writing chats

    async def create_chat(self, new: NewChat) -> Chat:
        """Start a chat. Saying the same `idempotency_id` twice starts one."""
        for first in new.messages:
            check_text(first.text)
        chat_id = new.idempotency_id or uuid.uuid4().hex

        async def unit(tx: Transaction) -> None:
            if await self._store.chats.get_in(tx, self._source.organization_id, self._source.id, chat_id):
                return
            now = self._store.clock()
            messages = first_messages(self._source, new, chat_id, now)
            await self._observe_chat(tx, new_chat(self._source, new, chat_id, messages, now), now)
            if new.folder_id is not None:
                await self._file(tx, chat_id, new.folder_id, now)
            if messages:
                await self._observe_messages(tx, chat_id, messages, now, leaf=messages[-1].native_id)

        await self._store.database.write(unit)
        return await self._require(chat_id)

    async def rename_chat(self, chat_id: str, title: str | None) -> Chat:
        """Set or empty the title."""
        return await self._change(chat_id, title=title, updated_at=self._store.clock())

    async def set_metadata(self, chat_id: str, metadata: Mapping[str, object] | None) -> Chat:
        """Replace the metadata."""
        return await self._change(chat_id, metadata=metadata, updated_at=self._store.clock())

    async def set_tags(self, chat_id: str, tags: Sequence[str]) -> Chat:
        """Exactly these tags."""
        return await self._change(chat_id, tags=tuple(sorted(set(tags))), updated_at=self._store.clock())

    async def set_pinned(self, chat_id: str, pinned: bool) -> Chat:
        """Pin or unpin."""
        return await self._change(chat_id, pinned=pinned)

    async def set_archived(self, chat_id: str, archived: bool) -> Chat:
        """Archive or bring back."""
        return await self._change(chat_id, archived=archived)

    async def move_chat(self, chat_id: str, folder_id: str | None) -> Chat:
        """Into a folder of the gateway, or into none."""

        async def unit(tx: Transaction) -> None:
            await self._require_in(tx, chat_id)
            await self._file(tx, chat_id, folder_id, self._store.clock())

        await self._store.database.write(unit)
        return await self._require(chat_id)

    async def delete_chat(self, chat_id: str) -> None:
        """Delete with all its messages."""

        async def unit(tx: Transaction) -> None:
            await self._require_in(tx, chat_id)
            await self._store.chats.remove(
                tx, self._source.organization_id, self._source.id, chat_id, self._store.clock()
            )

        await self._store.database.write(unit)

    async def share_chat(self, chat_id: str) -> Chat:
        """Never called."""
        self._refuse(Capability.SHARE_CHAT)

    async def unshare_chat(self, chat_id: str) -> Chat:
        """Never called."""
        self._refuse(Capability.SHARE_CHAT)

    # Writing messages

    async def send_message(self, new: NewMessage) -> AsyncIterator[Progress]:
        """Store the message; it is the end of the active path afterwards. Nobody answers."""
        check_text(new.text)

        async def unit(tx: Transaction) -> None:
            await self._require_in(tx, new.chat_id)
            messages = self._store.messages
            if await messages.is_in(tx, *self._key, new.chat_id, new.id):
                return
            if new.parent_id is not None and not await messages.is_in(tx, *self._key, new.chat_id, new.parent_id):
                raise NotFound(
                    "A message was to follow another one that is not in the chat (any more). Read the chat again, or leave `parentId` out.",
                    path=("parentId",),
                )
            now = self._store.clock()
            await self._observe_messages(tx, new.chat_id, [new_message(self._source, new, now)], now, leaf=new.id)
            await self._touch(tx, new.chat_id, now)

        await self._store.database.write(unit)
        yield Progress(await self._require_message(new.chat_id, new.id))

    async def edit_message(self, chat_id: str, message_id: str, text: str) -> Message:
        """Replace the words."""
        check_text(text)

        async def unit(tx: Transaction) -> None:
            await self._require_in(tx, chat_id)
            tree = by_id(await self._store.messages.tree_in(tx, *self._key, chat_id))
            old = tree.get(message_id)
            if old is None:
                raise _no_message()
            if old.text == text:
                return
            now = self._store.clock()
            await self._observe_messages(tx, chat_id, [replace(old, text=text, parts=(), edited_at=now)], now)
            await self._observe_chat(tx, partial_chat(self._source, chat_id, updated_at=now), now)

        await self._store.database.write(unit)
        return await self._require_message(chat_id, message_id)

    async def delete_message(self, chat_id: str, message_id: str) -> Sequence[str]:
        """Leave a tombstone. What follows it stays, and moves up to its parent."""

        async def unit(tx: Transaction) -> None:
            await self._require_in(tx, chat_id)
            tree = by_id(await self._store.messages.tree_in(tx, *self._key, chat_id))
            gone = tree.pop(message_id, None)
            if gone is None:
                raise _no_message()
            now = self._store.clock()
            moved = [replace(one, parent_id=gone.parent_id) for one in tree.values() if one.parent_id == message_id]
            tree |= by_id(moved)
            leaf = await self._store.messages.leaf_in(tx, *self._key, chat_id)
            if leaf not in tree:
                leaf = newest_leaf(tree, gone.parent_id if gone.parent_id in tree else None)
            await self._observe_messages(tx, chat_id, [*moved, replace(gone, deleted_at=now)], now, leaf=leaf)
            await self._touch(tx, chat_id, now)

        await self._store.database.write(unit)
        return (message_id,)

    async def regenerate(
        self, chat_id: str, message_id: str, *, reply_id: str, model: str | None
    ) -> AsyncIterator[Progress]:
        """Never called."""
        self._refuse(Capability.REGENERATE_REPLY)
        yield Progress(None)

    async def follow_reply(self, chat_id: str, message_id: str) -> AsyncIterator[Message]:
        """Nothing here is ever being written: the message as it is."""
        yield await self._require_message(chat_id, message_id)

    async def watch(self, chat_id: str | None) -> AsyncIterator[Notice]:
        """Never called: what happens here is in the log."""
        self._refuse(Capability.LIVE_MESSAGES)
        yield ChatTouched()

    async def stop_reply(self, chat_id: str, message_id: str) -> Message | None:
        """Never called."""
        self._refuse(Capability.STOP_REPLY)

    async def create_folder(self, name: str, parent_id: str | None) -> Folder:
        """Never called: `has_folders` is False."""
        self._refuse(Capability.MOVE_CHAT)

    async def update_folder(self, folder_id: str, *, name: str | None, parent_id: str | None, moves: bool) -> Folder:
        """Never called: `has_folders` is False."""
        self._refuse(Capability.MOVE_CHAT)

    async def delete_folder(self, folder_id: str, contents: FolderContents) -> None:
        """Never called: `has_folders` is False."""
        self._refuse(Capability.MOVE_CHAT)

    # Inside

    @property
    def _key(self) -> tuple[int, int]:
        return (self._source.organization_id, self._source.id)

    def _query(self, limit: int) -> ChatQuery:
        return ChatQuery(organization_id=self._source.organization_id, source_ids=(self._source.id,), limit=limit)

    async def _change(self, chat_id: str, **told: object) -> Chat:
        async def unit(tx: Transaction) -> None:
            old = await self._require_in(tx, chat_id)
            changes = {name: value for name, value in told.items() if name != "updated_at"}
            if any(getattr(old, name) != value for name, value in changes.items()):
                await self._observe_chat(tx, partial_chat(self._source, chat_id, **told), self._store.clock())

        await self._store.database.write(unit)
        return await self._require(chat_id)

    async def _touch(self, tx: Transaction, chat_id: str, now: datetime) -> None:
        """Say of the chat what its messages have come to."""
        length, newest = await self._store.messages.extent_in(tx, *self._key, chat_id)
        told = {
            "updated_at": now,
            "last_message_at": instant(newest) if newest is not None else None,
            "message_count": length,
        }
        await self._observe_chat(tx, partial_chat(self._source, chat_id, **told), now)

    async def _file(self, tx: Transaction, chat_id: str, folder_id: str | None, now: datetime) -> None:
        ref = FolderRef(GATEWAY, folder_id) if folder_id is not None else None
        if ref is not None and not await self._store.folders.exists(tx, self._source.organization_id, ref):
            raise InvalidArgument(
                "A chat was to be filed in a folder that is not there. Choose a folder of the gateway.",
                path=("folderId",),
            )
        await self._store.chats.set_overlay(
            tx, self._source.organization_id, self._source.id, chat_id, folder=ref, at=now
        )

    async def _observe_chat(self, tx: Transaction, chat: Chat, now: datetime) -> None:
        seen = ChatsSeen(
            organization_id=self._source.organization_id,
            source_id=self._source.id,
            rows=(chat,),
            started_at=now,
            from_newest=False,
            is_whole=False,
            is_own_write=True,
            is_certain=True,
        )
        await self._store.chats.observe(tx, seen)

    async def _observe_messages(
        self, tx: Transaction, chat_id: str, messages: Sequence[Message], now: datetime, *, leaf: str | None = None
    ) -> None:
        seen = MessagesSeen(
            organization_id=self._source.organization_id,
            source_id=self._source.id,
            chat_id=chat_id,
            messages=messages,
            started_at=now,
            is_whole=False,
            includes_newest=True,
            active_leaf=leaf,
            is_own_write=True,
            is_certain=True,
        )
        await self._store.messages.observe(tx, seen)

    async def _require_in(self, tx: Transaction, chat_id: str) -> Chat:
        chat = await self._store.chats.get_in(tx, self._source.organization_id, self._source.id, chat_id)
        if chat is None:
            raise _no_chat()
        return chat

    async def _require(self, chat_id: str) -> Chat:
        chat = await self.get_chat(chat_id)
        if chat is None:
            raise _no_chat()
        return chat

    async def _require_message(self, chat_id: str, message_id: str) -> Message:
        message = await self.get_message(chat_id, message_id)
        if message is None:
            raise _no_message()
        return message

    def _refuse(self, capability: Capability) -> NoReturn:
        raise CapabilityMissing(
            f"{capability.value} was asked of {self._source.key}, but the local store cannot do it. "
            "Look at `Source.capabilities` first.",
            capability=capability,
            source_id=self._source.id,
        )


def _neighbours(place: ListToken, has_more: bool) -> tuple[bool, bool]:
    """Whether there are rows behind and ahead: on the side where a page came from there are, on the other `has_more` tells."""
    if place.is_backwards:
        return True, has_more
    return has_more, place.after is not None


def _live(chat: Chat) -> Chat:
    """The store is the source here, not a copy of it."""
    return replace(chat, as_of=None)


def _found(found: Chat | Message) -> Chat | Message:
    return _live(found) if isinstance(found, Chat) else found


def _no_chat() -> NotFound:
    return NotFound("A chat was to be read or changed, but there is none with this id. Check the id.")


def _no_message() -> NotFound:
    return NotFound("A message was to be changed, but the chat has none with this id. Check the id.")
