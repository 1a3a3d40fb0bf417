"""Numbers of the protocols. The gateway's settings fill them in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """Sizes in bytes, durations in seconds."""

    body_bytes: int = 1024 * 1024
    """Largest body of a request, and largest message on a socket."""
    body_timeout_seconds: float = 30.0
    """How long a body may take to arrive."""
    write_timeout_seconds: float = 30.0
    """How long a reader of server-sent events may let one write wait before its stream is ended."""
    sse_keep_alive_seconds: float = 12.0
    """A comment is sent on a stream that was silent this long, so that proxies keep it open."""
    ws_init_timeout_seconds: float = 5.0
    """How long a socket may be open without `connection_init`."""
    ws_silent_sockets: int = 200
    """Most sockets that are open without having initialised; a further one is refused with 503."""
    ws_sockets: int = 10_000
    """Most sockets at all; a further one is refused with 503."""
    ws_operations: int = 100
    """Most operations at a time on one socket; a further one gets an `error` message."""
    ws_queue_bytes: int = 1024 * 1024
    """Most bytes that wait for one socket. A full queue holds up the operations of that socket, and of no other."""
    ws_slow_reader_seconds: float = 10.0
    """A socket whose queue stays full this long is closed with 4410."""
    ws_expiry_margin_seconds: float = 10.0
    """How long before its credential expires a socket is closed with 4419."""
    sse_queue_bytes: int = 1024 * 1024
    """Most bytes that wait for one stream of server-sent events. A full queue holds up this stream, and no other."""
    watch_after_seconds: float = 0.05
    """An operation that runs longer is watched for its client leaving."""
