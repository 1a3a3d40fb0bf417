"""Keeps secrets out of sentences and logs, whatever a vendor echoes."""

import base64
from collections.abc import Iterable
from urllib.parse import quote

_SHORTEST = 4
_LONGEST_QUOTE = 200


class Redactor:
    """Replaces the secrets of one source, as they are and as they are commonly written, by `[redacted]`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)
        spellings: set[str] = set()
        for secret in self._secrets:
            if len(secret) >= _SHORTEST:
                spellings |= {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")}
        # The longest first, so that no secret's tail stays behind where one contains another.
        self._spellings = sorted(spellings, key=len, reverse=True)

    def also(self, secrets: Iterable[str]) -> "Redactor":
        """One that replaces these too."""
        return Redactor([*self._secrets, *secrets])

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for spelling in self._spellings:
            text = text.replace(spelling, "[redacted]")
        return text

    def quote(self, text: str) -> str:
        """A vendor's own words, for a sentence of ours: one line, short, without control characters or secrets."""
        plain = "".join(c if c.isprintable() else " " for c in self(text))
        plain = " ".join(plain.split())
        return plain if len(plain) <= _LONGEST_QUOTE else plain[: _LONGEST_QUOTE - 1] + "…"

    def __repr__(self) -> str:
        return "Redactor(…)"
