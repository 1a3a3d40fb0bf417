"""What Kodey's refusals mean."""

from typing import Any

from upstreams.policy import VendorPolicy
from upstreams.truth import Meaning, Truth


def words_from_json(body: Any) -> str:
    """Kodey's own explanation of an error."""
    if not isinstance(body, dict):
        return ""
    words = [body.get("error"), body.get("message")]
    if isinstance(body.get("allowedEndpoints"), list):
        words.append("allowedEndpoints")
    return ": ".join(word for word in words if isinstance(word, str))


def retry_after_from_json(body: Any) -> float | None:
    """The wait in seconds that a 429 names in its body."""
    wait = body.get("retryAfter") if isinstance(body, dict) else None
    return float(wait) if isinstance(wait, int | float) and not isinstance(wait, bool) and wait >= 0 else None


TRUTHS = (
    Truth(
        Meaning.UNAUTHORIZED,
        (403, 403),
        "The key of the source may not do this: a publishable key (`pk_live_…`) may only create and read chats and send messages. Use a team's secret key (`sk_live_…`).",
        pattern="allowedEndpoints",
    ),
    Truth(Meaning.UNAUTHORIZED, (401, 401), "Check the credential `api_key` of the source."),
    Truth(Meaning.UNAUTHORIZED, (403, 403), "Use a team's secret key (`sk_live_…`)."),
    Truth(
        Meaning.REJECTED, (400, 400), "Check `agent`, `userId` and `metadata`.", operations=frozenset(["create_chat"])
    ),
)
POLICY = VendorPolicy(truths=TRUTHS, words=words_from_json, retry_after=retry_after_from_json)
