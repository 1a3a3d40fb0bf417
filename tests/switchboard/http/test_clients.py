"""The audits of `graphql-http`, and the clients that front ends use, against the endpoint. The packages are those of `tests/frontend`."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.switchboard.http.toy import Stage, ToySessions, serve, until
from tests.tier import TIER

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SCRIPTS = Path(__file__).parent / "node"
FRONTEND = Path(__file__).parents[2] / "frontend"
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent)))


async def start(script: str, url: str) -> asyncio.subprocess.Process:
    node = shutil.which("node", path=SEARCH_PATH)
    if node is None or not (FRONTEND / "node_modules" / "graphql-http").is_dir():
        missing = "the clients of front ends are not installed: run `make test`, which installs them"
        raise pytest.skip.Exception(missing) if TIER == "quick" else pytest.fail.Exception(missing)
    return await asyncio.create_subprocess_exec(
        node,
        str(SCRIPTS / script),
        url,
        cwd=FRONTEND,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(process: asyncio.subprocess.Process) -> Any:
    """What the script printed."""
    try:
        async with asyncio.timeout(60):
            out, error = await process.communicate()
    except TimeoutError:
        process.kill()
        out, error = await process.communicate()
        pytest.fail(f"the script did not end: {error.decode()}")
    assert process.returncode == 0, error.decode()
    return json.loads(out)


async def run(script: str, url: str) -> Any:
    return await finish(await start(script, url))


async def test_all_audits_of_graphql_over_http_pass() -> None:
    async with serve() as served:
        results = await run("audits.mjs", served.url)
    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == 61


async def test_graphql_ws_client() -> None:
    async with serve(ToySessions(key="k")) as served:
        told = await run("graphql-ws.mjs", served.url)
    assert told == {
        "query": [{"data": {"echo": "é🏃"}}],
        "subscription": [{"data": {"count": number}} for number in range(1, 6)],
        "failed": ["GRAPHQL_VALIDATION_FAILED"],
        "refused": 4403,
        "ping": True,
        "resume": {"seen": [1, 2, 3, 4, 5, 6], "connections": 2},
    }


async def test_graphql_ws_client_comes_back_when_the_gateway_goes_away() -> None:
    """One process drains, the next one listens at its port: the client needs nothing but its own retries."""
    stage = Stage()
    async with serve(ToySessions(stage=stage)) as first:
        process = await start("graphql-ws-drain.mjs", first.url)
        await stage.reached.wait()
        stage.events.put_nowait("before")
        assert process.stderr is not None
        assert await process.stderr.readline() == b"before\n"
        first.endpoint.drain()
        await until(lambda: first.sessions.opened[0].closed)
    async with serve(ToySessions(stage=stage), port=first.port):
        stage.events.put_nowait("after")
        told = await finish(process)
    assert told["seen"] == ["before", "after"]
    assert told["closes"][0] == 1001


async def test_graphql_sse_client() -> None:
    async with serve(ToySessions(key="k")) as served:
        told = await run("graphql-sse.mjs", served.url)
        async with asyncio.timeout(10):
            await served.stage.cancelled.wait()
    assert told == {
        "subscription": [{"data": {"count": number}} for number in range(1, 6)],
        "query": [{"data": {"hello": "world"}}],
        "failed": "GRAPHQL_VALIDATION_FAILED",
        "refused": 401,
    }


async def test_urql_is_unharmed_by_streams() -> None:
    async with serve(ToySessions(key="k")) as served:
        told = await run("urql.mjs", served.url)
        assert served.stage.mutations == ["x"]
    assert told == {
        "query": {"hello": "world"},
        "mutation": {"note": "x"},
        "failed": "GRAPHQL_VALIDATION_FAILED",
        "partial": {"hello": "world", "fail": None},
        "subscription": [1, 2, 3],
    }
