"""Mutations of folders: what they take, what they answer, and what they do."""

import strawberry

from domain.errors import InvalidArgument
from resolvers import folders
from schema.arguments import Info, Input
from schema.enums import FolderContents
from schema.folder import Folder
from schema.mutation_parts import IDEMPOTENCY_KEY, REPLAYED, MutationPayload, changed, mutation
from schema.user_error import user_errors


@strawberry.input(description="What `createFolder` takes.")
class CreateFolderInput:
    name: str = strawberry.field(description="Its name.")
    parent_id: strawberry.ID | None = strawberry.field(
        default=None, description="The folder to create it in. Left out: at the top."
    )
    source_id: strawberry.ID | None = strawberry.field(
        default=None,
        description=(
            "The source that shall keep it, if that source has folders. Left out: the source of the parent, "
            "else the gateway."
        ),
    )
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)


@strawberry.input(description="What `updateFolder` takes.")
class UpdateFolderInput:
    folder_id: strawberry.ID = strawberry.field(description="The folder.")
    name: strawberry.Maybe[str | None] = strawberry.field(default=None, description="The new name.")
    parent_id: strawberry.Maybe[strawberry.ID | None] = strawberry.field(
        default=None, description="The folder to move it into. Null: to the top."
    )


@strawberry.input(description="What `deleteFolder` takes.")
class DeleteFolderInput:
    folder_id: strawberry.ID = strawberry.field(description="The folder.")
    contents: FolderContents = strawberry.field(
        description=("What happens to the chats inside. There is no default, because one choice cannot be undone.")
    )


@strawberry.type(description="What `createFolder` answers.")
class CreateFolderPayload(MutationPayload):
    folder: Folder | None = strawberry.field(default=None, description="The new folder, or null when it failed.")
    replayed: bool = strawberry.field(default=False, description=REPLAYED)


@strawberry.type(description="What `updateFolder` answers.")
class UpdateFolderPayload(MutationPayload):
    folder: Folder | None = strawberry.field(
        default=None, description="The folder after the change, or null when it failed."
    )


@strawberry.type(description="What `deleteFolder` answers.")
class DeleteFolderPayload(MutationPayload):
    deleted_folder_id: strawberry.ID | None = strawberry.field(
        default=None, description="The id of the folder that is gone, or null when it failed."
    )


@strawberry.type
class FolderMutations:
    @mutation("Create a folder.")
    async def create_folder(self, info: Info, input: Input[CreateFolderInput]) -> CreateFolderPayload:
        done = await folders.create_folder(
            info.context,
            name=input.name,
            parent_id=input.parent_id,
            source_id=input.source_id,
            idempotency_key=input.idempotency_key,
        )
        return CreateFolderPayload(folder=Folder.of(done.value), replayed=done.replayed)

    @mutation("Rename or move a folder. A field that is left out stays as it is.")
    async def update_folder(self, info: Info, input: Input[UpdateFolderInput]) -> UpdateFolderPayload:
        name, parent_id = changed(input.name), changed(input.parent_id)
        if name is None:
            raise InvalidArgument("A folder cannot be without a name. Leave `name` out to keep it.", path=("name",))
        record = await folders.update_folder(info.context, folder_id=input.folder_id, name=name, parent_id=parent_id)
        return UpdateFolderPayload(folder=Folder.of(record))

    @mutation("Delete a folder and the folders inside it.")
    async def delete_folder(self, info: Info, input: Input[DeleteFolderInput]) -> DeleteFolderPayload:
        removed = await folders.delete_folder(info.context, folder_id=input.folder_id, contents=input.contents)
        return DeleteFolderPayload(
            # A chat that could not be deleted keeps its folder.
            deleted_folder_id=None if removed.failures else strawberry.ID(removed.folder_id),
            user_errors=user_errors(removed.failures),
        )
