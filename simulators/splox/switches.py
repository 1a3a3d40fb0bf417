"""What the documents of Splox leave open or contradict each other about, and speeds that a test wants to change.

Every default is a documented form; where two are documented, it is the one that the official SDK 0.0.18 reads.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass
class Switches:
    # Shapes
    history_shape: Literal["object", "array"] = "object"
    """`{messages, has_more}` in all three SDKs, a bare array in the pages and in OpenAPI."""
    optional_fields: Literal["present", "omitted"] = "present"
    """Whether a share token, metadata or files that are not there are null or missing; the examples show both."""
    fraction_digits: int = 6
    """Digits below the second, 0 to 6, in which a time is kept, shown and compared; 0 as in the examples makes many ties."""
    parents: Literal["chained", "null"] = "chained"
    message_status: dict[str, str] | None = None
    """`{type, reason}` or null; the values that exist are not documented."""
    tool_results: Literal["parts", "messages"] = "parts"
    """Beside the call in the assistant's message, or as a message with the role `tool`."""
    stop_body: Literal["empty", "object"] = "empty"
    """What stopping answers with is not documented, apart from 200."""

    # Lists
    before: Literal["exclusive", "inclusive"] = "exclusive"
    """Whether a message that is exactly as old as `before` is on the page."""
    limit_out_of_range: Literal["refused", "clamped"] = "refused"
    chat_order: Literal["desc", "asc", "shuffled"] = "desc"
    """By creation; the order of a resource's chats is not documented."""
    list_under: Literal["both", "shown", "asked"] = "both"
    """A chat is created with the type `api` and may be shown with that of its resource: which of the two lists it."""
    created_type: Literal["resource", "echo"] = "resource"
    """The seed page's second example answers `workflow` to a request that said `api`."""

    # Who may, and what is not there
    foreign_chats: Literal["missing", "forbidden", "visible"] = "missing"
    """Chats of somebody else, on a resource of somebody else."""
    missing_history: Literal["404", "empty"] = "404"
    malformed_id_status: int = 404
    run_refusal_status: int = 400
    """OpenAPI documents 400 for "invalid or unauthorized" when running."""
    entry_nodes_required: bool = True
    """Required in OpenAPI, optional in the SDK; without them the version's own are taken."""
    accepts_start_node: bool = False
    """`start_node_id`, as in the README of SDK 0.0.18, instead of `entry_node_ids`."""
    stop_ended_status: int = 200
    """The answer to stopping what has ended."""

    # Writing
    message_touches_chat: bool = True
    """Whether a message moves the chat's `updated_at`."""
    question_appears: Literal["at_once", "at_end"] = "at_once"
    reply_appears: Literal["at_end", "while_written"] = "at_end"
    keeps_stopped_text: bool = True

    # Streams
    chat_frames: Literal["both", "content", "state", "messages"] = "both"
    """Which family arrives on a chat's stream; `messages` are the whole messages of an older page."""
    run_stream_has_content: bool = False
    state_on_connect: bool = True
    """The SDK starts a run and listens to it afterwards: it would wait for ever for a run that has ended meanwhile."""
    run_stream_ends: bool = False
    """Whether the stream of a run is closed after its last state; only the close after 30 minutes is documented."""
    keepalive_ms: float = 3000
    status_check_ms: float = 5000
    """How often a chat's stream looks whether its workflow has stopped."""
    stream_seconds: float = 1800
    """After so long, by the simulator's clock, a stream is closed."""
    cut_streams_after: int = 0
    """Drop the connection of a stream after so many frames, those that only keep it alive included; 0 never."""

    # Speeds and quotas
    begin_ms: float = 0
    word_ms: float = 0
    slow_word_ms: float = 50
    runs_per_minute: int = 20
    usage_exceeded: bool = False
    """Refuse runs with the second kind of 429, `usage_window_exceeded`."""
    usage_retry_seconds: int = 3600
