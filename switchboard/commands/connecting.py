"""`switchboard sources add`: what `connectSource` does, for whoever runs the gateway.

Secrets are never printed, nor is anything that may hold one. A credential is written as `NAME=env:VARIABLE`, as `NAME=-` for a line of the
standard input (on a terminal it is asked for and not shown), or as `NAME=VALUE`, which stays in the shell's history.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from domain.errors import InvalidArgument
from domain.ids import IdType, format_id
from domain.records import Check, Organization, Principal, Role, Scope, Visibility
from domain.source import Connector
from resolvers.context import Context, Gateway
from resolvers.principals import person_key
from resolvers.sources import ChecksFailed, Connected, connect_source
from switchboard.commands.running import ACTOR, MARKS, Config, opened_gateway, organization_of, show
from switchboard.settings import Settings, from_environment, load_settings
from switchboard.settings_errors import SettingsError

_STDIN = "-"
_FLAGS = {
    "key": "KEY",
    "vendor": "--vendor",
    "displayName": "--name",
    "baseUrl": "--base-url",
    "credentials": "--credential",
    "options": "--option",
}
"""A field of `ConnectSourceInput` → how it is said here."""


class SeenBy(StrEnum):
    """Who sees a source."""

    ORGANIZATION = "organization"
    OWNER = "owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What was asked for. `credentials`: name → `env:NAME`, `-` or the secret; `owner`: the subject of the only one who sees it."""

    key: str
    vendor: str
    display_name: str | None
    base_url: str | None
    credentials: Mapping[str, str]
    options: Mapping[str, Any]
    owner: str | None
    issuer: str | None
    dry_run: bool


def add(
    key: Annotated[str, typer.Argument(help="Its short name: lower-case letters, digits and hyphens.")],
    organization: Annotated[
        str, typer.Option("--organization", metavar="SLUG", help="The organization that it belongs to.")
    ],
    vendor: Annotated[str, typer.Option(help="The kind of chat system, one of the README's table of vendors.")],
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where it is. Left out: the vendor's own address.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The name to show to people. Left out: the vendor's.")] = None,
    credential: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="What signs the gateway in, once per name. VALUE is env:VARIABLE, - for a line of the standard input, "
            "or the secret itself, which your shell then remembers.",
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=JSON", help="A setting of the vendor, once per name, such as path_prefix='\"/api/v1\"'."
        ),
    ] = None,
    visibility: Annotated[SeenBy, typer.Option(help="Who sees it.")] = SeenBy.ORGANIZATION,
    owner: Annotated[
        str | None,
        typer.Option(metavar="SUBJECT", help="With --visibility owner: the `sub` claim of the member who sees it."),
    ] = None,
    issuer: Annotated[
        str | None, typer.Option(help="The `iss` claim of the owner. Left out: `auth.jwt.issuer`.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check and reach out; store nothing.")] = False,
    config: Config = None,
) -> None:
    """Connect a source: its settings are checked, it is reached for, and it is stored if all went well. Prints its id.

    Credentials are stored encrypted and never shown again. Gateways that run notice the source within seconds.
    """
    if (visibility is SeenBy.OWNER) != (owner is not None):
        raise typer.BadParameter("`--visibility owner` and `--owner SUBJECT` need each other.")
    wanted = _Wanted(
        key=key,
        vendor=vendor,
        display_name=name,
        base_url=base_url,
        credentials=_pairs("--credential", credential or ()),
        options=_options(option or ()),
        owner=owner,
        issuer=issuer,
        dry_run=dry_run,
    )
    try:
        connected = asyncio.run(_connect(load_settings(config), organization, wanted))
    except ChecksFailed as failed:
        _show_checks(failed.checks)
        raise
    except InvalidArgument as error:
        raise _as_said_here(error) from error
    _show_checks(connected.checks)
    if connected.source is not None:
        typer.echo(f"The source {organization}/{key} is connected.", err=True)
        typer.echo(format_id(IdType.SOURCE, connected.source.id))
    elif any(check.passed is False for check in connected.checks):
        raise typer.Exit(1)


