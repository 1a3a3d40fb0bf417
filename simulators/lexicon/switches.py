"""What Lexicon's documents leave open, and what a test wants to hurry."""

from dataclasses import dataclass
from typing import Literal


@dataclass
class Switches:
    error_body: Literal["detail", "detail_list", "error", "message", "text", "empty"] = "detail"
    """The shape of an error's body is not documented."""
    bad_request_status: Literal[400, 422] = 400
    """400 is documented; 422 is what a server of this kind says by itself."""
    missing_slash: Literal["redirect", "not_found"] = "redirect"
    """Creating without the path's slash at the end, and the other paths with one: whether 307 leads to the right one."""
    chat_page_max: int | None = None
    """Above it a list of chats is a 400. Documented for messages alone, where it is 100."""
    has_more: Literal["right", "always_false"] = "right"
    """The list's own example says false although `total` is larger than what was given."""
    fraction_digits: int = 0
    """Digits below the second in a time; the examples have none."""
    message_moves_updated_at: bool = True

    socket_refusal: Literal["event", "http", "forbidden", "close"] = "event"
    """How a handshake with a wrong key or chat ends: opened, `error`, closed; a status; 403; or opened and closed."""
    refusal_close_code: int = 1008
    foreign_user: Literal["allowed", "refused"] = "allowed"
    """May somebody else than the chat's user open a socket to it? An unknown one is made, and told as `user_created`."""
    error_fields: Literal["code_message", "error_code_message", "error_object", "message"] = "code_message"
    """`error` has "specific error codes"; neither their names nor their field are readable."""
    received_text_field: str | None = "content"
    """Where `message_received` repeats the text; None: nowhere."""
    stream_events: Literal["flat", "nested"] = "flat"
    """Fields of the three stream events beside `event_type`, or in an object `data`."""
    token_field: str = "token"
    stream_id_field: str | None = "message_id"
    """Where the stream events name the reply's message; None: nowhere."""
    ended_text_field: str | None = "content"
    """Where `message_stream_ended` repeats the whole text; None: nowhere."""
    socket_hears: Literal["own", "all"] = "own"
    """Whether a socket also hears what other sockets, and others, cause in its chat."""
    reply_survives_socket: bool = True
    """Whether a reply is still written when its socket is gone."""
    reply_fails: Literal["never", "at_start", "in_the_middle"] = "never"
    """`error` instead of a reply, or instead of its second half; nothing is kept of it."""
    closes_after_reply: bool = False
    socket_lingers_ms: float = 0
    """How long a closed socket still counts as open, for the 409 on deleting."""
    begin_ms: float = 20
    """Until the reply's first token."""
    token_ms: float = 5
