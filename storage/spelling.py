"""Records as bytes, quickly: to tell whether two are equal and how much there is of them, never to be kept or read back."""

from collections.abc import Mapping

import orjson

from storage.chat_rows import mask_of


def spelled(records: object) -> bytes | None:
    """All that a record, or several, say. Equal bytes are equal records; None where JSON has no words for a value in them."""
    try:
        return orjson.dumps(records, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return None


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return mask_of(value)  # the only one is `Chat.told`
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError
