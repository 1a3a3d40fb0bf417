"""Records as the vendor's JSON: OpenAPI for chats and messages, the models of SDK 0.0.18 for runs (vendor notes 1.5)."""

from typing import Any

from simulators.splox.records import Chat, Flow, Message, NodeRun, Run
from simulators.splox.store import Store


def chat_body(store: Store, chat: Chat) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": chat.id,
        "name": chat.name,
        "user_id": chat.user_id,
        "resource_type": chat.shown_type,
        "resource_id": chat.resource_id,
        "is_public": chat.is_public,
    }
    body |= _optional(store, {"public_share_token": chat.share_token, "metadata": chat.metadata})
    return body | {"created_at": store.time(chat.created_us), "updated_at": store.time(chat.updated_us)}


def message_body(store: Store, message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": message.id,
        "chat_id": message.chat_id,
        "role": message.role,
        "content": message.content,
    }
    status = store.switches.message_status if message.role == "assistant" else None
    body |= {"parent_id": message.parent_id}
    body |= _optional(store, {"status": status, "metadata": None, "files": message.files})
    return body | {"created_at": store.time(message.created_us), "updated_at": store.time(message.created_us)}


def run_body(store: Store, run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "workflow_version_id": run.version_id,
        "entry_node_ids": [node.flow.node_id for node in run.nodes],
        "status": run.status,
        "created_at": store.time(run.created_us),
        "user_id": run.user_id,
        "billing_user_id": run.user_id,
        "parent_node_execution_id": None,
        "parent_workflow_request_id": None,
        "chat_id": run.chat_id,
        "payload": run.payload,
        "metadata": None,
        "started_at": _time(store, run.started_us),
        "completed_at": _time(store, run.ended_us),
    }


def node_run_body(store: Store, run: Run, node: NodeRun) -> dict[str, Any]:
    return {
        "id": node.id,
        "workflow_request_id": run.id,
        "node_id": node.flow.node_id,
        "workflow_version_id": run.version_id,
        **_progress(store, run, node),
    }


def tree_body(store: Store, run: Run) -> dict[str, Any]:
    nodes = [
        {
            "id": node.id,
            "node_id": node.flow.node_id,
            "node_label": node.flow.name,
            "node_type": "agent",
            **_progress(store, run, node),
            "child_executions": [],
            "total_children": 0,
            "has_more_children": False,
        }
        for node in run.nodes
    ]
    times = {"created_at": store.time(run.created_us), "completed_at": _time(store, run.ended_us)}
    return {"execution_tree": {"workflow_request_id": run.id, "status": run.status, **times, "nodes": nodes}}


def _progress(store: Store, run: Run, node: NodeRun) -> dict[str, Any]:
    ended = _time(store, node.ended_us)
    return {
        "status": node.status,
        "input_data": run.payload,
        "output_data": node.output,
        "attempt_count": 1,
        "created_at": store.time(node.created_us),
        "completed_at": ended if node.status != "failed" else None,
        "failed_at": ended if node.status == "failed" else None,
    }


def version_body(store: Store, flow: Flow, version_id: str, made_us: int) -> dict[str, Any]:
    return {
        "id": version_id,
        "workflow_id": flow.workflow_id,
        "version_number": flow.version_numbers()[version_id],
        "name": flow.name,
        "status": "draft",
        "created_at": store.time(made_us),
        "updated_at": store.time(made_us),
        "description": None,
        "metadata": None,
    }


def node_body(store: Store, flow: Flow, version_id: str, made_us: int) -> dict[str, Any]:
    return {
        "id": flow.node_id,
        "workflow_version_id": version_id,
        "node_type": "agent",
        "label": flow.name,
        "pos_x": 0,
        "pos_y": 0,
        "parent_id": None,
        "extent": None,
        "data": {},
        "created_at": store.time(made_us),
        "updated_at": store.time(made_us),
    }


def pagination(limit: int, next_cursor: str | None) -> dict[str, Any]:
    return {"limit": limit, "next_cursor": next_cursor, "has_more": next_cursor is not None}


def _optional(store: Store, values: dict[str, Any]) -> dict[str, Any]:
    keep_null = store.switches.optional_fields == "present"
    return {name: value for name, value in values.items() if keep_null or value is not None}


def _time(store: Store, moment_us: int | None) -> str | None:
    return None if moment_us is None else store.time(moment_us)
