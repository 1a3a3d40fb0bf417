"""The command line: what it prints for scripts, what it says to people, and how it ends."""

import json
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from tests.gateway import ROOT, a_free_port
from tests.switchboard.commands.running import SECRET, Run, assert_fails, command, environment

COMMANDS: Sequence[tuple[str, ...]] = (
    (),
    ("serve",),
    ("demo",),
    ("migrate",),
    ("schema",),
    ("keys",),
    ("keys", "create"),
    ("keys", "list"),
    ("keys", "revoke"),
    ("keys", "secret"),
    ("organizations",),
    ("organizations", "create"),
    ("organizations", "list"),
    ("sources",),
    ("sources", "add"),
    ("sources", "list"),
    ("sources", "test"),
    ("sources", "remove"),
    ("sources", "webhook"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(run: Run, words: tuple[str, ...]) -> None:
    ended = run(*words, "--help")
    assert ended.code == 0
    assert "Usage:" in ended.out


def test_a_new_secret_is_alone_on_stdout(run: Run) -> None:
    one, other = run("keys", "secret"), run("keys", "secret")
    assert len(one.out.strip()) == 43
    assert (one.out.count("\n"), one.err) == (1, "")
    assert one.out != other.out


def test_a_key_is_alone_on_stdout_and_listed_without_its_secret(acme: Run) -> None:
    made = acme("keys", "create", "--organization", "acme", "--scope", "write", "--name", "CI")
    assert (made.code, made.err) == (0, "")
    key = made.out.strip()
    assert len(key) == 46
    listed = acme("keys", "list", "--organization", "acme").out
    assert key[:11] in listed
    assert "read write" in listed
    assert key not in listed


def test_a_revoked_key_is_shown_as_such(acme: Run) -> None:
    key = acme("keys", "create", "--organization", "acme", "--scope", "read").out.strip()
    assert acme("keys", "revoke", key[:11], "--organization", "acme").code == 0
    assert "revoked" in acme("keys", "list", "--organization", "acme").out


def test_what_is_done_here_is_in_the_audit_log(acme: Run, tmp_path: Path) -> None:
    key = acme("keys", "create", "--organization", "acme", "--scope", "read").out.strip()
    with sqlite3.connect(tmp_path / ".switchboard" / "switchboard.db") as database:
        rows = database.execute("SELECT actor, action, input FROM audit ORDER BY id").fetchall()
    database.close()
    assert [row[:2] for row in rows] == [("command line", "createOrganization"), ("command line", "createApiKey")]
    assert key not in str(rows)


def test_the_first_admin_is_a_member_at_once(run: Run, tmp_path: Path) -> None:
    made = run("organizations", "create", "acme", "--name", "Acme", "--admin", "ann", "--issuer", "https://id.example")
    assert made.out == "acme\n"
    with sqlite3.connect(tmp_path / ".switchboard" / "switchboard.db") as database:
        rows = database.execute("SELECT issuer, subject, role FROM member").fetchall()
    database.close()
    assert rows == [("https://id.example", "ann", "ADMIN")]


def test_an_admin_without_issuer_is_refused(run: Run) -> None:
    assert_fails(run("organizations", "create", "acme", "--name", "A", "--admin", "ann"), "Give `--issuer`")


def test_organizations_are_listed(acme: Run) -> None:
    assert "Acme" in acme("organizations", "list").out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("organizations", "create", "acme", "--name", "Again"), "Choose another `slug`"),
        (("organizations", "create", "A B", "--name", "Odd"), "lower-case letters"),
        (("keys", "create", "--organization", "beta", "--scope", "read"), "Known ones: acme"),
        (("keys", "revoke", "sb_12345678", "--organization", "acme"), "switchboard keys list --organization acme"),
        (("sources", "test", "--organization", "acme", "gone"), "switchboard sources list --organization acme"),
        (("sources", "remove", "--organization", "acme", "gone"), "acme has no source gone"),
        (("organizations", "list", "--config", "gone.toml"), "there is no such file"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, tuple) else "",
)
def test_a_failure_is_one_sentence_that_says_what_to_do(acme: Run, words: tuple[str, ...], sentence: str) -> None:
    assert_fails(acme(*words), sentence)


def test_a_wrong_call_ends_with_2(run: Run) -> None:
    assert run("keys", "create", "--organization", "acme", "--scope", "owner").code == 2


def test_a_wrong_setting_stops_every_command(run: Run) -> None:
    assert_fails(run("migrate", SWITCHBOARD_PROT="1"), "Did you mean SWITCHBOARD_PORT?")


def test_migrating_makes_the_store(run: Run, tmp_path: Path) -> None:
    assert run("migrate").code == 0
    assert (tmp_path / ".switchboard" / "switchboard.db").exists()


def test_both_schemas_are_printed(run: Run) -> None:
    client, subgraph = run("schema").out, run("schema", "--subgraph").out
    assert client == (ROOT / "schema" / "schema.graphql").read_text()
    assert "@link" not in client
    assert "@link" in subgraph


