"""Everything that can be set, with defaults and units: from `switchboard.toml`, and from `SWITCHBOARD_…` in the environment, which wins.

A nested setting is named with a dot here and in sentences, as a table in the file, and with two underscores in the environment:
`limits.depth`, `[limits] depth = 12`, `SWITCHBOARD_LIMITS__DEPTH=12`. A name that is not a setting stops the start. Secrets are
written as `env:NAME`: the value of that variable. They stay unresolved here and are looked up by `from_environment` where they are used.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from resolvers.slugs import SLUG
from switchboard.settings_errors import PREFIX, SettingsError, explain, unknown_variables

CONFIG_VARIABLE = "SWITCHBOARD_CONFIG"
DEFAULT_CONFIG = Path("switchboard.toml")

_SYMMETRIC = frozenset(["HS256", "HS384", "HS512"])
_ASYMMETRIC = frozenset(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"])


def _split(value: object) -> object:
    """In the environment a list is written with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_file: ContextVar[Path | None] = ContextVar("settings file", default=None)
"""The file of the settings being read; `Settings(...)` by itself reads none."""

Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


def _setting(default: Any, meaning: str, unit: str = "", **bounds: Any) -> Any:
    return Field(default, description=meaning, json_schema_extra={"unit": unit}, **bounds)


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class JwtSettings(_Group):
    """Tokens of a sign-in service. One of `jwks_url` and `secret` is needed."""

    issuer: str = _setting(
        ..., "The `iss` claim that tokens must carry; members are known by it and their `sub`.", min_length=1
    )
    audience: str = _setting(..., "The `aud` claim that tokens must carry.", min_length=1)
    jwks_url: str | None = _setting(
        None, "Where the service publishes its public keys. Fetched on first use and when a key id is unknown.", "URL"
    )
    secret: str | None = _setting(
        None,
        "Instead of `jwks_url`: the shared secret of HMAC tokens, at least 32 bytes. Write `env:NAME`.",
        repr=False,
    )
    algorithms: Texts = _setting(
        (), "Which signatures are accepted. Empty: RS256 and ES256 with `jwks_url`, HS256 with `secret`. Never `none`."
    )
    organization_claim: str | None = _setting(
        None, "The claim with the slug of the organization that a token speaks for. Left out: see `X-Organization`."
    )
    leeway_seconds: float = _setting(
        60, "How far the clocks of service and gateway may differ.", "seconds", ge=0, le=300
    )
    jwks_ttl_seconds: float = _setting(
        600, "How long fetched keys are good before they are fetched again.", "seconds", gt=0
    )

    @model_validator(mode="after")
    def _has_one_kind_of_key(self) -> "JwtSettings":
        if (self.jwks_url is None) == (self.secret is None):
            raise ValueError("Set one of `auth.jwt.jwks_url` and `auth.jwt.secret`.")
        allowed = _SYMMETRIC if self.secret is not None else _ASYMMETRIC
        if wrong := sorted(set(self.algorithms) - allowed):
            # A public key must never be taken for an HMAC secret, and `none` is no signature.
            raise ValueError(
                f"`auth.jwt.algorithms` has {', '.join(wrong)}; possible here are {', '.join(sorted(allowed))}."
            )
        return self

    @property
    def allowed_algorithms(self) -> tuple[str, ...]:
        """The algorithms in force."""
        return self.algorithms or (("HS256",) if self.secret is not None else ("RS256", "ES256"))


class AuthSettings(_Group):
    """Who may ask."""

    jwt: JwtSettings | None = _setting(None, "Tokens of a sign-in service. Left out: API keys only.")
    check_seconds: float = _setting(
        2,
        "How old what is known of a key or membership may be: a revoked one ends within twice this.",
        "seconds",
        gt=0,
        le=2.5,
    )


