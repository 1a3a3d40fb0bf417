"""Mutations of chats."""

import strawberry

from resolvers import chat_creation, chat_writes, copying
from schema.arguments import Info, Input
from schema.chat import Chat
from schema.chat_inputs import (
    CopyChatInput,
    CreateChatInput,
    DeleteChatInput,
    MarkChatReadInput,
    MoveChatInput,
    SetChatArchivedInput,
    SetChatPinnedInput,
    SetChatTagsInput,
    ShareChatInput,
    UnshareChatInput,
    UpdateChatInput,
)
from schema.chat_payloads import (
    CopyChatPayload,
    CopyLoss,
    CreateChatPayload,
    DeleteChatPayload,
    MarkChatReadPayload,
    MoveChatPayload,
    SetChatArchivedPayload,
    SetChatPinnedPayload,
    SetChatTagsPayload,
    ShareChatPayload,
    UnshareChatPayload,
    UpdateChatPayload,
)
from schema.mutation_parts import changed, mutation


@strawberry.type
class ChatMutations:
    @mutation("Start a chat at a source.")
    async def create_chat(self, info: Info, input: Input[CreateChatInput]) -> CreateChatPayload:
        done = await chat_creation.create_chat(info.context, input.of_resolvers())
        return CreateChatPayload(chat=Chat.of(done.value), replayed=done.replayed)

    @mutation("Change a chat. A field that is left out stays as it is; null empties it.")
    async def update_chat(self, info: Info, input: Input[UpdateChatInput]) -> UpdateChatPayload:
        title, metadata = changed(input.title), changed(input.metadata)
        chat = await chat_writes.update_chat(
            info.context,
            chat_id=input.chat_id,
            title=title,
            metadata=metadata,
            expected_version=input.expected_version,
        )
        return UpdateChatPayload(chat=Chat.of(chat))

    @mutation("Delete a chat with all its messages, for good.")
    async def delete_chat(self, info: Info, input: Input[DeleteChatInput]) -> DeleteChatPayload:
        gone = await chat_writes.delete_chat(
            info.context, chat_id=input.chat_id, expected_version=input.expected_version
        )
        return DeleteChatPayload(deleted_chat_id=strawberry.ID(gone))

    @mutation("Pin a chat, or unpin it. Saying the same twice changes nothing.")
    async def set_chat_pinned(self, info: Info, input: Input[SetChatPinnedInput]) -> SetChatPinnedPayload:
        chat = await chat_writes.set_chat_pinned(info.context, chat_id=input.chat_id, pinned=input.pinned)
        return SetChatPinnedPayload(chat=Chat.of(chat))

    @mutation("Archive a chat, or bring it back. Saying the same twice changes nothing.")
    async def set_chat_archived(self, info: Info, input: Input[SetChatArchivedInput]) -> SetChatArchivedPayload:
        chat = await chat_writes.set_chat_archived(info.context, chat_id=input.chat_id, archived=input.archived)
        return SetChatArchivedPayload(chat=Chat.of(chat))

    @mutation("Give a chat these tags and no others.")
    async def set_chat_tags(self, info: Info, input: Input[SetChatTagsInput]) -> SetChatTagsPayload:
        chat = await chat_writes.set_chat_tags(
            info.context, chat_id=input.chat_id, tags=input.tags, expected_version=input.expected_version
        )
        return SetChatTagsPayload(chat=Chat.of(chat))

    @mutation("Put a chat into a folder, or take it out.")
    async def move_chat(self, info: Info, input: Input[MoveChatInput]) -> MoveChatPayload:
        chat = await chat_writes.move_chat(info.context, chat_id=input.chat_id, folder_id=input.folder_id)
        return MoveChatPayload(chat=Chat.of(chat))

    @mutation("Publish a chat under a link, which is then its `shareUrl`.")
    async def share_chat(self, info: Info, input: Input[ShareChatInput]) -> ShareChatPayload:
        chat = await chat_writes.share_chat(info.context, chat_id=input.chat_id)
        return ShareChatPayload(chat=Chat.of(chat))

    @mutation("Make the link of a shared chat useless.")
    async def unshare_chat(self, info: Info, input: Input[UnshareChatInput]) -> UnshareChatPayload:
        chat = await chat_writes.unshare_chat(info.context, chat_id=input.chat_id)
        return UnshareChatPayload(chat=Chat.of(chat))

    @mutation("Move your read marker in a chat. It only moves forwards.")
    async def mark_chat_read(self, info: Info, input: Input[MarkChatReadInput]) -> MarkChatReadPayload:
        chat = await chat_writes.mark_chat_read(
            info.context, chat_id=input.chat_id, up_to_message_id=input.up_to_message_id, backwards=input.backwards
        )
        return MarkChatReadPayload(chat=Chat.of(chat))

    @mutation("Copy a chat to another source, or within one.")
    async def copy_chat(self, info: Info, input: Input[CopyChatInput]) -> CopyChatPayload:
        copied = await copying.copy_chat(info.context, input.of_resolvers())
        return CopyChatPayload(
            chat=None if copied.chat is None else Chat.of(copied.chat),
            losses=[CopyLoss.of(loss) for loss in copied.losses],
            replayed=copied.replayed,
        )
