"""A kind of chat system."""

import strawberry

from domain.source import Connector
from schema.capability import CapabilitySupport, support_of
from schema.scalars import JSON


@strawberry.type(
    description=("A kind of chat system that the gateway can speak to. A source is one connection to a vendor.")
)
class Vendor:
    name: str = strawberry.field(
        description="The name that sources carry in `Source.vendor`, for example `open_webui`."
    )
    display_name: str = strawberry.field(description="The name to show to people.")
    capabilities: list[CapabilitySupport] = strawberry.field(
        description=(
            "What a source of this vendor can do before its own settings are looked at. Every capability is "
            "listed once."
        )
    )
    credentials_schema: JSON = strawberry.field(
        description=(
            "JSON Schema of `ConnectSourceInput.credentials` as an object from name to value, for building a form."
        )
    )
    options_schema: JSON = strawberry.field(
        description="JSON Schema of `ConnectSourceInput.options`, for building a form."
    )

    @classmethod
    def of(cls, connector: Connector) -> "Vendor":
        """The GraphQL type of a line of the registry."""
        return cls(
            name=connector.vendor,
            display_name=connector.display_name,
            capabilities=support_of(connector.capabilities),
            credentials_schema=JSON(connector.credentials_schema),
            options_schema=JSON(connector.options_schema),
        )
