"""CPU of the gateway's process for each of a few operations, on the demo with its simulated vendors.

    python -m benchmarks.gateway [requests]

The unit is CPU µs of the gateway's process per request (user + system from /proc); times on a shared machine say little.
Bounded: some seconds, loopback only.
"""

import asyncio
import os
import sys
from typing import Any

import httpx

from tests.gateway import Gateway, running_gateway

_OPERATIONS = {
    "typename": "{ __typename }",
    "20 chats of all sources": (
        "{ chats(first: 20) { nodes { id title updatedAt tags pinned source { key vendor } } sources { code } eventCursor } }"
    ),
    "the same without an eventCursor": (
        "{ chats(first: 20) { nodes { id title updatedAt tags pinned source { key vendor } } sources { code } } }"
    ),
    "local chats with 10 messages each": (
        "query ($ids: [ID!]) { chats(first: 20, filter: {sourceIds: $ids}) { nodes { id title updatedAt source { key } "
        "messages(last: 10) { nodes { id role text createdAt } } } } }"
    ),
}


async def measure(gateway: Gateway, requests: int) -> dict[str, int]:
    """Operation → CPU µs per request."""
    found = {}
    async with httpx.AsyncClient(headers=gateway.headers, timeout=30) as http:
        sources = (await http.post(gateway.url, json={"query": "{ sources { id vendor } }"})).json()["data"]["sources"]
        variables = {"ids": [source["id"] for source in sources if source["vendor"] == "local"]}
        for name, query in _OPERATIONS.items():
            body = {"query": query, "variables": variables if "$ids" in query else {}}
            await _ask(http, gateway.url, body, 10)
            before = cpu_seconds(gateway.process.pid)
            await _ask(http, gateway.url, body, requests)
            found[name] = round((cpu_seconds(gateway.process.pid) - before) / requests * 1e6)
    return found


async def _ask(http: httpx.AsyncClient, url: str, body: dict[str, Any], times: int) -> None:
    for _ in range(times):
        answer = (await http.post(url, json=body)).json()
        if "errors" in answer:
            raise SystemExit(f"The operation failed: {answer['errors']}")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print a line for each operation."""
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with running_gateway() as gateway:
        for name, micros in asyncio.run(measure(gateway, requests)).items():
            print(f"{name:40} {micros:8} µs CPU per request")  # noqa: T201


if __name__ == "__main__":
    main()
