"""What the simulator holds. Times are whole microseconds since 1970 (`_us`), cut to the digits that are shown."""

from dataclasses import dataclass, field
from typing import Any, Literal

TERMINAL = frozenset({"completed", "failed", "stopped"})
Behaviour = Literal["echo", "slow", "tools", "approval", "failing"]


@dataclass(frozen=True, slots=True)
class Account:
    """A user of Splox; a token is the whole account, without scopes."""

    user_id: str
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """A workflow with one entry node, which answers in its own way. `older_version_id`: it has a first version too."""

    name: str
    behaviour: Behaviour
    workflow_id: str
    version_id: str
    node_id: str
    older_version_id: str | None = None

    def version_numbers(self) -> dict[str, int]:
        """Version id → number, the latest first."""
        return {self.version_id: 2, self.older_version_id: 1} if self.older_version_id else {self.version_id: 1}


@dataclass(slots=True)
class Chat:
    """`asked_type` is what creating said, `shown_type` what answers say."""

    id: str
    user_id: str
    name: str
    asked_type: str
    shown_type: str
    resource_id: str
    metadata: dict[str, Any] | None
    created_us: int
    updated_us: int
    is_public: bool = False
    share_token: str | None = None


@dataclass(slots=True)
class Message:
    id: str
    chat_id: str
    role: str
    content: list[dict[str, Any]]
    created_us: int
    parent_id: str | None = None
    files: list[dict[str, Any]] | None = None
    run_id: str | None = None


@dataclass(slots=True)
class Thread:
    """The messages of a chat, oldest first. It outlives the chat: deleting a chat keeps its messages."""

    user_id: str
    resource_id: str
    messages: list[Message] = field(default_factory=list)


@dataclass(slots=True)
class NodeRun:
    """One node of a run at work."""

    id: str
    flow: Flow
    status: str
    created_us: int
    ended_us: int | None = None
    output: dict[str, Any] | None = None


@dataclass(slots=True)
class Run:
    """A workflow request."""

    id: str
    user_id: str
    version_id: str
    chat_id: str
    payload: dict[str, Any]
    nodes: list[NodeRun]
    created_us: int
    status: str = "pending"
    started_us: int | None = None
    ended_us: int | None = None

    @property
    def is_over(self) -> bool:
        return self.status in TERMINAL
