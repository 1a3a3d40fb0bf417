"""What a search looks for, and the place in a text that shows why it was found. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import InvalidArgument

_MAX_TERMS = 32
_MAX_LENGTH = 1000
_BEFORE = 60
_LENGTH = 200
"""Of an excerpt, in characters."""

_TERMS = re.compile(r'"([^"]*)"|([^\s"]+)')
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a text. `highlights` are ranges of it in UTF-16 code units, as JavaScript counts."""

    text: str
    highlights: tuple[tuple[int, int], ...]


def terms_of(query: str) -> tuple[str, ...]:
    """The words and quoted phrases of a query, each once. A quotation mark that is not closed is left out."""
    if len(query) > _MAX_LENGTH:
        raise InvalidArgument(
            f"A text of {len(query)} characters was to be searched for. Search for at most {_MAX_LENGTH}.",
            path=("query",),
        )
    found = (phrase or word for phrase, word in _TERMS.findall(_CONTROLS.sub(" ", query)))
    terms = tuple(dict.fromkeys(term.strip() for term in found if term.strip()))
    if len(terms) > _MAX_TERMS:
        raise InvalidArgument(
            f"{len(terms)} words were to be searched for. Search for at most {_MAX_TERMS}.", path=("query",)
        )
    return terms


def excerpt(text: str, terms: Sequence[str]) -> Excerpt:
    """The first place where a term occurs, with all that occurs around it."""
    pattern = re.compile("|".join(re.escape(term) for term in sorted(terms, key=len, reverse=True)), re.IGNORECASE)
    first = pattern.search(text)
    start = max(0, first.start() - _BEFORE) if first else 0
    end = min(len(text), max(start + _LENGTH, first.end() if first else 0))
    head, tail = "…" if start else "", "…" if end < len(text) else ""
    piece = text[start:end]
    highlights = tuple(
        (_utf16(head + piece[: match.start()]), _utf16(head + piece[: match.end()]))
        for match in pattern.finditer(piece)
    )
    return Excerpt(head + piece + tail, highlights)


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
