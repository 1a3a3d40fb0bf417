"""What mutations of chats answer."""

import strawberry

from resolvers import copying
from schema.chat import Chat
from schema.enums import Capability
from schema.mutation_parts import REPLAYED, MutationPayload


@strawberry.type(description="Something that a copy of a chat does not have.")
class CopyLoss:
    capability: Capability = strawberry.field(description="What the target cannot do.")
    count: int = strawberry.field(description="How many things are lost, for example branches or files.")
    message: str = strawberry.field(description="What is lost, in a sentence for people.")

    @classmethod
    def of(cls, loss: copying.Loss) -> "CopyLoss":
        """The GraphQL type of a loss."""
        return cls(capability=loss.capability, count=loss.count, message=loss.message)


@strawberry.type(description="What `createChat` answers.")
class CreateChatPayload(MutationPayload):
    chat: Chat | None = strawberry.field(default=None, description="The new chat, or null when it failed.")
    replayed: bool = strawberry.field(default=False, description=REPLAYED)


@strawberry.type(description="What `updateChat` answers.")
class UpdateChatPayload(MutationPayload):
    chat: Chat | None = strawberry.field(default=None, description="The chat after the change, or null when it failed.")


@strawberry.type(description="What `deleteChat` answers.")
class DeleteChatPayload(MutationPayload):
    deleted_chat_id: strawberry.ID | None = strawberry.field(
        default=None, description="The id of the chat that is gone, or null when it failed."
    )


@strawberry.type(description="What `setChatPinned` answers.")
class SetChatPinnedPayload(MutationPayload):
    chat: Chat | None = strawberry.field(default=None, description="The chat after the change, or null when it failed.")


@strawberry.type(description="What `setChatArchived` answers.")
class SetChatArchivedPayload(MutationPayload):
    chat: Chat | None = strawberry.field(default=None, description="The chat after the change, or null when it failed.")


@strawberry.type(description="What `setChatTags` answers.")
class SetChatTagsPayload(MutationPayload):
    chat: Chat | None = strawberry.field(default=None, description="The chat after the change, or null when it failed.")


@strawberry.type(description="What `moveChat` answers.")
class MoveChatPayload(MutationPayload):
    chat: Chat | None = strawberry.field(default=None, description="The chat after the change, or null when it failed.")


@strawberry.type(description="What `shareChat` answers.")
class ShareChatPayload(MutationPayload):
    chat: Chat | None = strawberry.field(default=None, description="The chat after the change, or null when it failed.")


@strawberry.type(description="What `unshareChat` answers.")
class UnshareChatPayload(MutationPayload):
    chat: Chat | None = strawberry.field(default=None, description="The chat after the change, or null when it failed.")


@strawberry.type(description="What `markChatRead` answers.")
class MarkChatReadPayload(MutationPayload):
    chat: Chat | None = strawberry.field(default=None, description="The chat after the change, or null when it failed.")


@strawberry.type(description="What `copyChat` answers.")
class CopyChatPayload(MutationPayload):
    chat: Chat | None = strawberry.field(
        default=None, description="The copy, or null when it failed or was only tried."
    )
    losses: list[CopyLoss] = strawberry.field(
        default_factory=list, description="What the copy does not have, because the target cannot hold it."
    )
    replayed: bool = strawberry.field(default=False, description=REPLAYED)
