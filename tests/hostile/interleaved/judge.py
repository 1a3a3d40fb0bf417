"""What somebody may be told: no word and no id of others, and no secret, in whatever form it is written.

The judge knows nothing of what was asked. It looks for words that stand in everything that belongs to one audience and nowhere else,
and asks the store's file whose each id is.
"""

import base64
import binascii
import functools
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from domain.ids import parse_id
from tests.hostile.interleaved.houses import CANARY, WORDS
from tests.hostile.interleaved.registry import Registry

_TOKEN = re.compile(r"[A-Za-z0-9_-]{12,}")
_NOT_OURS = ("nativeId", "clientMutationId", "requestId")
"""Fields that end like ids and hold none of the gateway's."""
_OF_VENDORS = ("metadata", "raw", "input")
"""Objects whose fields the gateway does not name."""


class Leaked(AssertionError):
    """Somebody was told what is not theirs."""


@dataclass
class Judge:
    """`secrets`: what nobody may be told, beside whatever has the canary in it. `seen`: (who, word) → in how many answers it stood."""

    registry: Registry
    secrets: Collection[str]
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    judged: Counter[str] = field(default_factory=Counter)

    def answer(self, who: str, audiences: Collection[str], raw: str, *, asked: Collection[str] = ()) -> None:
        """Raise `Leaked` unless `raw`, the JSON that `who` was sent, may be seen by `audiences`. `asked`: ids that `who` named itself."""
        self.judged[who] += 1
        self.text(who, audiences, raw)
        for audience in audiences:
            self.seen[who, WORDS[audience]] += WORDS[audience] in raw
        said = json.loads(raw)
        for id_text in ids_in(
            said.get("payload") if "type" in said else said
        ):  # a socket's messages have ids of their own
            if id_text not in asked and self.registry.audience(parse_id(id_text)) not in audiences:
                raise Leaked(f"{who} was told the id {id_text}, {parse_id(id_text)}, in {raw}")

    def text(self, who: str, audiences: Collection[str], text: str) -> None:
        """The same for any text, its ids apart."""
        forbidden = [CANARY, *self.secrets, *(word for audience, word in WORDS.items() if audience not in audiences)]
        for spelling in (text, decoded(text)):
            for one in forbidden:
                if one in spelling:
                    at = spelling.index(one)
                    raise Leaked(f"{who} was told {one!r}: …{spelling[max(0, at - 300) : at + 300]}…")


def ids_in(value: Any, name: str = "") -> Iterator[str]:
    """The ids of the gateway in an answer, by the names of their fields."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in _OF_VENDORS:
                yield from ids_in(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from ids_in(inner, name)
    elif isinstance(value, str) and name not in _NOT_OURS and (name == "id" or name.endswith(("Id", "Ids"))):
        yield value


def texts_in(value: Any) -> list[str]:
    """Every text in an answer, or in what was asked."""
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts_in(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in texts_in(inner)]
    return [value] if isinstance(value, str) else []


def decoded(text: str) -> str:
    """What stands in cursors and ids, which are base64url: every piece of the text that can be read so, one after the other."""
    return "\n".join(_read(token) for token in set(_TOKEN.findall(text)))


@functools.lru_cache(maxsize=100_000)
def _read(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""
