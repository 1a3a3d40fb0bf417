"""Splox's requests: arguments in, descriptions of requests out."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from domain.records import Attachment
from upstreams.requests import Request, delete, get, listen, post, segment

RUN_WORKFLOW = "run_workflow"


def create_chat_request(*, name: str, resource_id: str, metadata: Mapping[str, Any] | None) -> Request:
    """A new chat. `api` is the only type that creation takes."""
    body: dict[str, Any] = {"name": name, "resource_type": "api", "resource_id": resource_id}
    if metadata is not None:
        body["metadata"] = dict(metadata)
    return post("create_chat", "/chats", body)


def get_chat_request(chat_id: str) -> Request:
    """One chat."""
    return get("get_chat", f"/chats/{segment(chat_id)}")


def list_chats_request(resource_type: str, resource_id: str) -> Request:
    """All chats of a resource."""
    return get("list_chats", f"/chats/{segment(resource_type)}/{segment(resource_id)}")


def delete_chat_request(chat_id: str) -> Request:
    """Delete a chat; its messages stay."""
    return delete("delete_chat", f"/chats/{segment(chat_id)}")


def delete_history_request(chat_id: str) -> Request:
    """Delete all messages of a chat."""
    return delete("delete_history", f"/chat-history/{segment(chat_id)}")


def list_messages_request(chat_id: str, *, limit: int, before: datetime | None = None) -> Request:
    """A page of a chat's history, newest first."""
    query: dict[str, str | int] = {"limit": limit}
    if before is not None:
        query["before"] = rfc3339(before)
    return get("list_messages", f"/chat-history/{segment(chat_id)}/paginated", query)


def listen_to_chat_request(chat_id: str) -> Request:
    """What happens in a chat, word by word."""
    return listen("listen_to_chat", f"/chat-internal-messages/{segment(chat_id)}/listen")


def listen_to_run_request(run_id: str) -> Request:
    """How a run gets on."""
    return listen("listen_to_run", f"/workflow-requests/{segment(run_id)}/listen")


def run_workflow_request(
    *,
    workflow_version_id: str,
    entry_nodes: Sequence[str],
    chat_id: str,
    text: str,
    attachments: Sequence[Attachment] = (),
) -> Request:
    """A message of a user, as the start of a run."""
    body: dict[str, Any] = {
        "workflow_version_id": workflow_version_id,
        "chat_id": chat_id,
        "entry_node_ids": list(entry_nodes),
        "query": text,
    }
    if attachments:
        body["files"] = [_file(attachment) for attachment in attachments]
    return post(RUN_WORKFLOW, "/workflow-requests/run", body)


def run_state_request(run_id: str) -> Request:
    """How a run stands."""
    return get("read_run", f"/workflow-requests/{segment(run_id)}/execution-tree")


def stop_run_request(run_id: str) -> Request:
    """Stop a run. Saying it twice changes nothing."""
    return post("stop_run", f"/workflow-requests/{segment(run_id)}/stop", idempotent=True)


def list_workflows_request(cursor: str | None = None) -> Request:
    """A page of the account's workflows."""
    query: dict[str, str | int] = {"limit": 100}
    if cursor is not None:
        query["cursor"] = cursor
    return get("list_workflows", "/workflows", query)


def latest_version_request(workflow_id: str) -> Request:
    """The version of a workflow that runs."""
    return get("read_latest_version", f"/workflows/{segment(workflow_id)}/versions/latest")


def entry_nodes_request(workflow_version_id: str) -> Request:
    """Where a run of a version can begin."""
    return get("list_entry_nodes", f"/workflows/{segment(workflow_version_id)}/entry-nodes")


def rfc3339(moment: datetime) -> str:
    """A time with microseconds in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _file(attachment: Attachment) -> dict[str, Any]:
    known = {
        "url": attachment.url,
        "content_type": attachment.media_type,
        "file_name": attachment.name,
        "file_size": attachment.size_bytes,
    }
    return {name: value for name, value in known.items() if value is not None}
