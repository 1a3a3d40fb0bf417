"""One configured connection to a vendor, how it is, and how it contributed to a list."""

from datetime import datetime

import strawberry

from domain import records
from domain.errors import NotFound
from domain.ids import IdType, format_id
from domain.paging import page_request
from resolvers import sources, statuses
from schema.actor import Agent
from schema.arguments import After, Before, First, Info, Last
from schema.capability import CapabilitySupport, support_of
from schema.connection import Connection, Count, Edge, exact_count, rows_of
from schema.enums import AccountKind, HealthState, SourceStatusCode, Visibility
from schema.node import Node
from schema.scalars import JSON


@strawberry.type(description="What the vendor calls the owner of everything that a source sees.")
class SourceAccount:
    kind: AccountKind = strawberry.field(description="What kind of owner it is.")
    native_id: str | None = strawberry.field(description="Its id at the vendor, or null when the vendor does not tell.")
    slug: str | None = strawberry.field(description="Its short name at the vendor, or null when there is none.")
    name: str | None = strawberry.field(description="Its name at the vendor, or null when the vendor does not tell.")

    @classmethod
    def of(cls, record: records.Account) -> "SourceAccount":
        """The GraphQL type of a record."""
        return cls(kind=record.kind, native_id=record.native_id, slug=record.slug, name=record.name)


@strawberry.type(description="How a source has been answering lately.")
class SourceHealth:
    state: HealthState = strawberry.field(description="The state in one word.")
    checked_at: datetime | None = strawberry.field(
        description="When the source was last called, or null when it never was."
    )
    last_success_at: datetime | None = strawberry.field(
        description="When the source last answered as expected, or null when it never did."
    )
    latency_ms: int | None = strawberry.field(
        description=("Typical time of an answer over the last minutes in milliseconds, or null when it is not known.")
    )
    message: str | None = strawberry.field(
        description="What is wrong, in a sentence for people, or null when nothing is."
    )
    contract_drift: int = strawberry.field(
        description=(
            "How many fields of its answers were missing or unknown since the gateway started. More than 0: "
            "the vendor changed something."
        )
    )

    @classmethod
    def of(cls, record: records.Health) -> "SourceHealth":
        """The GraphQL type of a record."""
        return cls(
            state=record.state,
            checked_at=record.checked_at,
            last_success_at=record.last_success_at,
            latency_ms=record.latency_ms,
            message=record.message,
            contract_drift=record.contract_drift,
        )


