"""What the gateway remembers where a vendor cannot: written with one start of the gateway, read with the next, seen by one organization alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.capabilities import Capability
from tests.cells.held import HeldChat
from tests.cells.world import Subject

C = Capability


@dataclass(frozen=True)
class Overlay:
    """How one thing is remembered: the mutation with its input, and the field of `Chat` that then shows `value`."""

    mutation: str
    given: Mapping[str, Any]
    field: str
    value: Any


OVERLAID: Mapping[Capability, Overlay] = {
    C.RENAME_CHAT: Overlay("updateChat", {"title": "Ours ☃"}, "title", "Ours ☃"),
    C.TAG_CHAT: Overlay("setChatTags", {"tags": ["two", "one"]}, "tags", ["one", "two"]),
    C.EDIT_METADATA: Overlay("updateChat", {"metadata": {"ours": [1, None]}}, "metadata", {"ours": [1, None]}),
    C.PIN_CHAT: Overlay("setChatPinned", {"pinned": True}, "pinned", True),
    C.ARCHIVE_CHAT: Overlay("setChatArchived", {"archived": True}, "archived", True),
    C.MOVE_CHAT: Overlay("moveChat", {"folderId": "the new folder"}, "folder { name }", {"name": "Ours"}),
    C.MARK_CHAT_READ: Overlay("markChatRead", {}, "unreadCount", 0),
}
"""Capability → the check for a cell that is an overlay."""


@dataclass(frozen=True)
class Kept:
    """What was written before the restart. `calls` are those that writing it made at the vendor."""

    native_id: str
    before: HeldChat
    after: HeldChat
    calls: list[dict[str, Any]]
    shown: Any


async def keep(subject: Subject, capability: Capability, native_id: str) -> Kept:
    """Write one overlay over a chat that the gateway did not make."""
    overlay = OVERLAID[capability]
    given = dict(overlay.given)
    if capability is C.MOVE_CHAT:
        given["folderId"] = (await subject.do("createFolder", "folder { id }", name="Ours"))["folder"]["id"]
    await subject.chat(native_id, "id")  # signed in, and known, before the calls are counted
    before = subject.must_hold(native_id)
    subject.forget_calls()
    field = overlay.field
    payload = await subject.do(overlay.mutation, f"chat {{ {field} }}", chatId=subject.id_of(native_id), **given)
    return Kept(native_id, before, subject.must_hold(native_id), subject.calls(), payload["chat"][_name(overlay)])


async def is_remembered(subject: Subject, capability: Capability, kept: Kept) -> None:
    """The vendor was not written to; we see it after the restart, alone and in the list; others at the same vendor do not."""
    overlay = OVERLAID[capability]
    assert kept.shown == overlay.value
    assert kept.after == kept.before
    assert [call["operation"] for call in kept.calls if call["method"] != "GET"] == []
    ours = await subject.chat(kept.native_id, overlay.field)
    assert ours[_name(overlay)] == overlay.value
    listed = await _listed(subject, kept.native_id, overlay.field, archived=capability is C.ARCHIVE_CHAT)
    assert [chat[_name(overlay)] for chat in listed] == [overlay.value]
    theirs = await subject.them.ask(
        f"query ($id: ID!) {{ chat(id: $id) {{ {overlay.field} }} }}", id=subject.their_id_of(kept.native_id)
    )
    assert theirs["chat"] is not None, "the other organization does not see the chat at all"
    assert theirs["chat"][_name(overlay)] != overlay.value


async def _listed(subject: Subject, native_id: str, field: str, *, archived: bool) -> list[dict[str, Any]]:
    """The rows of a chat in the list of its source."""
    page = await subject.us.ask(
        f"""query ($ids: [ID!], $archived: Boolean) {{
          chats(first: 100, withinMs: 20000, filter: {{sourceIds: $ids, archived: $archived}}) {{ nodes {{ nativeId {field} }} }} }}""",
        ids=[subject.source_id],
        archived=archived,
    )
    return [chat for chat in page["chats"]["nodes"] if chat["nativeId"] == native_id]


def _name(overlay: Overlay) -> str:
    return overlay.field.partition(" ")[0]
