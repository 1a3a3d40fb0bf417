"""What a client reads in `userErrors`."""

from typing import Any

import pytest

from domain.errors import GatewayError, Unauthenticated
from schema.user_error import milliseconds, user_errors
from tests.builders import T0
from tests.schema.failures import EXPECTED, name_of

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "InvalidArgument": ("ValidationError", {"path": ["input", "title"]}),
    "NotFound": ("NotFoundError", {"path": ["input", "chatId"], "missing_id": "abc"}),
    "Forbidden": ("MissingPermission", {"required_role": "ADMIN", "required_scope": None, "path": None}),
    "Conflict": ("ConflictError", {"current_version": "v2", "path": ["input", "expectedVersion"]}),
    "IdempotencyConflict": ("IdempotencyConflictError", {"first_used_at": T0}),
    "CapabilityMissing": ("CapabilityError", {"capability": "SHARE_CHAT", "source_id": 1}),
    "OutcomeUnknown": ("OutcomeUnknownError", {"source_id": 1, "retry_after_ms": 1500}),
    "UpstreamTimeout": ("UpstreamError", {"source_id": 1, "retryable": True, "retry_after_ms": None}),
    "UpstreamUnavailable": ("UpstreamError", {"retryable": True}),
    "CircuitOpen": ("UpstreamError", {"retryable": True, "retry_after_ms": 1}),
    "UpstreamUnauthorized": ("UpstreamError", {"retryable": False}),
    "UpstreamRejected": ("UpstreamError", {"retryable": False}),
    "UpstreamRateLimited": ("UpstreamError", {"retryable": True, "retry_after_ms": 30_000}),
    "UnexpectedAnswer": ("UpstreamError", {"retryable": False}),
    "UpstreamTooLarge": ("UpstreamError", {"retryable": False}),
}


def test_every_expected_failure_has_its_row_here() -> None:
    assert {name_of(error) for error in EXPECTED} == KINDS.keys()


@pytest.mark.parametrize("error", EXPECTED, ids=name_of)
def test_a_failure_has_the_type_that_tells_most_of_it(error: GatewayError) -> None:
    kind, fields = KINDS[name_of(error)]
    (told,) = user_errors([error])
    assert type(told).__name__ == kind
    assert (told.code, told.message) == (error.user_code, error.message)
    assert {name: getattr(told, name) for name in fields} == fields


def test_a_failure_that_is_not_for_the_client_rises() -> None:
    with pytest.raises(Unauthenticated):
        user_errors([Unauthenticated("No key was sent.")])


def test_nobody_is_told_to_come_back_too_early() -> None:
    assert milliseconds(0.0001) == 1
    assert milliseconds(None) is None
