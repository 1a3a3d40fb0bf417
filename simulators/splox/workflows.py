"""Where version and entry nodes of a run are found (vendor notes 1.4, calls 13 to 16)."""

from typing import Any

from simulators.splox.errors import not_found
from simulators.splox.identity import FLOWS, OWNER
from simulators.splox.records import Flow
from simulators.splox.routing import Call, Entry
from simulators.splox.shapes import node_body, pagination, version_body
from simulators.splox.store import flow_of

_MADE_US = 1_767_225_600_000_000  # 2026-01-01: workflows are older than every chat


async def list_workflows(call: Call) -> Any:
    limit, cursor = call.limit(20, 100), call.request.query_params.get("cursor")
    search = call.request.query_params.get("search", "").lower()
    flows = [flow for flow in FLOWS if call.account == OWNER and search in flow.name.lower()]
    start = next((place for place, flow in enumerate(flows) if flow.workflow_id == cursor), 0)
    after = flows[start + limit].workflow_id if start + limit < len(flows) else None
    return {
        "workflows": [_workflow(call, flow) for flow in flows[start : start + limit]],
        "pagination": pagination(limit, after),
    }


async def get_workflow(call: Call) -> Any:
    flow = _flow(call)
    return {
        "workflow": _workflow(call, flow),
        "workflow_version": version_body(call.store, flow, flow.version_id, _MADE_US),
        "nodes": [node_body(call.store, flow, flow.version_id, _MADE_US)],
        "edges": [],
    }


async def list_versions(call: Call) -> Any:
    flow = _flow(call)
    return {"versions": [version_body(call.store, flow, version, _MADE_US) for version in flow.version_numbers()]}


async def get_latest_version(call: Call) -> Any:
    flow = _flow(call)
    return version_body(call.store, flow, flow.version_id, _MADE_US)


async def list_entry_nodes(call: Call) -> Any:
    """The id in this path is a version's."""
    version = call.path("version_id")
    flow = flow_of(version) if call.account == OWNER else None
    if flow is None:
        raise not_found("Workflow version")
    return {"nodes": [node_body(call.store, flow, version, _MADE_US)]}


def _flow(call: Call) -> Flow:
    for flow in FLOWS:
        if call.account == OWNER and flow.workflow_id == call.path("workflow_id"):
            return flow
    raise not_found("Workflow")


def _workflow(call: Call, flow: Flow) -> dict[str, Any]:
    return {
        "id": flow.workflow_id,
        "user_id": OWNER.user_id,
        "created_at": call.store.time(_MADE_US),
        "updated_at": call.store.time(_MADE_US),
        "latest_version": version_body(call.store, flow, flow.version_id, _MADE_US),
        "is_public": False,
    }


ALL: list[Entry] = [
    ("GET", "/workflows", list_workflows),
    ("GET", "/workflows/{workflow_id}", get_workflow),
    ("GET", "/workflows/{workflow_id}/versions", list_versions),
    ("GET", "/workflows/{workflow_id}/versions/latest", get_latest_version),
    ("GET", "/workflows/{version_id}/entry-nodes", list_entry_nodes),
]
