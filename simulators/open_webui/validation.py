"""Reading requests as strictly as FastAPI and pydantic do it there, with their 422 answers."""

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from simulators.open_webui.errors import DetailError

Spec = Mapping[str, str]
"""Field → kind: `str dict bool list int any`, with `?` behind it when it may be absent or null."""

_KINDS: dict[str, tuple[type, str, str]] = {
    "str": (str, "string_type", "Input should be a valid string"),
    "dict": (dict, "dict_type", "Input should be a valid dictionary"),
    "list": (list, "list_type", "Input should be a valid list"),
    "bool": (bool, "bool_type", "Input should be a valid boolean"),
    "int": (int, "int_type", "Input should be a valid integer"),
}
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "t": True, "y": True} | {
    "false": False,
    "0": False,
    "no": False,
    "off": False,
    "f": False,
    "n": False,
}


def problem(kind: str, loc: list[Any], msg: str, given: Any, **more: Any) -> dict[str, Any]:
    return {"type": kind, "loc": loc, "msg": msg, "input": given} | ({"ctx": more} if more else {})


def _refuse(*problems: dict[str, Any]) -> DetailError:
    return DetailError(422, list(problems))


async def read_body(request: Request) -> Any:
    """The parsed body; text where the content type is not JSON; None where there is none. Refuses half a JSON."""
    raw = await request.body()
    if not raw:
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        text = raw.decode()
        if kind != "application/json" and not re.fullmatch(r"application/[\w.+-]+\+json", kind):
            return text
        return _cleaned(json.loads(text, parse_constant=lambda _: None, parse_int=_int))
    except json.JSONDecodeError as error:
        raise _refuse(problem("json_invalid", ["body", error.pos], "JSON decode error", {}, error=error.msg)) from error
    except UnicodeDecodeError as error:
        raise DetailError(400, "There was an error parsing the body") from error


def _int(digits: str) -> int | float:
    return int(digits) if abs(int(digits)) < 2**64 else float(digits)


def _cleaned(value: Any) -> Any:
    """Without NUL and lone surrogates, which the server strips."""
    if isinstance(value, str):
        return _NOT_TEXT.sub("", value)
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    if isinstance(value, dict):
        return {name: _cleaned(one) for name, one in value.items()}
    return value


def read_model(body: Any, spec: Spec, *, forbid_extra: bool = False, at: tuple[Any, ...] = ("body",)) -> dict[str, Any]:
    """The fields of `spec`, None where absent; with all problems in one 422, as pydantic collects them."""
    if body is None:
        raise _refuse(problem("missing", list(at), "Field required", None))
    if not isinstance(body, dict):
        said = "Input should be a valid dictionary or object to extract fields from"
        raise _refuse(problem("model_attributes_type", list(at), said, body))
    problems: list[dict[str, Any]] = []
    for name, kind in spec.items():
        problems += _problems_of(body, name, kind, at)
    if forbid_extra:
        extra = [name for name in body if name not in spec]
        problems += [
            problem("extra_forbidden", [*at, name], "Extra inputs are not permitted", body[name]) for name in extra
        ]
    if problems:
        raise _refuse(*problems)
    return {name: body.get(name) for name in spec}


def _problems_of(body: dict[str, Any], name: str, kind: str, at: tuple[Any, ...]) -> list[dict[str, Any]]:
    optional, kind = kind.endswith("?"), kind.rstrip("?")
    if name not in body:
        return [] if optional else [problem("missing", [*at, name], "Field required", body)]
    value = body[name]
    if kind == "any" or (value is None and optional) or isinstance(value, _KINDS[kind][0]):
        return []
    return [problem(_KINDS[kind][1], [*at, name], _KINDS[kind][2], value)]


def read_dict(body: Any) -> dict[str, Any]:
    """A body that may hold anything, as the completion route takes it."""
    if body is None:
        raise _refuse(problem("missing", ["body"], "Field required", None))
    if not isinstance(body, dict):
        raise _refuse(problem("dict_type", ["body"], "Input should be a valid dictionary", body))
    return body


def query_int(request: Request, name: str) -> int | None:
    given = request.query_params.get(name)
    if given is None:
        return None
    if not re.fullmatch(r"\s*[+-]?\d+\s*", given):
        said = "Input should be a valid integer, unable to parse string as an integer"
        raise _refuse(problem("int_parsing", ["query", name], said, given))
    return int(given)


def query_bool(request: Request, name: str, default: bool) -> bool:
    given = request.query_params.get(name)
    if given is None:
        return default
    if given.lower() not in _BOOLEANS:
        said = "Input should be a valid boolean, unable to interpret input"
        raise _refuse(problem("bool_parsing", ["query", name], said, given))
    return _BOOLEANS[given.lower()]


def query_text(request: Request, name: str) -> str:
    given = request.query_params.get(name)
    if given is None:
        raise _refuse(problem("missing", ["query", name], "Field required", None))
    return given
