"""What mutations of chats take."""

import strawberry

from resolvers import chat_creation, copying
from schema.arguments import listed
from schema.attachment_input import AttachmentInput, attachments_of
from schema.enums import MessageRole
from schema.mutation_parts import EXPECTED_VERSION, IDEMPOTENCY_KEY
from schema.scalars import JSON


@strawberry.input(description="A message that a new chat begins with.")
class NewMessageInput:
    role: MessageRole = strawberry.field(default=MessageRole.USER, description="Whose words they are.")
    text: str = strawberry.field(description="The words, usually Markdown.")
    attachments: list[AttachmentInput] | None = strawberry.field(default=None, description="Files that belong to it.")
    metadata: JSON | None = strawberry.field(default=None, description="What to attach to it.")

    def of_resolvers(self) -> chat_creation.FirstMessageInput:
        """As resolvers take it."""
        return chat_creation.FirstMessageInput(
            role=self.role, text=self.text, attachments=attachments_of(self.attachments), metadata=self.metadata
        )


@strawberry.input(description="What `createChat` takes.")
class CreateChatInput:
    source_id: strawberry.ID = strawberry.field(description="Where it shall live.")
    title: str | None = strawberry.field(
        default=None, description="The title. Left out: the source finds one, or it has none."
    )
    agent: str | None = strawberry.field(
        default=None,
        description="The assistant, agent or model to talk to, as the source names it. Some sources demand it.",
    )
    user_id: str | None = strawberry.field(
        default=None, description="Whose chat it is, as the source names people. Some sources demand it."
    )
    metadata: JSON | None = strawberry.field(default=None, description="What to attach to it.")
    tags: list[str] | None = strawberry.field(default=None, description="Its tags.")
    folder_id: strawberry.ID | None = strawberry.field(default=None, description="The folder to put it into.")
    messages: list[NewMessageInput] | None = strawberry.field(
        default=None, description="Messages that it begins with, oldest first. They are stored, not answered."
    )
    options: JSON | None = strawberry.field(
        default=None,
        description="What this source takes beyond the fields above. `Source.createChatSchema` describes it.",
    )
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)

    def of_resolvers(self) -> chat_creation.CreateChat:
        """As resolvers take it."""
        return chat_creation.CreateChat(
            source_id=self.source_id,
            title=self.title,
            agent=self.agent,
            user_id=self.user_id,
            metadata=self.metadata,
            tags=listed(self.tags),
            folder_id=self.folder_id,
            messages=tuple(message.of_resolvers() for message in self.messages or []),
            options=self.options,
            idempotency_key=self.idempotency_key,
        )


@strawberry.input(description="What `updateChat` takes.")
class UpdateChatInput:
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    title: strawberry.Maybe[str | None] = strawberry.field(default=None, description="The new title.")
    metadata: strawberry.Maybe[JSON | None] = strawberry.field(
        default=None, description="The new metadata, in place of all that was there."
    )
    expected_version: str | None = strawberry.field(default=None, description=EXPECTED_VERSION)


@strawberry.input(description="What `deleteChat` takes.")
class DeleteChatInput:
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    expected_version: str | None = strawberry.field(default=None, description=EXPECTED_VERSION)


@strawberry.input(description="What `setChatPinned` takes.")
class SetChatPinnedInput:
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    pinned: bool = strawberry.field(description="Whether it shall be pinned.")


@strawberry.input(description="What `setChatArchived` takes.")
class SetChatArchivedInput:
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    archived: bool = strawberry.field(description="Whether it shall be archived.")


@strawberry.input(description="What `setChatTags` takes.")
class SetChatTagsInput:
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    tags: list[str] = strawberry.field(description="All its tags.")
    expected_version: str | None = strawberry.field(default=None, description=EXPECTED_VERSION)


@strawberry.input(description="What `moveChat` takes.")
class MoveChatInput:
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    folder_id: strawberry.ID | None = strawberry.field(
        default=None, description="The folder. Null or left out: into none."
    )


@strawberry.input(description="What `shareChat` takes.")
class ShareChatInput:
    chat_id: strawberry.ID = strawberry.field(description="The chat.")


@strawberry.input(description="What `unshareChat` takes.")
class UnshareChatInput:
    chat_id: strawberry.ID = strawberry.field(description="The chat.")


@strawberry.input(description="What `markChatRead` takes.")
class MarkChatReadInput:
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    up_to_message_id: strawberry.ID | None = strawberry.field(
        default=None, description="The last message that you have read. Left out: the newest."
    )
    backwards: bool = strawberry.field(
        default=False,
        description=(
            "Move your marker also back, which makes what follows unread again. Otherwise it only moves forwards, so that two "
            "devices cannot undo each other's reading."
        ),
    )


@strawberry.input(description="What `copyChat` takes.")
class CopyChatInput:
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    target_source_id: strawberry.ID = strawberry.field(description="Where the copy shall live.")
    target_folder_id: strawberry.ID | None = strawberry.field(
        default=None, description="The folder to put the copy into."
    )
    agent: str | None = strawberry.field(
        default=None, description="The assistant, agent or model that the copy talks to, as the target names it."
    )
    options: JSON | None = strawberry.field(
        default=None, description="What the target takes beyond this. Its `Source.createChatSchema` describes it."
    )
    dry_run: bool = strawberry.field(
        default=False, description="Only tell in `losses` what the target cannot hold; write nothing."
    )
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)

    def of_resolvers(self) -> copying.CopyChat:
        """As resolvers take it."""
        return copying.CopyChat(
            chat_id=self.chat_id,
            target_source_id=self.target_source_id,
            target_folder_id=self.target_folder_id,
            agent=self.agent,
            options=self.options,
            dry_run=self.dry_run,
            idempotency_key=self.idempotency_key,
        )
