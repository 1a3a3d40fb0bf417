"""An in-memory source with any kind of pager, for what is hard to arrange with a vendor: ties, failures, changes between pages."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from domain.capabilities import (
    Capabilities,
    Capability,
    ChatOrder,
    ChatOrderField,
    Support,
    native,
    overlay,
)
from domain.errors import NotFound, UpstreamRejected, UpstreamTimeout
from domain.paging import sorted_chats
from domain.records import (
    Account,
    Agent,
    Chat,
    Check,
    Folder,
    FolderRef,
    Health,
    Message,
    MessageRole,
    MessageState,
    SearchHit,
    Source,
)
from domain.source import (
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
from resolvers.context import utc_now
from tests.builders import at

NEWEST_FIRST = ChatOrder(ChatOrderField.UPDATED_AT, descending=True)
ROW = frozenset({"title", "created_at", "updated_at"})


def capabilities(
    *native_orders: ChatOrder, also: Mapping[Capability, Support] | None = None, **changes: Any
) -> Capabilities:
    """Lists, reads and sends; keeps nothing else itself, unless `also` says so."""
    support = {
        Capability.CREATE_CHAT: native(),
        Capability.LIST_CHATS: native(),
        Capability.READ_CHAT: native(),
        Capability.LIST_MESSAGES: native(),
        Capability.READ_MESSAGE: native(),
        Capability.SEND_MESSAGE: native(),
        Capability.DELETE_CHAT: native(),
        Capability.PIN_CHAT: overlay(),
        Capability.ARCHIVE_CHAT: overlay(),
        Capability.TAG_CHAT: overlay(),
        Capability.MOVE_CHAT: overlay(),
    }
    support.update(also or {})
    return Capabilities(support=support, native_orders=native_orders, row_fields=ROW, **changes)


class Fault(Enum):
    """What happens to one request to send."""

    REFUSED = "the source says no: nothing was done, and that is certain"
    BEFORE = "the connection breaks before the source has it"
    AFTER = "the source has it, and its answer is lost"


@dataclass
class FakeSource:
    """A source whose rows are a list. `fails` is raised by every reading call; `hold` is awaited before each answer.

    With native orders it pages by `page_size`; ties are shown in reverse of the gateway's order, as a vendor may.
    """

    source: Source
    chats: list[Chat] = field(default_factory=list)
    messages: dict[str, list[Message]] = field(default_factory=dict)
    capabilities: Capabilities = field(default_factory=capabilities)
    page_size: int = 3
    fails: Exception | None = None
    hold: asyncio.Event | None = None
    calls: list[str] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)
    hits: list[SearchHit] = field(default_factory=list)
    created: list[NewChat] = field(default_factory=list)
    faults: deque[Fault | None] = field(default_factory=deque)
    says: str = "Hello yourself"
    half_replies: bool = False
    """After `Fault.AFTER` the reply is still being written."""
    tells_ids_late: bool = False
    """Until a reply is final, neither its id nor that of its message is told; the chat shows them."""
    words: "asyncio.Queue[str | MessageState | Exception] | None" = None
    """What a reply grows to, step by step: a text is all its words so far, a state ends it, an exception breaks off."""
    fails_at: dict[str, Exception] = field(default_factory=dict)
    """Raised by single operations."""
    fails_after_send: dict[str, Exception] = field(default_factory=dict)
    """Raised by single operations once something was sent."""
    form: Mapping[str, Any] | None = None
    """What `createChat` must look like."""
    hold_at: dict[str, asyncio.Event] = field(default_factory=dict)
    """Awaited by single operations."""
    notices: "asyncio.Queue[Notice | None]" = field(default_factory=asyncio.Queue)
    """What its stream tells; None: the stream ends."""
    _given: int = 0
    _arrived: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    def adopt(self, source: Source) -> None:
        """Become the source of this record: every row is of it."""
        self.source = source
        ids: dict[str, Any] = {"organization_id": source.organization_id, "source_id": source.id}
        self.chats = [replace(chat, **ids) for chat in self.chats]
        self.messages = {
            chat: [replace(message, **ids) for message in messages] for chat, messages in self.messages.items()
        }
        self.folders = [replace(folder, **ids) for folder in self.folders]
        self.hits = [replace(hit, found=replace(hit.found, **ids)) for hit in self.hits]

    async def until_asked(self, operation: str) -> None:
        """Until it is asked for this, or was before."""
        await self._arrived[operation].wait()

    async def _asked(self, operation: str) -> None:
        self.calls.append(operation)
        self._arrived[operation].set()
        if (hold := self.hold_at.get(operation)) is not None:
            await hold.wait()
        if self.hold is not None:
            await self.hold.wait()
        if self.fails is not None:
            raise self.fails
        if operation in self.fails_at:
            raise self.fails_at[operation]

    def health(self) -> Health:
        return Health()

    async def aclose(self) -> None:
        return None

    async def check(self) -> Sequence[Check]:
        await self._asked("check")
        return [Check("reachable", True, "It answers.")]

    async def account(self) -> Account | None:
        return None

    async def list_chats(self, order: ChatOrder, token: str | None) -> SourcePage[Chat]:
        assert order in self.capabilities.native_orders
        started_at = utc_now()
        await self._asked("list_chats")
        page = int(token or 0)
        rows = [replace(chat, told=ROW) for chat in self._in_vendor_order(order)]
        shown = rows[page * self.page_size : (page + 1) * self.page_size]
        return SourcePage(
            shown,
            started_at,
            next=str(page + 1) if (page + 1) * self.page_size < len(rows) else None,
            previous=str(page - 1) if page > 0 else None,
        )

    def _in_vendor_order(self, order: ChatOrder) -> list[Chat]:
        rows = sorted_chats(list(reversed(self.chats)), order)
        rows.sort(key=lambda chat: chat.native_id, reverse=True)
        rows.sort(key=lambda chat: chat.updated_at.timestamp() if chat.updated_at else 0, reverse=order.descending)
        return rows

    async def drain_chats(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        started_at = utc_now()
        await self._asked("drain_chats")
        for start in range(0, len(self.chats), self.page_size):
            rows = [replace(chat, told=ROW | needs) for chat in self.chats[start : start + self.page_size]]
            yield SourcePage(rows, started_at)

    async def get_chat(self, chat_id: str) -> Chat | None:
        await self._asked("get_chat")
        return next((chat for chat in self.chats if chat.native_id == chat_id), None)

    async def read_messages(self, chat_id: str, window: MessageWindow) -> MessagesRead | None:
        started_at = utc_now()
        await self._asked("read_messages")
        if all(chat.native_id != chat_id for chat in self.chats):
            return None
        rows = self.messages.get(chat_id, [])
        leaf = rows[-1].native_id if rows else None
        return MessagesRead(messages=rows, started_at=started_at, is_complete=True, active_leaf=leaf)

    async def get_message(self, chat_id: str, message_id: str) -> Message | None:
        return next((one for one in self.messages.get(chat_id, []) if one.native_id == message_id), None)

    async def list_folders(self) -> Sequence[Folder]:
        await self._asked("list_folders")
        return self.folders

    async def list_agents(self) -> Sequence[Agent] | None:
        return None

    async def search(self, request: SearchRequest) -> SourcePage[SearchHit]:
        started_at = utc_now()
        await self._asked("search")
        return SourcePage(self.hits[: request.limit], started_at)

    # Writing chats

    async def create_chat(self, new: NewChat) -> Chat:
        await self._asked("create_chat")
        self.created.append(new)
        chat = Chat(
            organization_id=self.source.organization_id,
            source_id=self.source.id,
            native_id=f"new{len(self.created)}",
            title=new.title,
            tags=new.tags,
            metadata=new.metadata,
            folder=FolderRef(self.source.id, new.folder_id) if new.folder_id is not None else None,
            created_at=at(len(self.created)),
            updated_at=at(len(self.created)),
        )
        self.chats.append(chat)
        return chat

    async def rename_chat(self, chat_id: str, title: str | None) -> Chat:
        return await self._changed("rename_chat", chat_id, title=title)

    async def set_metadata(self, chat_id: str, metadata: Mapping[str, Any] | None) -> Chat:
        return await self._changed("set_metadata", chat_id, metadata=metadata)

    async def set_tags(self, chat_id: str, tags: Sequence[str]) -> Chat:
        return await self._changed("set_tags", chat_id, tags=tuple(tags))

    async def set_pinned(self, chat_id: str, pinned: bool) -> Chat:
        return await self._changed("set_pinned", chat_id, pinned=pinned)

    async def set_archived(self, chat_id: str, archived: bool) -> Chat:
        """Takes the chat out of its folder, as Open WebUI does."""
        return await self._changed("set_archived", chat_id, archived=archived, folder=None)

    async def move_chat(self, chat_id: str, folder_id: str | None) -> Chat:
        folder = FolderRef(self.source.id, folder_id) if folder_id is not None else None
        return await self._changed("move_chat", chat_id, folder=folder)

    async def share_chat(self, chat_id: str) -> Chat:
        return await self._changed("share_chat", chat_id, share_url="https://chat.example.com/s/1")

    async def unshare_chat(self, chat_id: str) -> Chat:
        return await self._changed("unshare_chat", chat_id, share_url=None)

    async def delete_chat(self, chat_id: str) -> None:
        await self._asked("delete_chat")
        self._chat(chat_id)
        self.chats = [chat for chat in self.chats if chat.native_id != chat_id]

    async def _changed(self, operation: str, chat_id: str, **changes: Any) -> Chat:
        await self._asked(operation)
        changed = replace(self._chat(chat_id), **changes)
        self.chats = [changed if chat.native_id == chat_id else chat for chat in self.chats]
        return changed

    def _chat(self, chat_id: str) -> Chat:
        for chat in self.chats:
            if chat.native_id == chat_id:
                return chat
        raise NotFound("The fake has no such chat.")

    # Writing messages

    async def send_message(self, new: NewMessage) -> AsyncGenerator[Progress, None]:
        """One entry of `faults` is used up. The reply says `says`, or what the test puts into `words`, up to None or an exception."""
        await self._asked("send_message")
        self.fails_at.update(self.fails_after_send)
        fault = self.faults.popleft() if self.faults else None
        if fault is Fault.REFUSED:
            raise UpstreamRejected("The fake says no.", source_id=self.source.id, operation="send_message")
        if fault is Fault.BEFORE:
            raise self._cut_off()
        message = self._add(new.chat_id, new.id, new.role, new.text)
        if fault is Fault.AFTER:
            if new.wants_reply:
                state = MessageState.STREAMING if self.half_replies else MessageState.COMPLETE
                self._add(new.chat_id, new.reply_id, MessageRole.ASSISTANT, self.says, state)
            raise self._cut_off()
        if not new.wants_reply:
            yield Progress(message)
            return
        reply = self._add(new.chat_id, new.reply_id, MessageRole.ASSISTANT, "", MessageState.STREAMING)
        if not self.capabilities.replies_late:
            yield self._told(new, message, reply)
        async for grown in self._growing(reply):
            if grown.state.is_final or not self.capabilities.replies_late:
                yield self._told(new, message, grown)

    def _told(self, new: NewMessage, message: Message, reply: Message) -> Progress:
        if not self.tells_ids_late or reply.state.is_final:
            return Progress(message, reply)
        return Progress(None, replace(reply, native_id=new.reply_id, parent_id=new.id))

    async def regenerate(
        self, chat_id: str, message_id: str, *, reply_id: str, model: str | None
    ) -> AsyncGenerator[Progress, None]:
        await self._asked("regenerate")
        if self.faults:
            raise self._cut_off()
        old = next(one for one in self.messages[chat_id] if one.native_id == message_id)
        reply = replace(old, native_id=reply_id, text="", state=MessageState.STREAMING)
        self.messages[chat_id].append(reply)
        yield Progress(None, reply)
        async for grown in self._growing(reply):
            yield Progress(None, grown)

    async def follow_reply(self, chat_id: str, message_id: str) -> AsyncGenerator[Message, None]:
        await self._asked("follow_reply")
        reply = next(one for one in self.messages[chat_id] if one.native_id == message_id)
        async for grown in self._growing(reply):
            yield grown

    async def watch(self, chat_id: str | None) -> AsyncGenerator[Notice, None]:
        """What a test puts into `notices`, until it puts None."""
        await self._asked("watch")
        while (notice := await self.notices.get()) is not None:
            yield notice

    async def stop_reply(self, chat_id: str, message_id: str) -> Message | None:
        await self._asked("stop_reply")
        reply = next((one for one in self.messages.get(chat_id, []) if one.native_id == message_id), None)
        if reply is None:
            return None
        if self.words is not None:
            self.words.put_nowait(MessageState.CANCELLED)
        return replace(reply, state=MessageState.CANCELLED)

    async def edit_message(self, chat_id: str, message_id: str, text: str) -> Message:
        await self._asked("edit_message")
        old = next(one for one in self.messages[chat_id] if one.native_id == message_id)
        return self._put(replace(old, text=text))

    async def delete_message(self, chat_id: str, message_id: str) -> Sequence[str]:
        """With its answers, as Open WebUI does."""
        await self._asked("delete_message")
        gone = [one.native_id for one in self.messages[chat_id] if message_id in (one.native_id, one.parent_id)]
        self.messages[chat_id] = [one for one in self.messages[chat_id] if one.native_id not in gone]
        return gone

    def says_by_itself(self, chat_id: str, text: str, role: MessageRole = MessageRole.USER) -> Message:
        """A message that did not come through the gateway."""
        self._given += 1
        return self._add(chat_id, f"foreign{self._given}", role, text)

    async def grows_to(self, words: str) -> None:
        """The reply that is being written gets these words; returns when whoever follows it has dealt with them."""
        assert self.words is not None
        self._arrived["words"].clear()
        self.words.put_nowait(words)
        await self.until_asked("words")

    async def _growing(self, reply: Message) -> AsyncIterator[Message]:
        while self.words is not None:
            if self.words.empty():
                self._arrived["words"].set()
            words = await self.words.get()
            if isinstance(words, Exception):
                raise words
            if isinstance(words, MessageState):
                yield self._put(replace(await self._now(reply), state=words))
                return
            yield self._put(replace(reply, text=words))
        yield self._put(replace(reply, text=self.says, state=MessageState.COMPLETE))

    async def _now(self, reply: Message) -> Message:
        return await self.get_message(reply.chat_id, reply.native_id) or reply

    def _add(
        self,
        chat_id: str,
        wanted_id: str,
        role: MessageRole,
        text: str,
        state: MessageState = MessageState.COMPLETE,
    ) -> Message:
        self._given += 1
        rows = self.messages.setdefault(chat_id, [])
        native_id = wanted_id if self.capabilities.takes_message_ids or "foreign" in wanted_id else f"n{self._given}"
        for known in rows:
            if known.native_id == native_id:
                return known
        message = Message(
            organization_id=self.source.organization_id,
            source_id=self.source.id,
            chat_id=chat_id,
            native_id=native_id,
            role=role,
            text=text,
            state=state,
            parent_id=rows[-1].native_id if rows else None,
            created_at=at(1000 + self._given),
        )
        rows.append(message)
        return message

    def _put(self, message: Message) -> Message:
        rows = self.messages[message.chat_id]
        self.messages[message.chat_id] = [message if one.native_id == message.native_id else one for one in rows]
        return message

    def _cut_off(self) -> UpstreamTimeout:
        return UpstreamTimeout(
            "The fake broke the connection.",
            source_id=self.source.id,
            operation="send_message",
            perhaps_executed=True,
        )

    # Folders

    async def create_folder(self, name: str, parent_id: str | None) -> Folder:
        await self._asked("create_folder")
        folder = Folder(
            organization_id=self.source.organization_id,
            source_id=self.source.id,
            native_id=f"f{len(self.folders) + 1}",
            name=name,
            parent_id=parent_id,
        )
        self.folders.append(folder)
        return folder

    async def update_folder(self, folder_id: str, *, name: str | None, parent_id: str | None, moves: bool) -> Folder:
        await self._asked("update_folder")
        old = next(folder for folder in self.folders if folder.native_id == folder_id)
        changed = replace(old, name=name or old.name, parent_id=parent_id if moves else old.parent_id)
        self.folders = [changed if folder.native_id == folder_id else folder for folder in self.folders]
        return changed

    async def delete_folder(self, folder_id: str, contents: FolderContents) -> None:
        """With all inside; the chats too, or they drop out of it, as at Open WebUI."""
        await self._asked("delete_folder")
        gone = {folder_id}
        for _ in self.folders:
            gone |= {folder.native_id for folder in self.folders if folder.parent_id in gone}
        self.folders = [folder for folder in self.folders if folder.native_id not in gone]
        inside = {chat.native_id for chat in self.chats if chat.folder is not None and chat.folder.native_id in gone}
        if contents is FolderContents.DELETE_CHATS:
            self.chats = [chat for chat in self.chats if chat.native_id not in inside]
        self.chats = [replace(chat, folder=None) if chat.native_id in inside else chat for chat in self.chats]


def a_connector(
    vendor: str,
    connect: Callable[[Source], FakeSource],
    table: Capabilities | None = None,
    form: Mapping[str, Any] | None = None,
) -> Connector:
    """A vendor that is made of fakes."""
    return Connector(
        vendor=vendor,
        display_name=vendor.title(),
        capabilities=table or capabilities(),
        credentials_schema={"type": "object"},
        options_schema={"type": "object"},
        create_chat_schema=form or {"type": "object"},
        connect=lambda source, credentials: connect(source),
    )
