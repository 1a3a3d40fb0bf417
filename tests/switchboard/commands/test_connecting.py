"""`switchboard sources add`, and what the other commands make of what it connected; secrets are never to be seen."""

import errno
import io
import json
import os
import pty
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from simulators import chatlogger, kodey
from simulators.keys import KEYS
from simulators.serving import running
from tests.gateway import a_free_port
from tests.switchboard.commands.running import SECRET, Ended, Run, assert_fails, command, environment

KEY = kodey.SECRET_KEY
WRONG = "sk_live_hunter2_hunter2"
ISSUER = "https://id.example"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where a Kodey is."""
    with running(kodey.create_app()) as url:
        yield url


@pytest.fixture
def shop(run: Run) -> Run:
    """The organization `acme` with the member Ann, on a gateway that reaches loopback."""
    Path("switchboard.toml").write_text("allow_private_addresses = true\n")
    ann = ("--admin", "ann", "--issuer", ISSUER)
    assert run("organizations", "create", "acme", "--name", "Acme", *ann).code == 0
    return run


def add(shop: Run, *arguments: str, key: str = "bot", vendor: str = "kodey", **more: str) -> Ended:
    return shop("sources", "add", key, "--organization", "acme", "--vendor", vendor, *arguments, **more)


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def stored(query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(".switchboard/switchboard.db")) as store:
        return store.execute(query).fetchall()


def connected() -> list[str]:
    return [key for (key,) in stored("SELECT key FROM source WHERE removed_at IS NULL ORDER BY id")]


def test_a_source_is_connected_and_answers(shop: Run, url: str) -> None:
    made = add(shop, "--base-url", url, "--credential", "api_key=env:KODEY_KEY", KODEY_KEY=KEY)
    assert made.code == 0, made.err
    assert "The source acme/bot is connected." in made.err
    listed = shop("sources", "list", "--organization", "acme").out
    assert made.out.strip() in listed
    assert url in listed
    tested = shop("sources", "test", "--organization", "acme", "bot")
    assert (tested.code, "The key may list chats." in tested.out) == (0, True)
    assert KEY not in made.out + made.err + listed + tested.out


def test_its_id_is_alone_on_stdout(shop: Run, url: str) -> None:
    made = add(shop, "--base-url", url, "--credential", f"api_key={KEY}")
    assert made.out.count("\n") == 1
    assert shop("sources", "test", "--organization", "acme", made.out.strip()).code == 0


def test_secrets_are_read_from_the_standard_input_in_their_order(shop: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KEYS["chatlogger"]
    with running(chatlogger.create_app()) as url:
        typed(monkeypatch, keys["password"], keys["api_key"])
        given = ("--credential", f"email={keys['email']}", "--credential", "password=-", "--credential", "api_key=-")
        slug = ("--option", f'slug="{chatlogger.SLUG}"')
        made = add(shop, "--base-url", url, *given, *slug, vendor="chatlogger")
    assert made.code == 0, made.err
    assert keys["password"] not in made.out + made.err


def test_a_secret_is_asked_for_on_a_terminal_and_not_shown(shop: Run, url: str) -> None:
    words = ("sources", "add", "bot", "--organization", "acme", "--vendor", "kodey", "--base-url", url)
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        command(*words, "--credential", "api_key=-"),
        env=environment(SWITCHBOARD_SECRET_KEY=SECRET),
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
    )
    os.close(end)
    said = b""
    while (
        b"api_key: " not in said
    ):  # the space comes once nothing is shown any more; what was typed before is thrown away
        said += os.read(terminal, 1024)
    os.write(terminal, f"{KEY}\n".encode())
    said += _rest(terminal)
    assert process.wait(30) == 0, said
    assert b"is connected" in said
    assert KEY.encode() not in said


def _rest(terminal: int) -> bytes:
    """All that is still said; Linux tells by an error that nobody holds the other end any more."""
    said = b""
    try:
        while chunk := os.read(terminal, 1024):
            said += chunk
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    finally:
        os.close(terminal)
    return said


def test_the_audit_log_names_who_what_and_no_secret(shop: Run, url: str) -> None:
    made = add(shop, "--base-url", url, "--credential", f"api_key={KEY}", "--option", "requests_per_minute=500")
    ((actor, target, input_),) = stored("SELECT actor, target, input FROM audit WHERE action = 'connectSource'")
    assert (actor, target) == ("command line", made.out.strip())
    assert json.loads(input_) == {
        "key": "bot",
        "vendor": "kodey",
        "displayName": "Kodey",
        "baseUrl": url,
        "options": {"requests_per_minute": 500},
        "visibility": "ORGANIZATION",
        "credentials": ["api_key"],
    }
    files = [path for path in Path(".switchboard").rglob("*") if path.is_file()]
    kept = b"".join(path.read_bytes() for path in files)
    assert KEY.encode() not in kept


def test_a_source_of_its_owner_is_of_that_member(shop: Run, url: str) -> None:
    own = ("--visibility", "owner", "--owner", "ann", "--issuer", ISSUER)
    made = add(shop, "--base-url", url, "--credential", f"api_key={KEY}", *own)
    assert made.code == 0, made.err
    assert stored("SELECT visibility, owner FROM source WHERE key = 'bot'") == [("OWNER", f"jwt:{ISSUER} ann")]
    ((actor, input_),) = stored("SELECT actor, input FROM audit WHERE action = 'connectSource'")
    assert actor == "command line"
    assert "bot" not in input_


def test_a_dry_run_stores_nothing(shop: Run, url: str) -> None:
    tried = add(shop, "--base-url", url, "--credential", f"api_key={KEY}", "--dry-run")
    assert (tried.code, tried.out, "The key may list chats." in tried.err) == (0, "", True)
    failed = add(shop, "--base-url", url, "--credential", f"api_key={WRONG}", "--dry-run")
    assert (failed.code, failed.out, "failed" in failed.err) == (1, "", True)
    assert WRONG not in failed.err
    assert connected() == ["local"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--credential", f"api_key={WRONG}"], "did not pass the check `credentials`"),
        ([], "`--credential api_key`: The field `api_key` is missing."),
        (["--credential", "api_key=env:NOT_THERE"], "the variable NOT_THERE is not set"),
        (["--credential", "api_key=-"], "`NAME=-`"),
        (["--credential", f"{WRONG}=x"], "Known ones: `api_key`"),
        (["--credential", f"api_key={KEY}", "--base-url", "ftp://x"], "`--base-url` is not possible"),
        (["--credential", f"api_key={KEY}", "--base-url", "http://ann:hunter2@x"], "`--base-url` is not possible"),
        (["--credential", f"api_key={KEY}", "--name", " "], "`--name` has 0 characters"),
        (["--credential", f"api_key={KEY}", "--option", "requests_per_minute=0"], "`--option requests_per_minute`"),
        (["--credential", f"api_key={KEY}", "--option", "unknown=1"], "There is no field `unknown` here."),
        (["--visibility", "owner", "--owner", "ann"], "Give `--issuer`"),
        (["--visibility", "owner", "--owner", "eve", "--issuer", ISSUER], "acme has no member eve"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_connected_is_said_with_the_flag_and_without_the_secret(
    shop: Run, url: str, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    typed(monkeypatch)
    ended = add(shop, *([] if "--base-url" in words else ["--base-url", url]), *words)
    assert_fails(ended, sentence)
    for secret in ("hunter2", KEY):
        assert secret not in ended.err
    assert connected() == ["local"]
    assert stored("SELECT count(*) FROM audit WHERE action = 'connectSource'") == [(0,)]


@pytest.mark.parametrize(
    "words",
    [
        ["--credential", WRONG],
        ["--credential", f"api_key={WRONG}", "--credential", f"api_key={WRONG}2"],
        ["--credential", "api_key="],
        ["--option", f"path={WRONG}"],
        ["--option", "requests_per_minute"],
        ["--visibility", "owner"],
        ["--owner", "ann"],
        ["--visibility", "nobody"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_ends_with_2_and_shows_no_secret(shop: Run, words: list[str]) -> None:
    ended = add(shop, *words)
    assert (ended.code, ended.out) == (2, "")
    assert "hunter2" not in ended.err
    assert "Traceback" not in ended.err


def test_names_that_are_not_there_are_said(shop: Run) -> None:
    assert_fails(add(shop, vendor="acorn"), "There is no vendor `acorn` here. Known ones: chatlogger")
    assert_fails(add(shop, "--credential", f"api_key={KEY}", key="A B"), "`KEY` is not possible")
    ended = shop("sources", "add", "bot", "--organization", "beta", "--vendor", "kodey")
    assert_fails(ended, "Known ones: acme")


def test_a_source_that_is_not_there_is_not_connected(shop: Run) -> None:
    away = f"http://127.0.0.1:{a_free_port()}"
    ended = add(shop, "--base-url", away, "--credential", f"api_key={KEY}")
    assert_fails(ended, "did not pass the check `reachable`")


def test_loopback_is_refused_where_the_settings_do_not_allow_it(run: Run, url: str) -> None:
    assert run("organizations", "create", "acme", "--name", "Acme").code == 0
    assert_fails(add(run, "--base-url", url, "--credential", f"api_key={KEY}"), "allow_private_addresses")


def test_a_key_that_is_taken_is_refused(shop: Run, url: str) -> None:
    given = ("--base-url", url, "--credential", f"api_key={KEY}")
    assert add(shop, *given).code == 0
    assert_fails(add(shop, *given), "the organization has one of this key")


def test_a_removed_source_is_gone_and_its_key_free(shop: Run, url: str) -> None:
    given = ("--base-url", url, "--credential", f"api_key={KEY}")
    add(shop, *given)
    assert shop("sources", "remove", "--organization", "acme", "bot").code == 0
    assert stored("SELECT credentials FROM source WHERE key = 'bot'") == [(b"",)]
    assert_fails(shop("sources", "remove", "--organization", "acme", "bot"), "acme has no source bot")
    assert add(shop, *given).code == 0


def test_a_source_whose_copy_is_kept_is_shown_as_disconnected_and_need_not_answer(shop: Run, url: str) -> None:
    made = add(shop, "--base-url", url, "--credential", f"api_key={KEY}").out.strip()
    shop("sources", "remove", "--organization", "acme", "bot", "--keep-mirror")
    assert "disconnected, copy kept" in shop("sources", "list").out
    assert shop("sources", "test", "--organization", "acme").code == 0
    assert shop("doctor").code == 0
    named = shop("sources", "test", "--organization", "acme", "bot")
    assert (named.code, "The source is disconnected." in named.out) == (1, True)
    assert shop("sources", "remove", "--organization", "acme", made).code == 0
    assert "bot" not in shop("sources", "list").out


def test_two_sources_of_one_key_are_told_apart_by_their_ids(shop: Run, url: str) -> None:
    given = ("--base-url", url, "--credential", f"api_key={KEY}")
    own = add(shop, *given, "--visibility", "owner", "--owner", "ann", "--issuer", ISSUER).out.strip()
    shared = add(shop, *given).out.strip()
    ended = shop("sources", "remove", "--organization", "acme", "bot")
    assert_fails(ended, "2 sources of the key bot")
    assert own in ended.err
    assert shared in ended.err
    assert shop("sources", "remove", "--organization", "acme", own).code == 0
    assert connected() == ["local", "bot"]
    ((input_,),) = stored("SELECT input FROM audit WHERE action = 'disconnectSource'")
    assert "bot" not in input_


def test_credentials_that_cannot_be_decrypted_fail_their_own_source_only(shop: Run, url: str) -> None:
    add(shop, "--base-url", url, "--credential", f"api_key={KEY}")
    tested = shop("sources", "test", "--organization", "acme", SWITCHBOARD_SECRET_KEY="another " * 5)
    assert tested.code == 1
    assert "cannot be decrypted" in tested.out
    assert "local" in tested.out


def test_an_organization_without_sources_is_told_how_to_connect_one(shop: Run) -> None:
    shop("sources", "remove", "--organization", "acme", "local")
    assert_fails(shop("sources", "test", "--organization", "acme"), "switchboard sources add")


def test_brackets_in_names_are_shown_as_they_are(shop: Run, url: str) -> None:
    add(shop, "--base-url", url, "--credential", f"api_key={KEY}", "--name", "[/red] Bot [bold]")
    listed = shop("sources", "list")
    assert (listed.code, "[/red] Bot [bold]" in listed.out) == (0, True)
