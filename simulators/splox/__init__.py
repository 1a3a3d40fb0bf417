"""Splox, version 1 of its API below `/api/v1`, as its documents (docs.splox.io and its OpenAPI file, read 2026-11-20) and its SDK 0.0.18 have it.

Operations:
    create_chat get_chat list_chats delete_chat list_messages delete_history
    run_workflow get_execution_tree list_runs stop_run listen_chat listen_run
    list_workflows get_workflow list_versions get_latest_version list_entry_nodes
Anything else is `unknown`.

The documents' quirks: only `api` is accepted when creating, and another type may be answered; chats are listed for one
resource and unpaged; deleting a chat keeps its messages; history goes back by a timestamp; a message is sent by running a
workflow, whose answer comes later, on streams that cannot be resumed. What they leave open is in `switches.py`.

Left out: memory, webhooks, billing, `/chat/completions` and version 2. Re-exported: what tests, the demo and the options
of a source need.
"""

from simulators.splox.identity import (
    AGENT_ID,
    APPROVAL,
    ASSISTANT,
    FAILING,
    FLOWS,
    OTHER,
    OTHER_TOKEN,
    OWNER,
    SECOND_TOKEN,
    SLOW,
    TOKEN,
    TOOLS,
    seeded_chat_id,
)
from simulators.splox.routing import PREFIX
from simulators.splox.server import create_app
from simulators.splox.switches import Switches

__all__ = [
    "AGENT_ID",
    "APPROVAL",
    "ASSISTANT",
    "FAILING",
    "FLOWS",
    "OTHER",
    "OTHER_TOKEN",
    "OWNER",
    "PREFIX",
    "SECOND_TOKEN",
    "SLOW",
    "TOKEN",
    "TOOLS",
    "Switches",
    "create_app",
    "seeded_chat_id",
]
