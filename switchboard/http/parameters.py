"""From a body or a query string to an `OperationRequest` (GraphQL over HTTP, section "Request Parameters")."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from domain.errors import ErrorCode
from engine.encoding import NotJSON, decode
from engine.requests import OperationRequest
from switchboard.http.problem import Problem

_EXAMPLE = 'Send an object such as {"query": "{ __typename }"}.'
_URL_BYTES = 32 * 1024
_NAMES = ("query", "operationName", "variables", "extensions")


class BadParameters(ValueError):
    """A part of an operation has the wrong type; the message says which."""


def from_body(body: bytes) -> OperationRequest:
    """The request in a JSON body. Raises `Problem` with 400."""
    if not body.strip():
        raise Problem(400, f"Reading the body: it is empty. {_EXAMPLE}")
    try:
        document = decode(body)
    except NotJSON as error:
        raise Problem(400, f"Reading the body: it is not JSON in UTF-8 ({error}). {_EXAMPLE}") from None
    if isinstance(document, list):
        raise Problem(
            400, "Reading the body: batches of operations are not supported. Send one operation in each request."
        )
    return _checked(document)


def from_query_string(query_string: bytes) -> OperationRequest:
    """The request in the URL of a GET; `variables` and `extensions` are JSON there. Raises `Problem` with 400, and 414 for a long URL."""
    if len(query_string) > _URL_BYTES:
        raise Problem(
            414,
            f"Reading the URL: its query has {len(query_string)} bytes, and {_URL_BYTES} is the limit. Use POST.",
            code=ErrorCode.LIMIT_EXCEEDED,
            extensions={"limit": _URL_BYTES, "figure": len(query_string)},
        )
    try:
        fields = parse_qs(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError as error:  # UnicodeDecodeError is one
        raise Problem(400, f"Reading the URL: its parameters are not URL-encoded UTF-8 ({error}).") from None
    document: dict[str, Any] = {}
    for name in _NAMES:
        values = fields.get(name)
        if not values or (values == [""] and name != "query"):
            continue
        if len(values) > 1:
            raise Problem(400, f"Reading the URL: `{name}` is given {len(values)} times. Give it once.")
        document[name] = _json_parameter(name, values[0]) if name in ("variables", "extensions") else values[0]
    return _checked(document)


def operation_request(document: Any) -> OperationRequest:
    """The operation in a decoded object. Raises `BadParameters`. Parameters of other names are ignored, as the specification allows."""
    if not isinstance(document, Mapping):
        raise BadParameters("an operation is an object with `query`")
    query, name, variables, extensions = (document.get(key) for key in _NAMES)
    if not isinstance(query, str):
        raise BadParameters("`query` has to be a text" if "query" in document else "`query` is missing")
    if name is not None and not isinstance(name, str):
        raise BadParameters("`operationName` has to be a text or null")
    if variables is not None and not isinstance(variables, Mapping):
        raise BadParameters("`variables` has to be an object or null")
    if extensions is not None and not isinstance(extensions, Mapping):
        raise BadParameters("`extensions` has to be an object or null")
    return OperationRequest(query=query, operation_name=name or None, variables=variables, extensions=extensions)


def _checked(document: Any) -> OperationRequest:
    try:
        return operation_request(document)
    except BadParameters as error:
        raise Problem(400, f"Reading the request: {error}. {_EXAMPLE}") from None


def _json_parameter(name: str, text: str) -> Any:
    try:
        return decode(text)
    except NotJSON as error:
        raise Problem(400, f"Reading the URL: `{name}` is not JSON ({error}). Send an object, URL-encoded.") from None
