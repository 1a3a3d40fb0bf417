"""What a source can do, as clients read it."""

import strawberry

from domain.capabilities import Capabilities
from schema.enums import Capability, SupportLevel


@strawberry.type(
    description="How well a source supports one thing. Use it to hide a button before somebody presses it."
)
class CapabilitySupport:
    capability: Capability = strawberry.field(description="What it is about.")
    level: SupportLevel = strawberry.field(description="How well it is supported.")
    note: str | None = strawberry.field(description="A limit worth knowing, in a sentence, or null when there is none.")


def support_of(capabilities: Capabilities) -> list[CapabilitySupport]:
    """Every capability once, in the order of the enum."""
    return [
        CapabilitySupport(capability=capability, level=cell.level, note=cell.note)
        for capability in Capability
        for cell in [capabilities.of(capability)]
    ]
