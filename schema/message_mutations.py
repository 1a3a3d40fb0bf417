"""Mutations of messages: what they take, what they answer, and what they do."""

import strawberry

from domain import records
from resolvers import sending
from schema.arguments import Info, Input
from schema.attachment_input import AttachmentInput, attachments_of
from schema.enums import MessageRole, ReplyMode
from schema.message import Message
from schema.mutation_parts import IDEMPOTENCY_KEY, REPLAYED, MutationPayload, mutation
from schema.scalars import JSON


@strawberry.input(description="What `sendMessage` takes.")
class SendMessageInput:
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    text: str = strawberry.field(description="The words, usually Markdown.")
    role: MessageRole = strawberry.field(default=MessageRole.USER, description="Whose words they are.")
    parent_id: strawberry.ID | None = strawberry.field(
        default=None,
        description=(
            "The message to follow. Left out: the newest of the active path. Another one begins a new branch."
        ),
    )
    attachments: list[AttachmentInput] | None = strawberry.field(default=None, description="Files to send along.")
    model: str | None = strawberry.field(
        default=None, description="The model that shall answer, as the source names it. Left out: the one of the chat."
    )
    metadata: JSON | None = strawberry.field(default=None, description="What to attach to it.")
    reply: ReplyMode = strawberry.field(
        default=ReplyMode.STREAM, description="Whether to let the assistant answer, and whether to wait for it."
    )
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)
    client_mutation_id: str | None = strawberry.field(
        default=None,
        description=(
            "Any text. It comes back in the payload and in your own `MessageCreated`, so that a message "
            "shown in advance finds its real one."
        ),
    )

    def of_resolvers(self) -> sending.SendMessage:
        """As resolvers take it."""
        return sending.SendMessage(
            chat_id=self.chat_id,
            text=self.text,
            role=self.role,
            parent_id=self.parent_id,
            attachments=attachments_of(self.attachments),
            model=self.model,
            metadata=self.metadata,
            reply=self.reply,
            idempotency_key=self.idempotency_key,
            client_mutation_id=self.client_mutation_id,
        )


@strawberry.input(description="What `editMessage` takes.")
class EditMessageInput:
    message_id: strawberry.ID = strawberry.field(description="The message.")
    text: str = strawberry.field(description="The new words.")


@strawberry.input(description="What `deleteMessage` takes.")
class DeleteMessageInput:
    message_id: strawberry.ID = strawberry.field(description="The message.")


@strawberry.input(description="What `regenerateMessage` takes.")
class RegenerateMessageInput:
    message_id: strawberry.ID = strawberry.field(description="The answer to replace.")
    model: str | None = strawberry.field(
        default=None, description="The model that shall answer, as the source names it. Left out: the same again."
    )
    reply: ReplyMode = strawberry.field(default=ReplyMode.STREAM, description="Whether to wait for the answer.")
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)


@strawberry.input(description="What `stopGeneration` takes.")
class StopGenerationInput:
    message_id: strawberry.ID = strawberry.field(description="The answer.")


@strawberry.type(description="What `sendMessage` answers.")
class SendMessagePayload(MutationPayload):
    message: Message | None = strawberry.field(default=None, description="The message, or null when it failed.")
    reply: Message | None = strawberry.field(
        default=None, description="The answer, as far as it is, or null when there is none. It goes on in `chatEvents`."
    )
    replayed: bool = strawberry.field(default=False, description=REPLAYED)
    client_mutation_id: str | None = strawberry.field(
        default=None, description="What you gave as `clientMutationId`, or null."
    )


@strawberry.type(description="What `editMessage` answers.")
class EditMessagePayload(MutationPayload):
    message: Message | None = strawberry.field(
        default=None, description="The message after the change, or null when it failed."
    )


@strawberry.type(description="What `deleteMessage` answers.")
class DeleteMessagePayload(MutationPayload):
    deleted_message_id: strawberry.ID | None = strawberry.field(
        default=None, description="The id of the deleted message, or null when it failed."
    )
    deleted_message_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list, description="Every message that went with it: some sources delete the direct answers too."
    )
    message: Message | None = strawberry.field(
        default=None, description="What is left of it: no content, `deletedAt` set. Null when it failed."
    )


@strawberry.type(description="What `regenerateMessage` answers.")
class RegenerateMessagePayload(MutationPayload):
    message: Message | None = strawberry.field(
        default=None, description="The new answer, as far as it is, or null when it failed. It goes on in `chatEvents`."
    )
    replayed: bool = strawberry.field(default=False, description=REPLAYED)


@strawberry.type(description="What `stopGeneration` answers.")
class StopGenerationPayload(MutationPayload):
    message: Message | None = strawberry.field(
        default=None, description="The answer with what is there of it, or null when it failed."
    )


@strawberry.type
class MessageMutations:
    @mutation("Write a message into a chat, and let the assistant answer where the source can.")
    async def send_message(self, info: Info, input: Input[SendMessageInput]) -> SendMessagePayload:
        sent = await sending.send_message(info.context, input.of_resolvers())
        return SendMessagePayload(
            message=_shown(sent.message),
            reply=_shown(sent.reply),
            replayed=sent.replayed,
            client_mutation_id=sent.client_mutation_id,
        )

    @mutation("Change the words of a message.")
    async def edit_message(self, info: Info, input: Input[EditMessageInput]) -> EditMessagePayload:
        record = await sending.edit_message(info.context, message_id=input.message_id, text=input.text)
        return EditMessagePayload(message=Message.of(record))

    @mutation(
        "Delete a message. What follows it stays. One that failed and never came to its source can be deleted at every source."
    )
    async def delete_message(self, info: Info, input: Input[DeleteMessageInput]) -> DeleteMessagePayload:
        deleted = await sending.delete_message(info.context, message_id=input.message_id)
        return DeleteMessagePayload(
            deleted_message_id=input.message_id,
            deleted_message_ids=[strawberry.ID(id_) for id_ in deleted.ids],
            message=_shown(deleted.message),
        )

    @mutation("Let the assistant answer once more. The new answer becomes a sibling of the old one.")
    async def regenerate_message(self, info: Info, input: Input[RegenerateMessageInput]) -> RegenerateMessagePayload:
        sent = await sending.regenerate_message(
            info.context,
            message_id=input.message_id,
            model=input.model,
            reply=input.reply,
            idempotency_key=input.idempotency_key,
        )
        return RegenerateMessagePayload(message=_shown(sent.reply), replayed=sent.replayed)

    @mutation("Stop an answer that is being written. An answer that is finished stays as it is.")
    async def stop_generation(self, info: Info, input: Input[StopGenerationInput]) -> StopGenerationPayload:
        record = await sending.stop_generation(info.context, message_id=input.message_id)
        return StopGenerationPayload(message=Message.of(record))


def _shown(record: records.Message | None) -> Message | None:
    return None if record is None else Message.of(record)
