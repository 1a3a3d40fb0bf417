"""Who writes and owns things at a source: people and assistants."""

import strawberry

from domain import records
from schema.enums import AgentKind


@strawberry.interface(
    description=(
        "Somebody who writes or owns something: a person or an assistant. Names and ids are those of the source."
    )
)
class Actor:
    native_id: str | None = strawberry.field(description="The id at the source, or null when the source tells none.")
    display_name: str | None = strawberry.field(
        description="The name to show to people, or null when the source tells none."
    )


@strawberry.type(description="A person at a source.")
class Person(Actor):
    native_id: str | None = strawberry.field(description="The id at the source, or null when the source tells none.")
    display_name: str | None = strawberry.field(
        description="The name to show to people, or null when the source tells none."
    )

    @classmethod
    def of(cls, record: records.Person) -> "Person":
        """The GraphQL type of a record."""
        return cls(native_id=record.native_id, display_name=record.display_name)


@strawberry.type(description="An assistant, agent, workflow or model at a source.")
class Agent(Actor):
    native_id: str | None = strawberry.field(
        description=("The id at the source, as `CreateChatInput.agent` takes it, or null when the source tells none.")
    )
    display_name: str | None = strawberry.field(
        description="The name to show to people, or null when the source tells none."
    )
    kind: AgentKind | None = strawberry.field(description="What it is, or null when the source does not tell.")

    @classmethod
    def of(cls, record: records.Agent) -> "Agent":
        """The GraphQL type of a record."""
        return cls(native_id=record.native_id, display_name=record.display_name, kind=record.kind)


def actor_of(record: records.Actor | None) -> Actor | None:
    """The GraphQL type of whoever it is."""
    if record is None:
        return None
    return Agent.of(record) if isinstance(record, records.Agent) else Person.of(record)
