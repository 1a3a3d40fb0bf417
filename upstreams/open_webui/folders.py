"""Checks on the tree of folders that Open WebUI leaves out."""

from collections.abc import Sequence

from domain.errors import InvalidArgument, NotFound
from domain.records import Folder


def check_parent(folders: Sequence[Folder], folder_id: str | None, parent_id: str | None) -> Folder:
    """The folder that was named last of the two, after looking that both are there and that no circle would come about.

    `folder_id` None is a folder that does not exist yet, `parent_id` None the top. Exactly one of them may be None.
    """
    known = {folder.native_id: folder for folder in folders}
    if folder_id is not None and folder_id not in known:
        raise NotFound("The folder is not there (any more). Read the folders again.", missing_id=folder_id)
    if parent_id is None:
        return known[folder_id or ""]
    if parent_id not in known:
        raise NotFound(
            "The folder above is not there (any more). Read the folders again.",
            missing_id=parent_id,
            path=("parentId",),
        )
    at: str | None = parent_id
    passed: set[str] = set()
    while at in known and at not in passed:
        if at == folder_id:
            raise InvalidArgument(
                "A folder cannot be moved into itself or below itself. Choose another `parentId`.",
                path=("parentId",),
            )
        passed.add(at)
        at = known[at].parent_id
    return known[parent_id]
