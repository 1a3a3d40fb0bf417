"""Ids as only a forger writes them: `domain.ids` refuses to."""

import base64

from domain.ids import IdType


def forged_id(type_: IdType | int, short: int, *parts: str | bytes) -> str:
    """An id with any number and any native parts."""
    data = bytes((1, type_)) + _varint(short)
    for part in parts:
        raw = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        data += _varint(len(raw)) + raw
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def short_of(id_text: str) -> int:
    """The short id inside an id of a source; below 128 in these tests."""
    return base64.urlsafe_b64decode(id_text + "=" * (-len(id_text) % 4))[2]


def _varint(number: int) -> bytes:
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)
