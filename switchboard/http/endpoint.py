"""The GraphQL endpoint as one ASGI application: GraphQL over HTTP, server-sent events and graphql-transport-ws at one path.

It stands beside the FastAPI application and not in it: the routing and dependencies of a framework cost ten times the
work of a small operation.
"""

from collections.abc import Sequence

from engine.broadcasts import Broadcasts
from engine.execution import Engine
from switchboard.http.body import Receive, Send
from switchboard.http.draining import Draining
from switchboard.http.graphql_http import ASGIApplication, GraphQLOverHTTP, Scope
from switchboard.http.graphql_ws import GraphQLOverWebSocket
from switchboard.http.origins import Origins
from switchboard.http.session import Sessions
from switchboard.http.settings import TransportSettings
from switchboard.http.sse import EventId, EventStreams


class GraphQLEndpoint:
    """Mount it at the path of GraphQL; it looks at no path itself.

    `page` is what a browser gets that opens the path in a tab (GraphiQL). `event_id` gives the cursor of an event of a
    subscription's source stream. Call `drain()` when the process is asked to end (`draining.on_exit_signals` does).
    """

    def __init__(
        self,
        engine: Engine,
        sessions: Sessions,
        *,
        broadcasts: Broadcasts,
        allowed_origins: Sequence[str] = (),
        settings: TransportSettings | None = None,
        page: ASGIApplication | None = None,
        event_id: EventId = lambda event: None,
    ) -> None:
        settings = settings or TransportSettings()
        origins = Origins(allowed_origins)
        self._draining = Draining()
        self._http = GraphQLOverHTTP(
            engine,
            sessions,
            origins=origins,
            settings=settings,
            streams=EventStreams(settings, self._draining, event_id, broadcasts),
            page=page,
        )
        self._websocket = GraphQLOverWebSocket(
            engine, broadcasts, sessions, origins=origins, settings=settings, draining=self._draining
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or one socket."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    def drain(self) -> None:
        """Tell all streams and sockets to reconnect elsewhere, and refuse new sockets. Requests under way are answered."""
        self._draining.begin()
