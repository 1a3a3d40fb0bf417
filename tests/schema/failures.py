"""One of every error that `domain.errors` draws, for tests that must leave none out."""

from domain import errors
from domain.capabilities import Capability
from domain.errors import GatewayError
from tests.builders import T0

ALL: tuple[GatewayError, ...] = (
    errors.InvalidArgument("The title is too long.", path=("title",)),
    errors.NotFound("There is no chat with this id.", missing_id="abc", path=("chatId",)),
    errors.Unauthenticated("No key was sent."),
    errors.OrganizationRequired("Say which organization.", organizations=("acme", "umbrella")),
    errors.Forbidden("This is for admins.", required_role="ADMIN"),
    errors.BadCursor("The cursor is damaged."),
    errors.LimitExceeded("Too deep.", limit=12, figure=13),
    errors.BudgetExceeded("Too many calls.", budget=200, planned=400),
    errors.StreamGapFound("Something may be missing.", gap_from="a", gap_to="b"),
    errors.Conflict("Somebody was faster.", current_version="v2", path=("expectedVersion",)),
    errors.IdempotencyConflict("The key was used before.", first_used_at=T0),
    errors.CapabilityMissing("It cannot be shared.", capability=Capability.SHARE_CHAT, source_id=1),
    errors.OutcomeUnknown("It may have been sent.", source_id=1, retry_after_seconds=1.5),
    errors.UpstreamTimeout("It did not answer.", source_id=1, operation="send_message"),
    errors.UpstreamUnavailable("It is down.", source_id=1, operation="send_message"),
    errors.CircuitOpen("It is left alone.", source_id=1, operation="send_message", retry_after_seconds=0.0001),
    errors.UpstreamUnauthorized("It refuses our key.", source_id=1, operation="send_message"),
    errors.UpstreamRejected("It said no.", source_id=1, operation="send_message"),
    errors.UpstreamRateLimited("It wants us to wait.", source_id=1, operation="send_message", retry_after_seconds=30),
    errors.UnexpectedAnswer("A field is missing.", source_id=1, operation="send_message", json_path="$.id"),
    errors.UpstreamTooLarge("More than 32 MB.", source_id=1, operation="send_message"),
)


def leaves(kind: type[GatewayError] = GatewayError) -> set[type[GatewayError]]:
    """Every error that is raised as itself; resolvers may refine one for their own use."""
    below = [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
    own = set() if kind in (GatewayError, errors.UpstreamError) else {kind}
    return own.union(*(leaves(one) for one in below))


def name_of(error: GatewayError) -> str:
    """For the names of tests."""
    return type(error).__name__


EXPECTED = tuple(error for error in ALL if error.user_code is not None and not isinstance(error, errors.BadCursor))
"""Those that a client can act on: they belong into `userErrors`."""
UNEXPECTED = tuple(error for error in ALL if error not in EXPECTED)
