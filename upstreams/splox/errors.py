"""What Splox's refusals mean."""

from typing import Any

from upstreams.policy import VendorPolicy
from upstreams.truth import Meaning, Truth

_BY_ID_ALONE = frozenset(["get_chat", "delete_chat", "delete_history"])
"""Their id is all that they take, so what is wrong with them is the id."""


def words_from_json(body: Any) -> str:
    """Splox's own explanation of an error: `error`, in some places of v1 `message`."""
    words = (body.get("error") or body.get("message")) if isinstance(body, dict) else None
    return words if isinstance(words, str) else ""


def retry_after_from_json(body: Any) -> float | None:
    """The wait in seconds that a used-up window names in its body."""
    wait = body.get("retry_after_seconds") if isinstance(body, dict) else None
    return float(wait) if isinstance(wait, int | float) and not isinstance(wait, bool) and wait >= 0 else None


TRUTHS = (
    Truth(
        Meaning.UNAUTHORIZED,
        (401, 401),
        "Check the credential `api_key` of the source: a token of Splox lives an hour unless it was made for longer.",
    ),
    Truth(Meaning.UNAUTHORIZED, (403, 403), "Check at Splox what the token's account may do, and its balance."),
    Truth(
        Meaning.NOT_FOUND,
        (400, 400),
        "Read the list again; there is no chat with this id.",
        operations=_BY_ID_ALONE,
    ),
    Truth(
        Meaning.REJECTED,
        (400, 400),
        "Check the options `workflow_version_id` and `entry_nodes` of the source, and that its account may run the workflow.",
        operations=frozenset(["run_workflow"]),
    ),
    Truth(
        Meaning.REJECTED,
        (400, 400),
        "Check `agent`, `title` and `metadata`.",
        operations=frozenset(["create_chat"]),
    ),
    Truth(
        Meaning.RATE_LIMITED,
        (429, 429),
        "The account's usage is used up for now; try again later.",
        pattern="usage_window_exceeded",
    ),
)
POLICY = VendorPolicy(truths=TRUTHS, words=words_from_json, retry_after=retry_after_from_json)
