"""GraphQL all the way down to the store: organizations, members, keys, sources and the audit log."""

from typing import Any

import pytest

from domain.ids import IdType, format_id
from domain.records import Role
from schema.errors import format_error
from tests.schema.conftest import Desk

pytestmark = pytest.mark.anyio


async def test_the_life_of_a_member(desk: Desk) -> None:
    organization = format_id(IdType.ORGANIZATION, desk.organization.id)
    added = await desk.do(
        "addMember",
        "member { id displayName role }",
        organizationId=organization,
        subject="bob",
        displayName="Bob",
        issuer="https://id.example.com",
        role="VIEWER",
    )
    bob = added["member"]["id"]
    assert added["member"] == {"id": bob, "displayName": "Bob", "role": "VIEWER"}
    assert (await desk.do("updateMember", "member { role }", memberId=bob, role="MEMBER"))["member"] == {
        "role": "MEMBER"
    }
    shown = await desk.ask("{ organization { members(first: 9) { nodes { displayName } totalCount { exact } } } }")
    assert {node["displayName"] for node in shown["organization"]["members"]["nodes"]} == {"Ada", "Bob"}
    assert await desk.do("removeMember", "removedMemberId", memberId=bob) == {"removedMemberId": bob}


async def test_the_life_of_a_key(desk: Desk) -> None:
    made = await desk.do(
        "createApiKey", "apiKey { id prefix scopes revokedAt } secret", name="CI", scopes=["WRITE", "READ"]
    )
    key, secret = made["apiKey"], made["secret"]
    assert secret.startswith(key["prefix"])
    assert (key["scopes"], key["revokedAt"]) == (["READ", "WRITE"], None)
    revoked = await desk.do("revokeApiKey", "apiKey { revokedAt }", apiKeyId=key["id"])
    assert revoked["apiKey"]["revokedAt"] is not None
    listed = await desk.ask(
        "{ organization { apiKeys(first: 9) { nodes { id name } } auditLog(first: 9) { nodes { action input } } } }"
    )
    assert listed["organization"]["apiKeys"]["nodes"] == [{"id": key["id"], "name": "CI"}]
    actions = [entry["action"] for entry in listed["organization"]["auditLog"]["nodes"]]
    assert actions == ["revokeApiKey", "createApiKey"]
    assert secret not in str(listed)


async def test_the_audit_log_leads_to_what_was_changed(desk: Desk) -> None:
    made = await desk.do("createApiKey", "apiKey { id }", name="CI", scopes=["READ"])
    document = "{ organization { auditLog(first: 1) { nodes { id actor at target { __typename id } } } } }"
    (entry,) = (await desk.ask(document))["organization"]["auditLog"]["nodes"]
    assert entry["target"] == {"__typename": "ApiKey", "id": made["apiKey"]["id"]}
    assert (await desk.ask("query($id: ID!) { node(id: $id) { __typename } }", id=entry["id"]))["node"] == {
        "__typename": "AuditEntry"
    }


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
async def test_what_is_for_admins_is_null_for_others(desk: Desk, role: Role) -> None:
    context = desk.context(role=role)
    fields = "members(first: 1) { nodes { id } } apiKeys(first: 1) { nodes { id } } auditLog(first: 1) { nodes { id } }"
    result = await desk.answer(f"{{ organization {{ {fields} }} }}", context)
    assert result.data == {"organization": {"members": None, "apiKeys": None, "auditLog": None}}
    assert result.errors is None


async def test_a_second_organization_is_listed_and_read_by_a_request_of_its_own(desk: Desk) -> None:
    made = await desk.do("createOrganization", "organization { id slug } replayed", slug="umbrella", name="Umbrella")
    assert made["organization"]["slug"] == "umbrella"
    document = """{ organizations(first: 9) { nodes { slug viewerRole } }
      organization(slug: "umbrella") { slug viewerRole chats(first: 1) { nodes { id } } } }"""
    result = await desk.answer(document)
    assert result.data == {
        "organizations": {
            "nodes": [{"slug": "acme", "viewerRole": "ADMIN"}, {"slug": "umbrella", "viewerRole": "ADMIN"}],
        },
        "organization": {"slug": "umbrella", "viewerRole": "ADMIN", "chats": None},
    }
    assert [format_error(error, None)["path"] for error in result.errors or ()] == [["organization", "chats"]]


