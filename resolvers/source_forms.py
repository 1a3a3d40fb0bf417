"""What somebody wrote about a source, checked before any call: its address, options and credentials."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from domain.errors import InvalidArgument
from domain.records import Source, Visibility
from domain.source import Connector
from resolvers.forms import check_form

TakeVariable = Callable[[str], str | None]
"""The value of an environment variable; None: it may not be taken, or is not set."""


def checked_url(connector: Connector, text: str | None) -> str | None:
    """The address without a slash at its end. None stands for the vendor's default."""
    if text is None or not text.strip():
        if connector.default_base_url is None and not connector.capabilities.reads_from_store:
            raise InvalidArgument(
                f"{connector.display_name} has no common address. Give its `baseUrl`.", path=("baseUrl",)
            )
        return None
    try:
        parts = urlsplit(text.strip())
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that are none
        is_good = False
    if not is_good or "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidArgument(
            "`baseUrl` is not possible: give `http://` or `https://`, a host and perhaps a path, without name, password, `?` and `#`.",
            path=("baseUrl",),
        )
    return text.strip().rstrip("/")


def host_of(address: str | None) -> tuple[str, str | None, int | None]:
    """What makes two addresses one and the same server for a secret."""
    parts = urlsplit(address or "")
    return (parts.scheme, parts.hostname, parts.port)


def checked_options(connector: Connector, options: object) -> Mapping[str, Any]:
    """The options, if the vendor's schema allows them."""
    if not isinstance(options, Mapping):
        raise InvalidArgument("`options` is not a JSON object. See `Vendor.optionsSchema`.", path=("options",))
    check_form(connector.options_schema, options, ("options",))
    return options


def checked_credentials(connector: Connector, given: Mapping[str, str], take: TakeVariable | None) -> dict[str, str]:
    """The secrets by name, if the vendor's schema allows them. `take` None: what looks like `env:NAME` is a secret itself."""
    values = dict(given) if take is None else secrets_of(given, take)
    check_form(connector.credentials_schema, values, ("credentials",))
    return values


def secrets_of(given: Mapping[str, str], take: TakeVariable) -> dict[str, str]:
    """The secrets by name, `env:NAME` replaced by the variable's value."""
    return {name: _value(name, text, take) for name, text in given.items()}


def shown(source: Source) -> dict[str, Any]:
    """What the audit log keeps of a source; credentials are not part of the record.

    Of a source that only its owner sees it keeps that there is one: all admins read the log.
    """
    if source.visibility is Visibility.OWNER:
        return {"visibility": source.visibility.value}
    return {
        "key": source.key,
        "vendor": source.vendor,
        "displayName": source.display_name,
        "baseUrl": source.base_url,
        "options": dict(source.options),
        "visibility": source.visibility.value,
    }


def _value(name: str, text: str, take: TakeVariable) -> str:
    if not text.startswith("env:"):
        return text
    value = take(text.removeprefix("env:"))
    if value is None:
        raise InvalidArgument(
            f"`{name}` was to be taken from `{text}`, which is not set or not in the gateway's setting `credential_variables`. "
            "Give the secret itself, or ask who runs the gateway.",
            path=("credentials", name),
        )
    return value
