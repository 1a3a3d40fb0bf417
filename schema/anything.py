"""From any record with an id to its GraphQL type."""

from domain import records
from schema import (
    api_key as api_key_types,
)
from schema import (
    audit as audit_types,
)
from schema import (
    chat as chat_types,
)
from schema import (
    folder as folder_types,
)
from schema import (
    member as member_types,
)
from schema import (
    message as message_types,
)
from schema import (
    organization as organization_types,
)
from schema import (
    source as source_types,
)
from schema.node import Node

AnyRecord = (
    records.Organization
    | records.Source
    | records.Chat
    | records.Message
    | records.Folder
    | records.Member
    | records.ApiKey
    | records.AuditEntry
)


def node_of(record: AnyRecord | None) -> Node | None:
    """The GraphQL type of a record, None for none."""
    match record:
        case None:
            return None
        case records.Chat():
            return chat_types.Chat.of(record)
        case records.Message():
            return message_types.Message.of(record)
        case records.Folder():
            return folder_types.Folder.of(record)
        case records.Source():
            return source_types.Source.of(record)
        case records.Organization():
            return organization_types.Organization.of(record)
        case records.Member():
            return member_types.Member.of(record)
        case records.ApiKey():
            return api_key_types.ApiKey.of(record)
        case records.AuditEntry():
            return audit_types.AuditEntry.of(record)
