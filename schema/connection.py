"""Relay connections: lists that can grow, read page by page."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import strawberry

from domain.paging import Page

N = TypeVar("N")
E = TypeVar("E")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(
        description="There is more after this page: ask again with `after: endCursor`."
    )
    has_previous_page: bool = strawberry.field(
        description="There is more before this page: ask again with `before: startCursor`."
    )
    start_cursor: str | None = strawberry.field(description="Cursor of the first row, or null when the page is empty.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last row, or null when the page is empty.")


@strawberry.type(description="How many rows a whole list has.")
class Count:
    value: int = strawberry.field(description="The number of rows, or the least number known when `exact` is false.")
    exact: bool = strawberry.field(description="False when a source does not tell its number: show it as “at least”.")


@strawberry.type
class Edge(Generic[N]):
    """What all edges share; each subclass has a name, a sentence and a `node` of its own."""

    cursor: str = strawberry.field(description="Position of this row. Pass it as `after` or `before`.")
    node: N


@strawberry.type
class Connection(Generic[N, E]):
    """What all connections share."""

    edges: list[E] = strawberry.field(description="The rows with their cursors.")
    nodes: list[N] = strawberry.field(description="The rows without their cursors.")
    page_info: PageInfo = strawberry.field(description="Where this page stands.")


def rows_of(page: Page[Any], build: Callable[[Any], Any], edge: Callable[..., Any]) -> dict[str, Any]:
    """`edges`, `nodes` and `page_info` of a connection over `page`. `build` makes the GraphQL type of a row."""
    nodes = [build(row) for row in page.rows]
    return {
        "nodes": nodes,
        "edges": [edge(cursor=cursor, node=node) for cursor, node in zip(page.cursors, nodes, strict=True)],
        "page_info": PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=page.cursors[0] if page.cursors else None,
            end_cursor=page.cursors[-1] if page.cursors else None,
        ),
    }


def exact_count(page: Page[Any]) -> Count | None:
    """The number of rows of the whole list, where the page tells it."""
    return None if page.total is None else Count(value=page.total, exact=True)
