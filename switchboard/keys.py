"""The gateway's secrets: what is derived from them, and credentials sealed with them.

A secret is text of at least 32 characters, as `new_secret` makes it. HKDF-SHA-256 derives one key for each purpose, so that none
of them tells anything of another. A sealed text is

    version (1 byte) · key id (4 bytes) · nonce (12 bytes) · AES-256-GCM of the JSON object, with the first five bytes authenticated

The key id names the secret, so secrets are rotated by putting a new one first: what the old one sealed stays readable until it is removed.
"""

import json
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from switchboard.settings import Settings, from_environment
from switchboard.settings_errors import SettingsError

_VERSION = b"\x01"
_ID_BYTES = 4
_NONCE_BYTES = 12
_LEAST_CHARACTERS = 32


class CannotUnseal(ValueError):
    """None of the configured secrets sealed this, or it was changed."""


@dataclass(frozen=True, slots=True)
class _Derived:
    id: bytes
    cursors: bytes = field(repr=False)
    credentials: bytes = field(repr=False)
    webhooks: bytes = field(repr=False)


class KeyRing:
    """The keys of all configured secrets; the first signs and encrypts, all verify and decrypt."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        if not secret_keys:
            raise SettingsError(
                "The gateway has no secret. Make one with `switchboard keys secret`, keep it in a variable, "
                'and set `secret_keys = ["env:NAME"]`.'
            )
        if any(len(secret) < _LEAST_CHARACTERS for secret in secret_keys):
            raise SettingsError(
                f"A secret in `secret_keys` has fewer than {_LEAST_CHARACTERS} characters and could be guessed. "
                "Make one with `switchboard keys secret`."
            )
        self._keys = tuple(_derive(secret) for secret in secret_keys)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(key.id.hex() for key in self._keys)})"

    @property
    def cursor_keys(self) -> tuple[bytes, ...]:
        """For `resolvers.cursors.Cursors`."""
        return tuple(key.cursors for key in self._keys)

    @property
    def webhook_keys(self) -> tuple[bytes, ...]:
        """For the tokens in webhook addresses."""
        return tuple(key.webhooks for key in self._keys)

    def seal(self, values: Mapping[str, str]) -> bytes:
        """Encrypt names and secrets."""
        key = self._keys[0]
        head = _VERSION + key.id
        nonce = os.urandom(_NONCE_BYTES)
        plain = json.dumps(dict(values), separators=(",", ":")).encode()
        return head + nonce + AESGCM(key.credentials).encrypt(nonce, plain, head)

    def unseal(self, sealed: bytes) -> dict[str, str]:
        """What `seal` was given. Raises `CannotUnseal`."""
        start = len(_VERSION) + _ID_BYTES
        head, nonce, body = sealed[:start], sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        for key in self._keys:
            if head == _VERSION + key.id:
                try:
                    values: dict[str, str] = json.loads(AESGCM(key.credentials).decrypt(nonce, body, head))
                except (InvalidTag, ValueError) as error:
                    raise CannotUnseal("The sealed text was changed after it was sealed.") from error
                return values
        raise CannotUnseal("None of the configured `secret_keys` sealed this text.")


def key_ring(settings: Settings) -> KeyRing:
    """The keys of `secret_keys`. Raises `SettingsError` that says how to make one."""
    try:
        return KeyRing([from_environment(one, setting="secret_keys") for one in settings.secret_keys])
    except SettingsError as error:
        raise SettingsError(f"{error} A new secret is printed by `switchboard keys secret`.") from None


def new_secret() -> str:
    """32 random bytes as text, good for `secret_keys`."""
    return secrets.token_urlsafe(32)


def kept_secret(path: Path) -> str:
    """The secret in a file that only its owner may read; made on the first call. For the demo.

    Raises `SettingsError` when others may read it: what it protected has to be thought of as known.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{os.getpid()}")
    if not path.exists():
        made.unlink(missing_ok=True)
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(new_secret() + "\n")
        try:
            os.link(made, path)  # whole or not at all, and the first of two processes wins
        except FileExistsError:
            pass
        finally:
            made.unlink()
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(
            f"Others may read the secret in {path}. Delete it, or run `chmod 600 {path}` if nobody did."
        )
    return path.read_text().strip()


def _derive(secret: str) -> _Derived:
    def key(purpose: str, length: int = 32) -> bytes:
        return HKDF(SHA256(), length, None, f"switchboard {purpose}".encode()).derive(secret.encode())

    return _Derived(key("key id", _ID_BYTES), key("cursors"), key("credentials"), key("webhooks"))