class LimitSettings(_Group):
    """What one request may ask for. Checked before anything is executed."""

    body_bytes: int = _setting(1_048_576, "Largest request body.", "bytes", ge=1024)
    tokens: int = _setting(2000, "Most tokens of a document.", "tokens", ge=1)
    depth: int = _setting(12, "Deepest nesting of fields.", "levels", ge=1)
    introspection_depth: int = _setting(20, "Deepest nesting of introspection fields.", "levels", ge=1)
    aliases: int = _setting(30, "Most aliases of an operation.", "aliases", ge=0)
    root_fields: int = _setting(20, "Most fields at the root of an operation.", "fields", ge=1)
    directives: int = _setting(20, "Most directives of an operation.", "directives", ge=0)
    repeated_fields: int = _setting(100, "How often one field may stand in one place.", "times", ge=1)
    cost: int = _setting(
        100_000, "Greatest cost of an operation: fields, multiplied by the sizes of their lists.", "fields", ge=1
    )


class UpstreamSettings(_Group):
    """How sources are called. A source's own options may be stricter."""

    read_timeout_seconds: float = _setting(
        30, "How long a source may be silent inside an answer that it streams.", "seconds", gt=0
    )
    total_timeout_seconds: float = _setting(
        10, "How long one call may take in all, its repetitions included.", "seconds", gt=0
    )
    response_bytes: int = _setting(33_554_432, "Largest answer of a source.", "bytes", ge=1024)
    concurrency: int = _setting(8, "Most calls to one source at a time.", "calls", ge=1)
    call_budget: int = _setting(200, "Most calls to sources that one operation may need.", "calls", ge=1)


class EventSettings(_Group):
    """The log behind subscriptions."""

    retention_days: float = _setting(7, "How long events can be replayed with `after`.", "days", gt=0)


class LiveSettings(_Group):
    """How vendors are watched while somebody subscribes. Readings of a source that knows a quota of its own keep inside that."""

    linger_seconds: float = _setting(
        30, "How long a chat or source is watched on after its last subscriber has left.", "seconds", ge=0
    )
    poll_seconds_min: float = _setting(1, "How soon a chat is read again after something new.", "seconds", gt=0)
    poll_seconds_max: float = _setting(
        60,
        "How seldom a quiet chat is read. When the quota allows less, `SourceHealthChanged` tells it.",
        "seconds",
        gt=0,
    )
    full_pass_seconds: float = _setting(
        900,
        "How often what no list and no newest end tells is looked for, such as renames and deletions.",
        "seconds",
        gt=0,
    )
    polls_per_minute: float = _setting(
        300,
        "Most readings a minute for watching, with one credential, where the vendor's quota is not known.",
        "readings",
        gt=0,
    )
    concurrency: int = _setting(4, "Most readings for watching one source at a time.", "readings", ge=1)
    feeds: int = _setting(
        5000, "Most chats and sources that are watched at a time because they were subscribed to.", ge=1
    )
    feeds_per_source: int = _setting(1000, "Most of them at one source.", ge=1)
    chats_per_source: int = _setting(
        1000,
        "How many chats of a source are read in turns when it is subscribed to as a whole, the most recent ones first.",
        "chats",
        ge=0,
    )
    streams_per_source: int = _setting(
        50, "Most event streams that are open at one source; other chats are read in turns.", ge=0
    )
    fill_pages: int = _setting(
        50,
        "How far back a chat is read when more was written than a page holds. Beyond it, `StreamGap` tells that something is missing.",
        "pages",
        ge=1,
    )
    full_pass_pages: int = _setting(10, "How far back a full pass reads a chat.", "pages", ge=1)
    caught_up_seconds: float = _setting(
        10, "How long `CaughtUp` waits for a source before it names it as incomplete.", "seconds", gt=0
    )


