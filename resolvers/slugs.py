"""Short names: slugs of organizations and keys of sources."""

import re

from domain.errors import InvalidArgument

SLUG = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
"""1 to 63 lower-case letters, digits and hyphens, no hyphen at an end."""
_SLUG = re.compile(SLUG[:-1] + r"\Z")
_MAX_NAME = 200


def checked_slug(text: str, field: str) -> str:
    """`text`, if it is 1 to 63 lower-case letters, digits and hyphens with no hyphen at an end. Raises `InvalidArgument`."""
    if _SLUG.match(text) is None:
        raise InvalidArgument(
            f"`{field}` is not possible: it takes 1 to 63 lower-case letters, digits and hyphens, without a hyphen at an end.",
            path=(field,),
        )
    return text


def checked_name(text: str, field: str = "name") -> str:
    """`text` without spaces around it, if something is left. Raises `InvalidArgument`."""
    stripped = text.strip()
    if not 1 <= len(stripped) <= _MAX_NAME:
        raise InvalidArgument(f"`{field}` has {len(stripped)} characters; 1 to {_MAX_NAME} are allowed.", path=(field,))
    return stripped
