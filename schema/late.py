"""Types that refer to each other in circles: here each has a name that is resolved when the schema is built.

A module of the circle annotates with these, and reaches the classes themselves through the module (`chat_types.Chat.of(…)`).
"""

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from schema.audit import AuditEntryConnection
    from schema.chat import Chat, ChatConnection
    from schema.folder import Folder, FolderConnection
    from schema.message import Message, MessageConnection
    from schema.organization import Organization

LateAuditEntryConnection = Annotated["AuditEntryConnection", strawberry.lazy("schema.audit")]
LateChat = Annotated["Chat", strawberry.lazy("schema.chat")]
LateChatConnection = Annotated["ChatConnection", strawberry.lazy("schema.chat")]
LateFolder = Annotated["Folder", strawberry.lazy("schema.folder")]
LateFolderConnection = Annotated["FolderConnection", strawberry.lazy("schema.folder")]
LateMessage = Annotated["Message", strawberry.lazy("schema.message")]
LateMessageConnection = Annotated["MessageConnection", strawberry.lazy("schema.message")]
LateOrganization = Annotated["Organization", strawberry.lazy("schema.organization")]