class ReplySettings(_Group):
    """Replies that are being written."""

    wait_seconds: float = _setting(30, "How long `reply: WAIT` waits for an answer to be finished.", "seconds", gt=0)
    patience_seconds: float = _setting(
        600,
        "How long an answer may take to show up at its source that nobody could follow to its end; then it is taken to have broken off.",
        "seconds",
        gt=0,
    )
    look_seconds: float = _setting(
        5,
        "How often it is looked for answers and messages that nobody works on any more, because their process died or gave up.",
        "seconds",
        gt=0,
        le=20,
    )


class MirrorSettings(_Group):
    """The gateway's copy of what it has seen at sources."""

    retention_days: float = _setting(
        90, "How long chats and messages are kept after they were last seen.", "days", gt=0
    )
    queue_rows: int = _setting(
        2000,
        "Most rows that may wait to be written behind the answers that show them. What queries read beyond it is not kept.",
        "rows",
        ge=1,
    )
    queue_bytes: int = _setting(8_388_608, "How much they may hold.", "bytes", ge=1024)


class WebSocketSettings(_Group):
    """`graphql-transport-ws`."""

    init_timeout_seconds: float = _setting(5, "How long a socket may wait with `connection_init`.", "seconds", gt=0)
    queue_bytes: int = _setting(
        1_048_576,
        "How much may wait for a slow reader. One whose queue stays full for 10 s is closed.",
        "bytes",
        ge=1024,
    )
    max_operations: int = _setting(100, "Most operations of one socket at a time.", "operations", ge=1)


class SourceSettings(_Group):
    """A source that exists because the settings name it; it is made or changed at the start."""

    organization: str = _setting(..., "The slug of the organization that it belongs to.", pattern=SLUG)
    key: str = _setting(..., "Its short name, unique in the organization.", pattern=SLUG)
    vendor: str = _setting(..., "The kind of chat system, one of those in the table of vendors.", min_length=1)
    display_name: str | None = _setting(None, "The name to show to people. Left out: the vendor's.")
    base_url: str | None = _setting(None, "Where it is. Some vendors have a default.", "URL")
    credentials: dict[str, str] = _setting(
        {}, "What signs the gateway in, by name. Write secrets as `env:NAME`.", repr=False
    )
    options: dict[str, Any] = _setting({}, "Settings of the vendor.")