async def _connect(settings: Settings, slug: str, wanted: _Wanted) -> Connected:
    async with opened_gateway(settings) as gateway:
        organization = await organization_of(gateway.store, slug)
        # Who runs the gateway may name any variable, as in `[[sources]]`.
        context = await _context(replace(gateway, take_variable=_variable), organization, wanted)
        return await connect_source(
            context,
            key=wanted.key,
            vendor=wanted.vendor,
            display_name=wanted.display_name,
            base_url=wanted.base_url,
            credentials=_credentials(gateway.connectors.get(wanted.vendor), wanted.credentials),
            options=wanted.options,
            dry_run=wanted.dry_run,
            visibility=Visibility.ORGANIZATION if wanted.owner is None else Visibility.OWNER,
            idempotency_key=None,
        )


async def _context(gateway: Gateway, organization: Organization, wanted: _Wanted) -> Context:
    """As the owner of a source that only they see, else as nobody in particular; the audit log names the command line."""
    principal = Principal(key=ACTOR, subject=None, display_name=ACTOR)
    if wanted.owner is not None:
        issuer = wanted.issuer or gateway.default_issuer
        if issuer is None:
            raise SettingsError("The owner has no issuer. Give `--issuer`, or set `auth.jwt.issuer`.")
        if await gateway.store.organizations.member(organization.id, issuer, wanted.owner) is None:
            raise SettingsError(
                f"{organization.slug} has no member {wanted.owner} of {issuer}, so nobody would see the source. "
                "Add the member with `addMember` first, or correct `--owner` and `--issuer`."
            )
        principal = replace(principal, key=person_key(issuer, wanted.owner))
    return Context(
        gateway=gateway,
        organization=organization,
        principal=principal,
        role=Role.ADMIN,
        scopes=frozenset(Scope),
        request_id=ACTOR,
    )


def _pairs(flag: str, given: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE`, each name once. What is wrong is never quoted: a secret may stand in the wrong place."""
    pairs: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"Write each `{flag}` as NAME=…, with something on both sides.")
        if name in pairs:
            raise typer.BadParameter(f"A name was given to `{flag}` twice. Give each once.")
        pairs[name] = value
    return pairs


def _options(given: Sequence[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, text in _pairs("--option", given).items():
        try:
            options[name] = json.loads(text)
        except (ValueError, RecursionError):
            raise typer.BadParameter(
                f"`--option {name}=…` is not JSON. A text needs its own quotes, inside those of the shell: {name}='\"…\"'."
            ) from None
    return options


def _credentials(connector: Connector | None, given: Mapping[str, str]) -> dict[str, str]:
    """With the lines of the standard input. A name that the vendor does not know may be a secret, so it is not shown."""
    if connector is None:
        return {}
    known = list(connector.credentials_schema.get("properties", {}))
    if not set(given) <= set(known):
        names = ", ".join(f"`{name}`" for name in known) or "none"
        raise SettingsError(
            f"`--credential` has a name that {connector.display_name} does not know. Known ones: {names}. Write NAME=VALUE."
        )
    return {name: _typed(name) if value == _STDIN else value for name, value in given.items()}


def _typed(name: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(name, hide_input=True, err=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise SettingsError(
            f"The credential `{name}` was to be read from the standard input, which has no (further) line. "
            "Give one line for each `NAME=-`, in their order."
        )
    return line


def _variable(name: str) -> str:
    return from_environment(f"env:{name}", setting="--credential")


def _as_said_here(error: InvalidArgument) -> SettingsError:
    """The sentence with the flag in front that the reader has to correct."""
    field, *inner = error.path or ("",)
    message = error.message
    for of_schema, flag in _FLAGS.items():
        message = message.replace(f"`{of_schema}`", f"`{flag}`")
    flag = " ".join([_FLAGS.get(field, field), *([".".join(inner)] if inner else [])])
    return SettingsError(message if f"`{flag}`" in message or not flag else f"`{flag}`: {message}")


def _show_checks(checks: Sequence[Check]) -> None:
    table = Table("Check", "Result", "What it says")
    for check in checks:
        table.add_row(check.name, MARKS[check.passed], check.message)
    show(table, on_stderr=True)
