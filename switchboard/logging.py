"""Logs: one line per event, as JSON or for people, with the request's id, and without secrets.

Python's own `logging` and `structlog` go the same way, so that libraries are formatted and redacted like our own lines.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

REDACTED = "[redacted]"
_SECRET_NAMES = re.compile(r"authorization|api[-_]?key|secret|token|password|cookie|credential", re.IGNORECASE)
_SECRETS = re.compile(
    r"\bsb_[\w-]{20,}"  # our API keys
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # JWTs
    r"|(?<=[Bb]earer )[^\s\"',}]+"
    r"|\b(?:sk|pk)_(?:live|test)_[\w-]+"  # keys of Kodey and others
    r"|\bsk-[\w-]{16,}"  # keys of Open WebUI and others
    r"|(?<=://)[^/\s@:]+:[^/\s@]+(?=@)"  # name and password in an address
    r"|(?<=/webhooks/)[^\s\"']+"
)
_MAX_DEPTH = 6
QUIET = {
    "uvicorn.error": logging.INFO,  # below, every header and the ends of every frame of a socket, whatever they hold
    "aiosqlite": logging.WARNING,  # every statement with its values: texts of people, digests of keys
    "httpx": logging.WARNING,  # a line for each request to a vendor
    "httpcore": logging.WARNING,  # every header
    "alembic": logging.WARNING,  # lines at each start
}
"""Libraries that would write what passes through them, at any `log_level`, and the least that they may say."""

Event = MutableMapping[str, Any]


def configure_logging(log_format: str, level: str, *, stream: TextIO | None = None) -> None:
    """Send everything to `stream` (stderr). `log_format` is `auto`, `console` or `json`; `auto` is `console` on a terminal."""
    out = stream or sys.stderr
    as_json = log_format == "json" or (log_format == "auto" and not out.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    ending: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, _without_colours, redact]
    rendering: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=out.isatty())
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending, rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        own = logging.getLogger(name)
        own.handlers.clear()
        own.propagate = True
    logging.getLogger("uvicorn.access").setLevel(
        logging.WARNING
    )  # its lines carry addresses with queries, and no request id
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def bind_request(request_id: str) -> None:
    """Every line that this task, and those that it begins from now on, log carries the request's id."""
    structlog.contextvars.bind_contextvars(request_id=request_id)


def redact(_: Any, __: str, event: Event) -> Event:
    """Take secrets out of a line: by the name of a value, and by the look of a text. The last step before it is written."""
    return {name: _redacted(name, value, 0) for name, value in event.items()}


def _without_colours(_: Any, __: str, event: Event) -> Event:
    """uvicorn says each line twice, once in colours."""
    event.pop("color_message", None)
    return event


def _redacted(name: str, value: Any, depth: int) -> Any:
    if _SECRET_NAMES.search(name) and isinstance(value, str | bytes | dict | list | tuple):
        return REDACTED
    if isinstance(value, str):
        return _SECRETS.sub(REDACTED, value)
    if depth >= _MAX_DEPTH:
        return REDACTED
    if isinstance(value, dict):
        return {key: _redacted(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", inner, depth + 1) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _SECRETS.sub(REDACTED, str(value))