class Settings(BaseSettings):
    """All settings. Read them with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    database_url: str = _setting(
        "sqlite:///.switchboard/switchboard.db",
        "Where the store is: `sqlite:///` and a path.",
        "URL",
        pattern="^sqlite:///.",
    )
    secret_keys: Texts = _setting(
        ("env:SWITCHBOARD_SECRET_KEY",),
        "Secrets of the gateway: the first signs and encrypts, all verify and decrypt. `switchboard keys secret` makes one.",
        repr=False,
    )
    allowed_origins: Texts = _setting(
        (), "Web pages that may use the gateway from a browser, e.g. `https://app.example.com` or `http://localhost:*`."
    )
    host: str = _setting("127.0.0.1", "The address to listen at.", min_length=1)
    port: int = _setting(4000, "The port to listen at.", ge=0, le=65535)
    workers: int = _setting(1, "How many processes serve.", "processes", ge=1, le=256)
    development: bool = _setting(
        False, "Suggest names in validation errors and show texts that are kept from clients otherwise."
    )
    graphiql: bool = _setting(True, "Serve GraphiQL at `/graphql` to browsers.")
    log_format: Literal["auto", "console", "json"] = _setting(
        "auto", "`json`, `console`, or `auto`: `console` on a terminal, else `json`."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "The least that is logged.")
    allow_private_addresses: bool = _setting(
        False, "Let sources be at loopback and private addresses, e.g. in the network of the gateway."
    )
    credential_variables: Texts = _setting(
        (),
        "Which variables `connectSource` may name as `env:NAME`, with `*` for any characters. Empty: none, because an admin of "
        "an organization could send any secret of this machine to a server of their own. `[[sources]]` may name all.",
    )
    list_ttl_seconds: float = _setting(
        30, "How long a list that was read whole is good before it is read again.", "seconds", gt=0
    )
    shutdown_seconds: float = _setting(
        10, "How long running operations may take to end after SIGTERM.", "seconds", ge=0
    )
    auth: AuthSettings = _setting(AuthSettings(), "Who may ask.")
    limits: LimitSettings = _setting(LimitSettings(), "What one request may ask for.")
    upstream: UpstreamSettings = _setting(UpstreamSettings(), "How sources are called.")
    events: EventSettings = _setting(EventSettings(), "The log behind subscriptions.")
    live: LiveSettings = _setting(LiveSettings(), "How vendors are watched.")
    replies: ReplySettings = _setting(ReplySettings(), "Answers that are being written.")
    mirror: MirrorSettings = _setting(MirrorSettings(), "The copy of what was seen at sources.")
    websocket: WebSocketSettings = _setting(WebSocketSettings(), "Sockets.")
    sources: tuple[SourceSettings, ...] = _setting((), "Sources that exist because the settings name them.")

    @model_validator(mode="after")
    def _has_each_source_once(self) -> "Settings":
        names = [(source.organization, source.key) for source in self.sources]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"`sources` has {'/'.join(twice[0])} twice. Keys are unique in an organization.")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The command line wins over the environment, the environment over the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_file.get())


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings. `config`: the file, else `SWITCHBOARD_CONFIG`, else `switchboard.toml` where there is one.

    `overrides` are options of the command line; None means that it was left out. Raises `SettingsError`.
    """
    chosen = config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    if chosen is not None and not chosen.is_file():
        raise SettingsError(
            f"The settings were to be read from {chosen}, and there is no such file. Correct `--config` or {CONFIG_VARIABLE}."
        )
    path = chosen or DEFAULT_CONFIG

    _refuse_unknown_variables(path)
    token = _file.set(path)
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise SettingsError(
            explain(error, path, setting_names())
        ) from None  # pydantic's text shows values, secrets too
    except ValueError as error:
        raise SettingsError(
            f"The settings in {path} and the environment cannot be read: {error}. Correct the place."
        ) from error
    finally:
        _file.reset(token)


def from_environment(value: str, *, setting: str, environment: Mapping[str, str] | None = None) -> str:
    """The secret that a text stands for: the variable's value for `env:NAME`, else the text itself. Raises `SettingsError`."""
    if not value.startswith("env:"):
        return value
    name = value.removeprefix("env:")
    found = (os.environ if environment is None else environment).get(name)
    if not found:
        raise SettingsError(
            f"`{setting}` is `{value}`, and the variable {name} is {'empty' if found == '' else 'not set'}. Export {name}, or change the setting."
        )
    return found


def settings_table() -> list[tuple[str, str, str, str]]:
    """(name, default, unit, meaning) of every setting, in the order of the file, for the README."""
    return [
        (name, _default_of(field), (field.json_schema_extra or {}).get("unit", ""), field.description or "")  # type: ignore[union-attr, misc]  # `_setting` makes it a dict
        for name, field in _fields(Settings)
    ]


def setting_names() -> list[str]:
    """The dotted names of all settings."""
    return [name for name, _ in _fields(Settings)]


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if nested := _nested(field.annotation):
            is_list = get_origin(field.annotation) is tuple
            yield from _fields(nested, f"{prefix}{name}{'[]' if is_list else ''}.")
        else:
            yield f"{prefix}{name}", field


def _nested(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, UnionType):
        return next((found for part in get_args(annotation) if (found := _nested(part))), None)
    return None


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.default
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return f"[{', '.join(default)}]"
    return str(default)


def _refuse_unknown_variables(path: Path) -> None:
    """Raise `SettingsError` for a variable with our prefix that nothing reads; what is named as `env:NAME` is read."""
    texts = [path.read_text(errors="replace") if path.is_file() else "", *os.environ.values()]
    referred = frozenset(name for text in texts for name in re.findall(r"env:(\w+)", text))
    unknown_variables(os.environ, setting_names(), referred=referred)
