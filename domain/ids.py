"""Global ids: opaque to clients, and enough for the gateway to know where to look, without a look-up.

An id is base64url without padding of: one byte version, one byte type, the short id of the organization or source as a varint, and the
native parts, each with its length as a varint before it. At most 1 KB. **An id is never a permission**: who reads a record
checks whose it is. Native parts that could leave their place in a vendor's URL are refused here, for all connectors at once.
"""

import base64
import binascii
from dataclasses import dataclass
from enum import IntEnum

_VERSION = 1
_MAX_TEXT = 1024
_MAX_SHORT = 2**63 - 1
"""The largest number that a store gives out as a short id."""


class IdType(IntEnum):
    """What an id names. The numbers are part of every id ever given out: never change or reuse one."""

    ORGANIZATION = 1
    SOURCE = 2
    CHAT = 3
    MESSAGE = 4
    FOLDER = 5
    MEMBER = 6
    API_KEY = 7
    AUDIT_ENTRY = 8


_PARTS = {
    IdType.ORGANIZATION: 0,
    IdType.SOURCE: 0,
    IdType.CHAT: 1,
    IdType.MESSAGE: 2,
    IdType.FOLDER: 1,
    IdType.MEMBER: 0,
    IdType.API_KEY: 0,
    IdType.AUDIT_ENTRY: 0,
}


class NotAnId(ValueError):
    """The text is not an id that this gateway could have made. Callers treat it as "not found"."""


@dataclass(frozen=True, slots=True)
class GlobalId:
    """A parsed id.

    `short` is the store's short id of the organization, source, member, key or entry. For folders of the gateway it is 0.
    `parts` are native ids: (chat) for a chat, (chat, message) for a message, (folder) for a folder, else empty.
    """

    type: IdType
    short: int
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return format_id(self.type, self.short, *self.parts)


def is_safe_native_id(native: str) -> bool:
    """Whether a native id can stand in a URL path after escaping: not empty, no control characters, no `.` or `..`, not even
    between slashes: a server that unescapes before it resolves would leave the place that the id is put into."""
    steps = native.replace("\\", "/").split("/")
    return native != "" and not any(ord(c) < 0x20 or ord(c) == 0x7F for c in native) and not {".", ".."} & set(steps)


def format_id(type_: IdType, short: int, *parts: str) -> str:
    """The text of an id. Raises `NotAnId` when it would be longer than 1 KB or a part is not safe."""
    data = bytearray((_VERSION, type_))
    _put_varint(data, short)
    for part in parts:
        if not is_safe_native_id(part):
            raise NotAnId(f"the native id {part!r} cannot be part of an id")
        encoded = part.encode("utf-8", "surrogatepass")
        _put_varint(data, len(encoded))
        data += encoded
    text = base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
    if len(text) > _MAX_TEXT:
        raise NotAnId(f"the id would have {len(text)} characters; at most {_MAX_TEXT} are allowed")
    return text


def parse_id(text: str) -> GlobalId:
    """Read an id that a client sent. Raises `NotAnId` for anything that `format_id` would not have written."""
    if len(text) > _MAX_TEXT or not text.isascii():
        raise NotAnId("too long or not ASCII")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise NotAnId("not base64url") from error
    if len(data) < 3 or data[0] != _VERSION:
        raise NotAnId("unknown version")
    try:
        type_ = IdType(data[1])
    except ValueError as error:
        raise NotAnId("unknown type") from error
    short, at = _take_varint(data, 2)
    if short > _MAX_SHORT:
        raise NotAnId("a short id that no store gives out")
    parts = []
    while at < len(data):
        length, at = _take_varint(data, at)
        if length > len(data) - at:
            raise NotAnId("cut off")
        try:
            parts.append(data[at : at + length].decode("utf-8"))
        except UnicodeDecodeError as error:
            raise NotAnId("not UTF-8") from error
        at += length
    if len(parts) != _PARTS[type_]:
        raise NotAnId("wrong number of parts")
    # One spelling per id: a cache key must not have two. This also refuses unsafe native parts.
    if format_id(type_, short, *parts) != text:
        raise NotAnId("not in the form in which ids are written")
    return GlobalId(type_, short, tuple(parts))


def parse_id_of(text: str, *types: IdType) -> GlobalId | None:
    """Read an id of one of `types`; None for anything else, because "not an id" and "not found" are the same to a client."""
    try:
        parsed = parse_id(text)
    except NotAnId:
        return None
    return parsed if parsed.type in types else None


def chat_id(source_id: int, native_id: str) -> str:
    """The global id of a chat."""
    return format_id(IdType.CHAT, source_id, native_id)


def message_id(source_id: int, chat_native_id: str, native_id: str) -> str:
    """The global id of a message, which is unique only inside its chat."""
    return format_id(IdType.MESSAGE, source_id, chat_native_id, native_id)


def folder_id(source_id: int, native_id: str) -> str:
    """The global id of a folder; `source_id` is GATEWAY for the gateway's own."""
    return format_id(IdType.FOLDER, source_id, native_id)


def _put_varint(data: bytearray, number: int) -> None:
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)


def _take_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise NotAnId("cut off")
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return number, at
