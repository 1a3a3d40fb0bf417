"""Webhooks: how a vendor tells that something happened at a source, and what that is worth.

    address ──token's digest is the stored one──▶ knock ──▶ the source is read again, at most once a second
        ╰─ unknown source, no webhook, another token ─▶ nothing, and the answers look alike

No vendor documents both what it sends and how it signs it. So what arrives is never content: whoever knows the address can only
make the gateway look sooner, and what it then finds it has from the source itself. That makes replays harmless.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence

from domain.ids import IdType, format_id, parse_id_of
from domain.records import Source
from storage.store import Store

Knock = Callable[[int, str | None], object]
"""(source id, chat or None): something may have happened there; look soon."""

_TOKEN_BYTES = 32
_MAX_TOKEN = 200


class WebhookTokens:
    """Makes and checks the tokens in addresses. `keys`: the first makes digests, all check them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("webhook tokens need at least one key")
        self._keys = tuple(keys)

    def new(self) -> tuple[str, bytes]:
        """A token to show once, and the digest to store."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        return token, _digest(self._keys[0], token)

    def fits(self, token: str, stored: bytes | None) -> bool:
        """Whether a digest is this token's. Takes equally long whether there is a digest or none, and whichever key made it."""
        expected = stored if stored is not None else bytes(hashlib.sha256().digest_size)
        digests = [_digest(key, token[:_MAX_TOKEN]) for key in self._keys]
        found = [hmac.compare_digest(digest, expected) for digest in digests]
        return stored is not None and len(token) <= _MAX_TOKEN and any(found)


def webhook_path(source_id: int, token: str) -> str:
    """Where the gateway takes the webhook of a source."""
    return f"/webhooks/{format_id(IdType.SOURCE, source_id)}/{token}"


async def source_of_webhook(store: Store, tokens: WebhookTokens, id_text: str, token: str) -> Source | None:
    """The source that an address names, None when there is none or the token is not its. Both cost the same look-up."""
    parsed = parse_id_of(id_text, IdType.SOURCE)
    found = await store.sources.by_webhook(parsed.short if parsed is not None else 0)
    source, stored = found if found is not None else (None, None)
    return source if tokens.fits(token, stored) else None


class Knocks:
    """Hands on the first knock at a source at once, and all that follow within `every_seconds` as one at the end of that time."""

    def __init__(self, knock: Knock, *, every_seconds: float = 1.0) -> None:
        self._knock = knock
        self._every_seconds = every_seconds
        self._resting: dict[int, bool] = {}
        """Source → whether somebody knocked while it rested."""

    def at(self, source_id: int) -> None:
        """Somebody knocked."""
        if source_id in self._resting:
            self._resting[source_id] = True
            return
        self._hand_on(source_id)

    def _hand_on(self, source_id: int) -> None:
        self._resting[source_id] = False
        asyncio.get_running_loop().call_later(self._every_seconds, self._rested, source_id)
        self._knock(source_id, None)

    def _rested(self, source_id: int) -> None:
        if self._resting.pop(source_id):
            self._hand_on(source_id)


def _digest(key: bytes, token: str) -> bytes:
    return hmac.digest(key, token.encode("utf-8", "surrogatepass"), "sha256")