@strawberry.type(
    description=(
        "One configured connection of an organization to a chat system. The gateway's own store is a "
        "source like any other."
    )
)
class Source(Node):
    id: strawberry.ID = strawberry.field(description="The opaque id.")
    key: str = strawberry.field(
        description=(
            "A short name, as used in the gateway's settings. It is unique among the sources of the organization, and among those "
            "that you alone see; a source that comes later may share its name with one of the latter."
        )
    )
    vendor: str = strawberry.field(
        description=(
            "The kind of chat system, one of `Query.vendors`, for example `open_webui` or `local`. More may be added."
        )
    )
    display_name: str = strawberry.field(description="The name to show to people.")
    account: SourceAccount | None = strawberry.field(
        description=(
            "What the vendor calls the owner of everything that this source sees: an account, a tenant, a "
            "team, an instance. Null until the source told."
        )
    )
    visibility: Visibility = strawberry.field(
        description="Who sees it: everybody in the organization, or only the person who connected it."
    )
    record: strawberry.Private[records.Source]

    @classmethod
    def of(cls, record: records.Source) -> "Source":
        """The GraphQL type of a record."""
        return cls(
            record=record,
            id=strawberry.ID(format_id(IdType.SOURCE, record.id)),
            key=record.key,
            vendor=record.vendor,
            display_name=record.display_name,
            account=SourceAccount.of(record.account) if record.account else None,
            visibility=record.visibility,
        )

    @strawberry.field(description="What this source can do. Every capability is listed once.")
    async def capabilities(self, info: Info) -> list[CapabilitySupport]:
        return support_of(await sources.capabilities(info.context, self.record))

    @strawberry.field(description="How the source has been answering lately. Reading it makes no call to the source.")
    async def health(self, info: Info) -> SourceHealth:
        return SourceHealth.of(await sources.health(info.context, self.record))

    @strawberry.field(
        description=(
            "JSON Schema of what `createChat` accepts for this source, its own demands included, for building a form."
        )
    )
    async def create_chat_schema(self, info: Info) -> JSON:
        return JSON(await sources.create_chat_schema(info.context, self.record))

    @strawberry.field(
        description=(
            "The assistants, agents or models that `createChat` and `sendMessage` can name. Give `first` (with `after`) "
            "or `last` (with `before`). Null where the vendor has no list of them."
        )
    )
    async def agents(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> "AgentConnection | None":
        found = await sources.agents(info.context, self.record, page_request(first, after, last, before))
        return AgentConnection.of(found) if found is not None else None


@strawberry.type(
    description=(
        "How one source contributed to a list. A source that fails does not fail the list: its rows are "
        "missing, or come from the\n"
        "gateway's copy, and it is said here."
    )
)
class SourceStatus:
    source: Source = strawberry.field(description="The source.")
    code: SourceStatusCode = strawberry.field(description="What happened.")
    stale: bool = strawberry.field(
        description="The rows of this source come from the gateway's copy and may be outdated."
    )
    as_of: datetime | None = strawberry.field(
        description="How new the rows are when they come from the gateway's copy, stale or read whole a moment ago; else null."
    )
    retry_after_ms: int | None = strawberry.field(
        description=("When it makes sense to ask again, in milliseconds from now, or null when that is not known.")
    )
    message: str | None = strawberry.field(
        description="What happened in a sentence for people, or null when all is well."
    )
    skipped_rows: int = strawberry.field(description="How many rows of it could not be understood and were left out.")
    missing_before: str | None = strawberry.field(
        description="With `INCOMPLETE`: the cursor before which its rows are missing, else null."
    )

    @classmethod
    def of(cls, status: statuses.SourceStatus) -> "SourceStatus":
        """The GraphQL type of a status."""
        return cls(
            source=Source.of(status.source),
            code=status.code,
            stale=status.stale,
            as_of=status.as_of,
            retry_after_ms=status.retry_after_ms,
            message=status.message,
            skipped_rows=status.skipped_rows,
            missing_before=status.missing_before,
        )


async def source_of(info: Info, source_id: int) -> Source | None:
    """The source of a short id, None when it is gone or not yours."""
    record = await info.context.batches.load(sources.load_sources, source_id)
    return None if record is None else Source.of(record)


async def source_that_exists(info: Info, source_id: int) -> Source:
    """The source of something that was read from it. Raises `NotFound` when it was disconnected meanwhile."""
    source = await source_of(info, source_id)
    if source is None:
        raise NotFound(
            "The source of this was read, but it is gone: it was disconnected meanwhile. Read the list again."
        )
    return source


@strawberry.type(description="An assistant, agent or model in a list.")
class AgentEdge(Edge[Agent]):
    node: Agent = strawberry.field(description="The assistant, agent or model.")


@strawberry.type(description="A page of assistants, agents or models.")
class AgentConnection(Connection[Agent, AgentEdge]):
    total_count: Count | None = strawberry.field(
        description="How many there are, or null when the source does not tell."
    )
    status: SourceStatus = strawberry.field(description="How the source answered.")

    @classmethod
    def of(cls, found: sources.AgentList) -> "AgentConnection":
        """The GraphQL type of a page."""
        return cls(
            **rows_of(found.page, Agent.of, AgentEdge),
            total_count=exact_count(found.page),
            status=SourceStatus.of(found.status),
        )
