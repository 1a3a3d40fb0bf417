"""Logs: one JSON line per event, with the request's id, without secrets."""

import contextvars
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import structlog

from resolvers.api_key_secrets import new_api_key
from switchboard.logging import bind_request, configure_logging, redact


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is written, as JSON. Logging is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    out = io.StringIO()
    configure_logging("json", "info", stream=out)
    yield out
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_and_level(log: io.StringIO) -> None:
    structlog.get_logger("switchboard.test").info("started", port=4000)
    (line,) = lines(log)
    assert (line["event"], line["port"], line["level"], line["logger"]) == ("started", 4000, "info", "switchboard.test")
    assert line["timestamp"].endswith("Z")


def test_lines_of_libraries_look_the_same(log: io.StringIO) -> None:
    logging.getLogger("library").warning("%d retries", 3, extra={"host": "a"})
    (line,) = lines(log)
    assert (line["event"], line["host"], line["level"]) == ("3 retries", "a", "warning")


def test_lines_below_the_level_are_left_out(log: io.StringIO) -> None:
    structlog.get_logger("switchboard.test").debug("detail")
    assert lines(log) == []


def test_lines_of_a_request_carry_its_id_and_others_do_not(log: io.StringIO) -> None:
    def request() -> None:
        bind_request("r1")
        logging.getLogger("library").warning("inside")

    contextvars.copy_context().run(request)
    logging.getLogger("library").warning("outside")
    inside, outside = lines(log)
    assert inside["request_id"] == "r1"
    assert "request_id" not in outside


def test_a_traceback_is_in_the_line_without_secrets(log: io.StringIO) -> None:
    secret = new_api_key().secret
    try:
        raise ValueError(f"bad key {secret}")
    except ValueError:
        structlog.get_logger("switchboard.test").exception("failed")
    (line,) = lines(log)
    assert "ValueError: bad key [redacted]" in line["exception"]
    assert secret not in log.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        f"got {new_api_key().secret}",
        "Authorization: Bearer hunter2hunter2",
        f"token {jwt.encode({'a': 1}, 's' * 32)}",
        "http://ann:hunter2@host/x",
        "POST /webhooks/5/hunter2",
        "key sk_live_hunter2",
        "key sk-0123456789abcdef0123",
    ],
    ids=["api key", "bearer", "jwt", "address", "webhook", "kodey", "open webui"],
)
def test_secrets_are_taken_out_of_texts(text: str) -> None:
    event = redact(None, "info", {"event": text, "nested": {"list": [text]}})
    shown = str(event)
    for secret in ("hunter2", "sb_", "eyJ", "0123456789abcdef"):
        assert secret not in shown
    assert shown.count("[redacted]") >= 2


@pytest.mark.parametrize("name", ["Authorization", "api_key", "client_secret", "password", "cookie", "credentials"])
def test_values_are_taken_out_by_their_name(name: str) -> None:
    assert redact(None, "info", {"event": "x", "inner": {name: "hunter2"}})["inner"] == {name: "[redacted]"}


def test_counts_and_ordinary_texts_stay() -> None:
    event = {"event": "done", "tokens": 12, "path": "/graphql", "took": 0.5, "none": None, "ok": True}
    assert redact(None, "info", dict(event)) == event


def test_values_of_any_depth_and_kind_can_be_logged(log: io.StringIO) -> None:
    deep: Any = "end"
    for _ in range(20):
        deep = {"inner": deep}
    structlog.get_logger("switchboard.test").info("deep", value=deep, kind=object, raw=b"\xff")
    assert len(lines(log)) == 1


def test_on_a_terminal_lines_are_for_people() -> None:
    out = io.StringIO()
    out.isatty = lambda: True  # type: ignore[method-assign]
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging("auto", "info", stream=out)
        structlog.get_logger("switchboard.test").info("started", port=4000)
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
    assert "started" in out.getvalue()
    assert not out.getvalue().startswith("{")
