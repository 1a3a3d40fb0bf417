"""Which workflow answers in a chat: named by the options, or looked up at Splox and remembered for a while."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import NotFound, UpstreamRejected
from domain.records import Agent, Source
from upstreams.client import UpstreamClient
from upstreams.clock import Clock
from upstreams.splox.forms import CREATED_TYPE, Options, Resource
from upstreams.splox.mapping import entry_nodes_from_json, version_from_json, workflows_from_json
from upstreams.splox.requests import RUN_WORKFLOW, entry_nodes_request, latest_version_request, list_workflows_request

_REMEMBERED_SECONDS = 300.0
_MOST_PAGES = 20
_MOST_LISTED = 50
"""Workflows whose chats are listed without being configured: each takes two calls."""


@dataclass(frozen=True, slots=True)
class Route:
    """What a run needs besides chat and text."""

    workflow_version_id: str
    entry_nodes: tuple[str, ...]


class Workflows:
    """The workflows of one source."""

    def __init__(self, client: UpstreamClient, source: Source, options: Options, clock: Clock) -> None:
        self._client = client
        self._source = source
        self._options = options
        self._clock = clock
        self._routes: dict[str, tuple[float, Route]] = {}

    @property
    def route_for_all(self) -> Route | None:
        """The one that answers in every chat, None when that depends on the chat or must be looked up."""
        options = self._options
        has_own = any(resource.workflow_version_id or resource.entry_nodes for resource in options.resources)
        if options.workflow_version_id and options.entry_nodes and not has_own:
            return Route(options.workflow_version_id, options.entry_nodes)
        return None

    async def route(self, resource_id: str) -> Route:
        """What answers in the chats of a resource."""
        known = self._routes.get(resource_id)
        now = self._clock.monotonic()
        if known is not None and now < known[0]:
            return known[1]
        route = await self._look_up(resource_id)
        self._routes[resource_id] = (now + _REMEMBERED_SECONDS, route)
        return route

    def forget(self, resource_id: str) -> None:
        """A run was refused: what was looked up may have changed."""
        self._routes.pop(resource_id, None)

    async def agents(self) -> Sequence[Agent]:
        """Every workflow of the account."""
        found: dict[str | None, Agent] = {}
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page, following = await self._client.json(list_workflows_request(cursor), workflows_from_json)
            new = {agent.native_id: agent for agent in page if agent.native_id not in found}
            found |= new
            if following is None or following == cursor or not new:
                break
            cursor = following
        return list(found.values())

    async def resources(self) -> Sequence[Resource]:
        """Whose chats are listed: those of the options, or the account's workflows."""
        if self._options.resources:
            return self._options.resources
        agents = await self.agents()
        if len(agents) > _MOST_LISTED:
            raise self._rejected(
                "list_chats",
                f"listing chats was not tried: the account has {len(agents)} workflows, and Splox lists chats for one at a time. "
                "Name those that matter in the option `resources`",
            )
        return [Resource(agent.native_id, ("workflow", CREATED_TYPE)) for agent in agents if agent.native_id]

    async def _look_up(self, resource_id: str) -> Route:
        resource = self._options.resource(resource_id)
        version = (resource.workflow_version_id if resource else None) or self._options.workflow_version_id
        nodes = (resource.entry_nodes if resource else ()) or self._options.entry_nodes
        if version is None:
            version = await self._latest_version(resource_id)
        if not nodes:
            nodes = await self._only_entry_node(version)
        return Route(version, nodes)

    async def _latest_version(self, workflow_id: str) -> str:
        try:
            return await self._client.json(latest_version_request(workflow_id), version_from_json)
        except NotFound as error:
            raise self._rejected(
                RUN_WORKFLOW,
                "nothing was sent: the chat's resource is no workflow that Splox shows, so what is to answer is not known. "
                "Set the options `workflow_version_id` and `entry_nodes`, for the source or for the resource",
            ) from error

    async def _only_entry_node(self, version: str) -> tuple[str, ...]:
        try:
            nodes = await self._client.json(entry_nodes_request(version), entry_nodes_from_json)
        except NotFound as error:
            raise self._rejected(
                RUN_WORKFLOW,
                "nothing was sent: Splox does not know the workflow version. Check the option `workflow_version_id`",
            ) from error
        if len(nodes) != 1:
            raise self._rejected(
                RUN_WORKFLOW,
                f"nothing was sent: the workflow has {len(nodes)} entry nodes, and which of them gets the message is not known. "
                "Set the option `entry_nodes`, for the source or for the resource",
            )
        return tuple(nodes)

    def _rejected(self, operation: str, what: str) -> UpstreamRejected:
        return UpstreamRejected(f"{self._source.key}: {what}.", source_id=self._source.id, operation=operation)
