"""What a search finds, and where it may have missed something."""

from datetime import datetime
from typing import Annotated

import strawberry

from domain import records
from resolvers import search
from schema.arguments import listed
from schema.chat import Chat
from schema.connection import Connection, Count, Edge, rows_of
from schema.enums import MessageRole, SupportLevel
from schema.folder import count_of
from schema.message import Message
from schema.source import Source, SourceStatus

SearchResult = Annotated[
    Chat | Message, strawberry.union("SearchResult", description="Something that a search can find.")
]


@strawberry.input(
    description="Where to search. Conditions that are left out do not matter; all that are given must hold."
)
class SearchFilter:
    source_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Only in these sources. Others are not asked."
    )
    chat_ids: list[strawberry.ID] | None = strawberry.field(default=None, description="Only in these chats.")
    folder_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Only in chats directly inside one of these folders."
    )
    tags: list[str] | None = strawberry.field(default=None, description="Only in chats that have all of these tags.")
    roles: list[MessageRole] | None = strawberry.field(
        default=None, description="Only messages of these roles. Chats are then not found by their title."
    )
    since: datetime | None = strawberry.field(default=None, description="Only what was written at this time or later.")
    until: datetime | None = strawberry.field(default=None, description="Only what was written before this time.")

    def of_resolvers(self) -> search.SearchFilter:
        """As resolvers take it."""
        return search.SearchFilter(
            source_ids=listed(self.source_ids),
            chat_ids=listed(self.chat_ids),
            folder_ids=listed(self.folder_ids),
            tags=listed(self.tags),
            roles=listed(self.roles),
            since=self.since,
            until=self.until,
        )


@strawberry.type(description="How well one source was searched.")
class SearchCoverage:
    source: Source = strawberry.field(description="The source.")
    mode: SupportLevel = strawberry.field(
        description="`NATIVE` when the source searched, `EMULATED` when the gateway searched its own index."
    )
    complete: bool = strawberry.field(
        description="Everything that the source holds was searched. False: there may be more than was found."
    )
    indexed_until: datetime | None = strawberry.field(
        description="Up to when the index knows the source, or null when the source searched itself."
    )


@strawberry.type(
    description=("A part of a text, counted as JavaScript does (UTF-16 code units): `text.slice(start, end)`.")
)
class TextRange:
    start: int = strawberry.field(description="Where it begins.")
    end: int = strawberry.field(description="Where it ends; the first position behind it.")


@strawberry.type(description="Something that was found.")
class SearchResultEdge(Edge[SearchResult]):
    node: SearchResult = strawberry.field(description="What was found.")
    score: float = strawberry.field(
        description="How well it fits. Higher is better; compare it within one answer only."
    )
    snippet: str | None = strawberry.field(
        description="The place that fits, as plain text, or null when the source does not tell."
    )
    highlights: list[TextRange] = strawberry.field(description="Which parts of `snippet` fit.")


@strawberry.type(description="A page of what was found, best first. `coverage` says where there may be more.")
class SearchResultConnection(Connection[SearchResult, SearchResultEdge]):
    total_count: Count | None = strawberry.field(
        description="How many were found in all, or null when no source tells."
    )
    sources: list[SourceStatus] = strawberry.field(description="How each source that was asked contributed.")
    coverage: list[SearchCoverage] = strawberry.field(description="How well each source was searched.")

    @classmethod
    def of(cls, found: search.SearchList) -> "SearchResultConnection":
        """The GraphQL type of a page."""
        rows = rows_of(found.page, lambda hit: hit, _edge)
        return cls(
            edges=rows["edges"],
            nodes=[edge.node for edge in rows["edges"]],
            page_info=rows["page_info"],
            total_count=count_of(found.total),
            sources=[SourceStatus.of(status) for status in found.statuses],
            coverage=[
                SearchCoverage(
                    source=Source.of(coverage.target.source),
                    mode=coverage.mode,
                    complete=coverage.complete,
                    indexed_until=coverage.indexed_until,
                )
                for coverage in found.coverage
            ],
        )


def _edge(cursor: str, node: records.SearchHit) -> SearchResultEdge:
    found = node.found
    return SearchResultEdge(
        cursor=cursor,
        node=Chat.of(found) if isinstance(found, records.Chat) else Message.of(found),
        score=node.score,
        snippet=node.snippet,
        highlights=[TextRange(start=start, end=end) for start, end in node.highlights],
    )