def test_sources_are_listed_tested_and_removed(acme: Run) -> None:
    assert "local" in acme("sources", "list").out
    tested = acme("sources", "test", "--organization", "acme")
    assert (tested.code, "ok" in tested.out) == (0, True)
    assert acme("sources", "remove", "--organization", "acme", "local").code == 0
    assert "local" not in acme("sources", "list").out


def test_a_source_of_the_settings_that_does_not_answer_fails_the_test(acme: Run, tmp_path: Path) -> None:
    (tmp_path / "switchboard.toml").write_text(
        f'allow_private_addresses = true\n[[sources]]\norganization = "acme"\nkey = "away"\nvendor = "kodey"\n'
        f'base_url = "http://127.0.0.1:{a_free_port()}"\ncredentials = {{ api_key = "env:KODEY_KEY" }}\n'
    )
    tested = acme("sources", "test", "--organization", "acme", "away", KODEY_KEY="sk_live_hunter2")
    assert tested.code == 1
    assert "failed" in tested.out
    assert "hunter2" not in tested.out + tested.err
    assert_fails(acme("sources", "remove", "--organization", "acme", "away"), "named in `[[sources]]`")


def test_a_webhook_is_alone_on_stdout_and_its_token_is_kept_nowhere(acme: Run, tmp_path: Path) -> None:
    (tmp_path / "switchboard.toml").write_text(
        f'allow_private_addresses = true\n[[sources]]\norganization = "acme"\nkey = "away"\nvendor = "kodey"\n'
        f'base_url = "http://127.0.0.1:{a_free_port()}"\ncredentials = {{ api_key = "sk_live_hunter2" }}\n'
    )
    acme("sources", "test", "--organization", "acme")  # stores the sources of the settings
    made = acme("sources", "webhook", "--organization", "acme", "away")
    assert (made.code, made.err) == (0, "")
    assert re.fullmatch(r"/webhooks/[\w-]+/[\w-]{43}\n", made.out)
    assert acme("sources", "webhook", "--organization", "acme", "away").out != made.out
    removed = acme("sources", "webhook", "--organization", "acme", "away", "--remove")
    assert (removed.code, removed.out) == (0, "")
    with sqlite3.connect(tmp_path / ".switchboard" / "switchboard.db") as database:
        assert database.execute("SELECT webhook FROM source WHERE key = 'away'").fetchall() == [(None,)]
        noted = database.execute("SELECT input FROM audit WHERE action = 'updateSource' ORDER BY id").fetchall()
    assert [json.loads(row[0])["webhook"] for row in noted] == ["RENEW", "RENEW", "REMOVE"]
    token = made.out.strip().rpartition("/")[2]
    assert token.encode() not in b"".join(
        path.read_bytes() for path in (tmp_path / ".switchboard").glob("switchboard.db*")
    )
    assert_fails(acme("sources", "webhook", "--organization", "acme", "local"), "needs no webhook")
    assert_fails(acme("sources", "webhook", "--organization", "acme", "gone"), "acme has no source gone")


def test_serve_refuses_to_start_without_a_secret(run: Run) -> None:
    assert_fails(run("serve", SWITCHBOARD_SECRET_KEY=""), "`switchboard keys secret`")


def test_serve_refuses_to_start_when_nobody_could_ask(run: Run) -> None:
    assert_fails(run("serve"), "switchboard keys create --organization SLUG --scope admin")


@pytest.fixture(params=[1, pytest.param(2, marks=pytest.mark.slow)], ids=["one process", "two workers"])
def served(acme: Run, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A running gateway: its address and a key. It ends well on SIGTERM, and logs JSON."""
    key = acme("keys", "create", "--organization", "acme", "--scope", "admin").out.strip()
    port = a_free_port()
    log = tmp_path / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command("serve", "--port", str(port), "--workers", str(request.param)),
            cwd=tmp_path,
            env=environment(SWITCHBOARD_SECRET_KEY=SECRET),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process)
            yield url, key
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
        finally:
            process.kill()
            process.wait()
    lines = log.read_text().splitlines()
    assert code in (0, -signal.SIGTERM), log.read_text()
    for line in lines:
        json.loads(line)
    assert key not in log.read_text()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Connection refused is answered at once, so asking until it answers needs no clock of ours."""
    transport = httpx.HTTPTransport(retries=8)  # waits 0, 0.5, 1, 2, … seconds between connections
    with httpx.Client(transport=transport, timeout=30) as client:
        assert client.get(f"{url}/readyz").status_code == 200
    assert process.poll() is None


def test_a_served_gateway_answers_keys_and_refuses_others(served: tuple[str, str]) -> None:
    url, key = served
    question = {"query": "{ viewer { role organization { slug } } }"}
    answered = httpx.post(f"{url}/graphql", json=question, headers={"Authorization": f"Bearer {key}"})
    assert answered.json() == {"data": {"viewer": {"role": "ADMIN", "organization": {"slug": "acme"}}}}
    refused = httpx.post(f"{url}/graphql", json=question)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
