"""Cursors: positions that clients keep for us. Authenticated, so that nobody can make one; bound to their list and organization.

A cursor is base64url of (version, 16 bytes of HMAC-SHA-256, JSON payload). The MAC covers kind, organization and payload, so a cursor
of another list, tenant or removed key is refused with `BadCursor` like a forged one.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from domain.errors import BadCursor

_VERSION = b"\x01"
_MAC_BYTES = 16
_MAX_TEXT = 4096


class ForeignCursor(BadCursor):
    """It has the form of a cursor, but no key in use made it for this list and organization. `payload` is what it claims: trust nothing of it."""

    def __init__(self, message: str, payload: Any) -> None:
        super().__init__(message)
        self.payload = payload


class Cursors:
    """Makes and opens cursors. `keys`: the first signs, all verify."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("cursors need at least one key")
        self._keys = tuple(keys)

    def seal(self, kind: str, organization_id: int, payload: Any) -> str:
        """The text of a cursor. `payload` is any JSON value; `kind` names the list, e.g. `chats`."""
        body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
        mac = _mac(self._keys[0], kind, organization_id, body)
        return base64.urlsafe_b64encode(_VERSION + mac + body).rstrip(b"=").decode("ascii")

    def open(self, kind: str, organization_id: int, text: str) -> Any:
        """The payload of a cursor that this gateway made for this list and organization; else `BadCursor`.

        One of a removed key cannot be told from one of another organization: both are `ForeignCursor`.
        """
        refused = BadCursor(
            "The cursor is damaged, belongs to another list, or was signed by a key that is no longer in use. "
            "Start again without a cursor."
        )
        if len(text) > _MAX_TEXT or not text.isascii():
            raise refused
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError) as error:
            raise refused from error
        mac, body = data[1 : 1 + _MAC_BYTES], data[1 + _MAC_BYTES :]
        expected = (_mac(key, kind, organization_id, body) for key in self._keys)
        if data[:1] == _VERSION and any(hmac.compare_digest(mac, one) for one in expected):
            return json.loads(body)
        try:
            claimed = json.loads(body)
        except (ValueError, RecursionError):
            raise refused from None
        raise ForeignCursor(refused.message, claimed)


def fingerprint(*parts: Any) -> str:
    """A short hash that ties a cursor to the filter and order it was made with."""
    text = json.dumps(parts, separators=(",", ":"), sort_keys=True, default=str)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:9]).decode("ascii")


def _mac(key: bytes, kind: str, organization_id: int, body: bytes) -> bytes:
    head = f"{kind}\0{organization_id}\0".encode()
    return hmac.digest(key, head + body, "sha256")[:_MAC_BYTES]
