"""Who is told the same: those for whom an event of a subscription is executed once.

Two principals hear the same when they act in one organization, see the same sources, and have the same role and scopes. What still
differs between them, and a selection that depends on it, is marked in `schema.viewer`; such an audience is one principal alone.
"""

from dataclasses import dataclass
from typing import NoReturn

from domain.records import Organization, Principal, Role, Scope, Source, Visibility
from resolvers.context import Context, Gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """All who are told the same. `sources` are the visible ones; `principal` is the only one who belongs to it, None: there are more."""

    organization: Organization
    sources: frozenset[int]
    role: Role
    scopes: frozenset[Scope]
    principal: Principal | None


class ViewerUnknown(RuntimeError):
    """A field that is told to several asked who they are. It belongs into `schema.viewer.VIEWER_DEPENDENT`."""


class SeveralPrincipals(Principal):
    """Stands for all of an audience. Whoever asks who they are gets an error and no answer, because it would be wrong for all but one."""

    def __init__(self) -> None:
        """It is nobody."""

    @property
    def key(self) -> str:
        """Refused."""
        _refuse("key")

    @property
    def subject(self) -> str | None:
        """Refused."""
        _refuse("subject")

    @property
    def display_name(self) -> str | None:
        """Refused."""
        _refuse("display_name")

    def owns(self, source: Source) -> bool:
        """Never: a private source is seen by its owner, who is an audience of one."""
        return False


SEVERAL = SeveralPrincipals()


async def audience_of(context: Context, *, is_viewers_own: bool) -> Audience:
    """The audience of whoever asks. `is_viewers_own`: the selection depends on the principal. One who has private sources is always alone."""
    visible = await context.gateway.sources.visible(context.organization.id, context.principal)
    is_alone = is_viewers_own or any(source.visibility is Visibility.OWNER for source in visible)
    return Audience(
        organization=context.organization,
        sources=frozenset(source.id for source in visible),
        role=context.role,
        scopes=context.scopes,
        principal=context.principal if is_alone else None,
    )


def context_of(gateway: Gateway, audience: Audience, *, request_id: str) -> Context:
    """What one event is executed with that all of an audience are told."""
    return Context(
        gateway=gateway,
        organization=audience.organization,
        principal=audience.principal or SEVERAL,
        role=audience.role,
        scopes=audience.scopes,
        request_id=request_id,
    )


def _refuse(attribute: str) -> NoReturn:
    raise ViewerUnknown(
        f"`principal.{attribute}` was read for an event that is told to several principals. "
        "Mark the field in `schema.viewer.VIEWER_DEPENDENT`."
    )
