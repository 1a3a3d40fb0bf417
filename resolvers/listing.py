"""Pages of small lists that are ordered by one number or text of the store, such as members by id."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from domain.errors import BadCursor
from domain.paging import Page, PageRequest
from resolvers.context import Context

T = TypeVar("T")
K = TypeVar("K", int, str)

Fetch = Callable[[K | None, int], Awaitable[Sequence[T]]]


async def keyed_page(
    context: Context,
    kind: str,
    page: PageRequest,
    key_of: Callable[[T], K],
    key_type: type[K],
    *,
    after: "Fetch[K, T]",
    before: "Fetch[K, T]",
) -> Page[T]:
    """A page of the list called `kind` in its cursors.

    `after(key, limit)` fetches the first rows behind a key, `before(key, limit)` the last ones ahead of it, both in the order of
    the list; the key is None for the list's beginning or end.
    """
    text = page.before if page.is_backwards else page.after
    key = _key(context, kind, text, key_type) if text is not None else None
    rows = list(await (before if page.is_backwards else after)(key, page.size + 1))
    has_more = len(rows) > page.size
    if has_more:
        del rows[0 if page.is_backwards else -1]
    return Page(
        rows=rows,
        cursors=[context.gateway.cursors.seal(kind, context.organization.id, key_of(row)) for row in rows],
        has_next=text is not None if page.is_backwards else has_more,
        has_previous=has_more if page.is_backwards else text is not None,
    )


async def listed_page(
    context: Context, kind: str, page: PageRequest, rows: Sequence[T], key_of: Callable[[T], str]
) -> Page[T]:
    """A page of a list that is at hand whole. A cursor of a row that is gone continues where the list begins or ends."""

    def place(key: str | None, otherwise: int) -> int:
        return next((index for index, row in enumerate(rows) if key_of(row) == key), otherwise)

    async def after(key: str | None, limit: int) -> Sequence[T]:
        start = place(key, -1) + 1
        return rows[start : start + limit]

    async def before(key: str | None, limit: int) -> Sequence[T]:
        end = place(key, len(rows))
        return rows[max(0, end - limit) : end]

    return await keyed_page(context, kind, page, key_of, str, after=after, before=before)


def _key(context: Context, kind: str, text: str, key_type: type[K]) -> K:
    payload = context.gateway.cursors.open(kind, context.organization.id, text)
    if not isinstance(payload, key_type):
        raise BadCursor("The cursor belongs to another list. Start again without a cursor.")
    return payload
