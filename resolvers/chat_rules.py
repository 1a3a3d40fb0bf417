"""What creating and changing chats share: which titles, tags and folders are possible, and the chat as it is now."""

from collections.abc import Sequence
from dataclasses import replace

from domain.errors import InvalidArgument
from domain.records import GATEWAY, Chat, FolderRef
from resolvers.context import Context
from resolvers.folders import known_folder
from resolvers.overlays import complete_rows
from resolvers.reading import read_chat
from resolvers.targets import (
    ChatTarget,
    SourceTarget,
    folder_ref,
)

MAX_TITLE = 1000
MAX_TAGS = 50
MAX_TAG = 100


async def current_chat(context: Context, target: ChatTarget) -> Chat | None:
    """The chat as its source shows it now."""
    if target.capabilities.reads_from_store:
        rows = await context.store.chats.get_many(context.organization.id, [target.key])
        return rows.get(target.key)
    return await read_chat(context, target)


async def shown_chat(context: Context, target: ChatTarget, fallback: Chat) -> Chat:
    """The chat after a write, overlays included, as the store has it now."""
    rows = await context.store.chats.get_many(context.organization.id, [target.key])
    chat = rows.get(target.key)
    if chat is None:
        return fallback
    return replace(complete_rows([chat], target.capabilities)[0], as_of=None)


async def folder_for(
    context: Context, target: SourceTarget, folder_id: str | None, path: Sequence[str] = ("folderId",)
) -> FolderRef | None:
    if folder_id is None:
        return None
    ref = await folder_ref(context, folder_id, path)
    _check_holder(target, ref, path)
    await known_folder(context, ref, path)
    return ref


def _check_holder(target: SourceTarget, ref: FolderRef, path: Sequence[str]) -> None:
    if ref.source_id not in (GATEWAY, target.source.id):
        raise InvalidArgument(
            "This folder is kept by another source and can hold that source's chats only. "
            "Use a folder of the gateway, or one of the chat's own source.",
            path=path,
        )


def check_title(title: str | None) -> None:
    """Refuse a title that no list could show."""
    if title is not None and not 1 <= len(title.strip()) <= MAX_TITLE:
        raise InvalidArgument(
            f"The title has {len(title.strip())} characters; 1 to {MAX_TITLE} are allowed.", path=("title",)
        )


def check_tags(tags: Sequence[str] | None) -> None:
    """Refuse tags that are empty, too long or too many."""
    if tags is None:
        return
    if len(tags) > MAX_TAGS:
        raise InvalidArgument(f"{len(tags)} tags were given; at most {MAX_TAGS} are allowed.", path=("tags",))
    for index, tag in enumerate(tags):
        if not 1 <= len(tag.strip()) <= MAX_TAG:
            raise InvalidArgument(
                f"A tag has {len(tag.strip())} characters; 1 to {MAX_TAG} are allowed.", path=("tags", str(index))
            )


def clean_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Each tag once, without the spaces around it, in alphabetical order."""
    return tuple(sorted({tag.strip() for tag in tags}))
