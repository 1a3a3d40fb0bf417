"""Settings: where they come from, and what is said when one is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from switchboard.settings import Settings, from_environment, load_settings, setting_names, settings_table
from switchboard.settings_errors import SettingsError

WriteConfig = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SWITCHBOARD_CONFIG", "SWITCHBOARD_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> WriteConfig:
    """Write a file of settings."""

    def write(text: str) -> Path:
        path = tmp_path / "gateway.toml"
        path.write_text(text)
        return path

    return write


CONTRACT = """
database_url = "sqlite:///.switchboard/switchboard.db"
secret_keys = ["env:SWITCHBOARD_SECRET_KEY"]
allowed_origins = ["https://app.example.com"]
[auth.jwt]
issuer = "https://id.example.com"
audience = "switchboard"
jwks_url = "https://id.example.com/jwks.json"
organization_claim = "org"
[[sources]]
organization = "acme"
key = "assistants"
vendor = "open_webui"
base_url = "https://chat.example.com"
credentials = { api_key = "env:OPEN_WEBUI_KEY" }
options = { path_prefix = "/api/v1" }
"""


def test_the_documented_file_is_read_whole(write: WriteConfig) -> None:
    settings = load_settings(write(CONTRACT))
    assert settings.auth.jwt is not None
    assert settings.auth.jwt.organization_claim == "org"
    assert settings.allowed_origins == ("https://app.example.com",)
    assert settings.sources[0].credentials == {"api_key": "env:OPEN_WEBUI_KEY"}
    assert settings.sources[0].options == {"path_prefix": "/api/v1"}


def test_without_a_file_there_are_defaults() -> None:
    assert load_settings() == Settings()


def test_a_file_in_the_working_directory_is_found(tmp_path: Path) -> None:
    (tmp_path / "switchboard.toml").write_text("port = 4444")
    assert load_settings().port == 4444


def test_the_file_may_be_named_by_a_variable(write: WriteConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_CONFIG", str(write("port = 4001")))
    assert load_settings().port == 4001


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load_settings(tmp_path / "gone.toml")


def test_the_environment_wins_over_the_file_and_options_over_both(
    write: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("port = 1\nhost = 'a'\n[limits]\ndepth = 3\ntokens = 7")
    monkeypatch.setenv("SWITCHBOARD_PORT", "2")
    monkeypatch.setenv("SWITCHBOARD_LIMITS__DEPTH", "4")
    settings = load_settings(path, port=3, host=None)
    assert (settings.port, settings.host, settings.limits.depth, settings.limits.tokens) == (3, "a", 4, 7)


def test_a_table_can_stand_in_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ISSUER": "a", "AUDIENCE": "b", "JWKS_URL": "https://c", "ALGORITHMS": "ES256,RS256"}.items():
        monkeypatch.setenv(f"SWITCHBOARD_AUTH__JWT__{name}", value)
    jwt = load_settings().auth.jwt
    assert jwt is not None
    assert (jwt.issuer, jwt.allowed_algorithms) == ("a", ("ES256", "RS256"))


def test_lists_in_the_environment_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_ALLOWED_ORIGINS", "https://a.example, http://localhost:*")
    assert load_settings().allowed_origins == ("https://a.example", "http://localhost:*")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prot = 1", "`prot` in {path} is not a setting. Did you mean port?"),
        ("[limits]\ndept = 1", "`limits.dept` in {path} is not a setting. Did you mean limits.depth?"),
        (
            "[limits]\ndepth = 0",
            "`limits.depth` is not possible: Input should be greater than or equal to 1. "
            "Correct it in {path} or as SWITCHBOARD_LIMITS__DEPTH.",
        ),
        (
            '[auth.jwt]\nissuer = "a"\nsecret = "b"',
            "`auth.jwt.audience` is needed and not set. Set it in {path} or as SWITCHBOARD_AUTH__JWT__AUDIENCE.",
        ),
        (
            '[auth.jwt]\nissuer = "a"\naudience = "b"',
            "Set one of `auth.jwt.jwks_url` and `auth.jwt.secret`.",
        ),
        (
            '[[sources]]\norganization = "a"\nkey = "b"\nvendor = "c"\nkye = 1',
            "`sources.0.kye` in {path} is not a setting. Did you mean sources[].key?",
        ),
        (
            '[[sources]]\norganization = "a"\nkey = "b"\nvendor = "c"\n' * 2,
            "`sources` has a/b twice. Keys are unique in an organization. The place is {path} or the environment.",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(write: WriteConfig, text: str, sentence: str) -> None:
    path = write(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert str(caught.value) == sentence.format(path=path)


def test_a_file_that_is_not_toml_is_said_to_be_so(write: WriteConfig) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(write("port ="))


def test_a_value_is_never_shown(write: WriteConfig) -> None:
    """It may be a secret that was put in the wrong place."""
    with pytest.raises(SettingsError) as caught:
        load_settings(write('port = "hunter2"'))
    assert "hunter2" not in str(caught.value)


def test_a_revoked_credential_can_never_be_good_for_longer_than_five_seconds(write: WriteConfig) -> None:
    """Twice the time between two looks: once until the remembered one is too old, once until somebody looks."""
    assert 2 * load_settings(write("[auth]\ncheck_seconds = 2.5")).auth.check_seconds == 5
    with pytest.raises(SettingsError, match=r"`auth\.check_seconds` is not possible"):
        load_settings(write("[auth]\ncheck_seconds = 2.6"))


@pytest.mark.parametrize("algorithm", ["none", "NONE", "HS256"])
def test_algorithms_that_a_public_key_cannot_have_are_refused(write: WriteConfig, algorithm: str) -> None:
    text = f'[auth.jwt]\nissuer = "a"\naudience = "b"\njwks_url = "https://c"\nalgorithms = ["{algorithm}"]'
    with pytest.raises(SettingsError, match=r"`auth\.jwt\.algorithms` has"):
        load_settings(write(text))


def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_LIMITS__DEPT", "5")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == (
        "The variable SWITCHBOARD_LIMITS__DEPT is not a setting. Did you mean SWITCHBOARD_LIMITS__DEPTH?"
    )


def test_a_variable_that_a_setting_refers_to_is_no_unknown_one(
    write: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_OLD_SECRET", "x")
    path = write('secret_keys = ["env:SWITCHBOARD_SECRET_KEY", "env:SWITCHBOARD_OLD_SECRET"]')
    assert load_settings(path).secret_keys[1] == "env:SWITCHBOARD_OLD_SECRET"


def test_env_stands_for_the_value_of_a_variable() -> None:
    assert from_environment("env:A", setting="x", environment={"A": "1"}) == "1"
    assert from_environment("plain", setting="x", environment={}) == "plain"


@pytest.mark.parametrize(("environment", "state"), [({}, "not set"), ({"A": ""}, "empty")])
def test_a_missing_variable_is_named_with_its_setting(environment: dict[str, str], state: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment("env:A", setting="auth.jwt.secret", environment=environment)
    assert str(caught.value) == (
        f"`auth.jwt.secret` is `env:A`, and the variable A is {state}. Export A, or change the setting."
    )


def test_secrets_are_not_in_the_repr() -> None:
    shown = repr(Settings(secret_keys=("hunter2",)))
    assert "hunter2" not in shown


def test_every_setting_has_a_meaning_and_is_listed_once() -> None:
    names = setting_names()
    assert len(names) == len(set(names))
    assert all(meaning.endswith(".") for _, _, _, meaning in settings_table())


def test_every_duration_and_size_has_a_unit() -> None:
    for name, _, unit, _ in settings_table():
        if name.endswith(("_seconds", "_days", "_bytes")):
            assert unit, name