async def test_an_organization_can_be_renamed(desk: Desk) -> None:
    id_ = format_id(IdType.ORGANIZATION, desk.organization.id)
    assert await desk.do("updateOrganization", "organization { slug name }", organizationId=id_, name="Acme Ltd") == {
        "organization": {"slug": "acme", "name": "Acme Ltd"}
    }


SOURCE = "source { key displayName visibility vendor health { state } account { kind } }"


async def test_the_life_of_a_source(desk: Desk) -> None:
    checks = "checks { name passed message }"
    made = await desk.do("connectSource", f"source {{ id key }} {checks} replayed", key="second", vendor="local")
    source = made["source"]["id"]
    assert all(check["passed"] is not False for check in made["checks"])
    shown = await desk.do("updateSource", SOURCE, sourceId=source, displayName="Second")
    assert (shown["source"]["key"], shown["source"]["displayName"]) == ("second", "Second")
    tested = await desk.do("testSource", f"source {{ key }} {checks}", sourceId=source)
    assert tested["source"] == {"key": "second"}
    listed = await desk.ask("{ sources { key } organization { sources { key } } }")
    assert listed["sources"] == [{"key": "local"}, {"key": "second"}] == listed["organization"]["sources"]
    gone = await desk.do("disconnectSource", "disconnectedSourceId", sourceId=source, mirror="KEEP")
    assert gone == {"disconnectedSourceId": source}
    shown = await desk.ask("query($id: ID!) { source(id: $id) { health { state } } }", id=source)
    assert shown == {"source": {"health": {"state": "DOWN"}}}  # its copy is still there
    await desk.do("disconnectSource", "disconnectedSourceId", sourceId=source)
    assert await desk.ask("query($id: ID!) { source(id: $id) { key } }", id=source) == {"source": None}


async def test_a_source_that_is_only_tried_is_not_stored(desk: Desk) -> None:
    tried = await desk.do("connectSource", "source { key } replayed", key="second", vendor="local", dryRun=True)
    assert tried == {"source": None, "replayed": False}
    assert await desk.ask("{ sources { key } }") == {"sources": [{"key": "local"}]}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"vendor": "nobody"}, ["input", "vendor"]),
        ({"key": "Not A Slug"}, ["input", "key"]),
        ({"options": {"nothing": 1}}, ["input", "options", "nothing"]),
        ({"credentials": [{"name": "api_key", "value": "hunter2"}]}, ["input", "credentials", "api_key"]),
    ],
)
async def test_what_is_wrong_with_a_new_source_is_said_with_its_place(
    desk: Desk, changes: dict[str, Any], path: list[str]
) -> None:
    (refusal,) = await desk.refusals("connectSource", **{"key": "second", "vendor": "local", **changes})
    assert (refusal["code"], refusal["path"]) == ("INVALID_ARGUMENT", path)
    assert "hunter2" not in refusal["message"]


async def test_vendors_describe_how_to_connect_them(desk: Desk) -> None:
    document = "{ vendors { name displayName credentialsSchema optionsSchema capabilities { capability } } }"
    (vendor,) = (await desk.ask(document))["vendors"]
    assert vendor["name"] == "local"
    assert vendor["credentialsSchema"]["type"] == vendor["optionsSchema"]["type"] == "object"
    assert len(vendor["capabilities"]) == 25


async def test_a_source_describes_what_it_takes(desk: Desk) -> None:
    document = "query($id: ID!) { source(id: $id) { createChatSchema agents(first: 1) { nodes { nativeId } } account { kind } } }"
    shown = (await desk.ask(document, id=desk.source))["source"]
    assert shown["createChatSchema"]["type"] == "object"
    assert shown["agents"] is None
