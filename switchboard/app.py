"""The ASGI application: `/graphql` and `/webhooks/` at endpoints of their own, everything else in FastAPI.

`create_app()` reads the settings itself, so that `uvicorn --factory switchboard.app:create_app` and every worker start alike.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from graphql import OperationType

from engine.broadcasts import Broadcasts
from engine.execution import Engine
from engine.limits import Limits
from engine.plans import Plan
from resolvers.context import Context, Gateway
from schema.errors import format_error
from schema.positions import POSITION_FIELDS
from schema.root import federation_schema, public_schema
from schema.viewer import VIEWER_DEPENDENT
from switchboard.audiences import GatewayAudiences
from switchboard.http.draining import on_exit_signals
from switchboard.http.endpoint import GraphQLEndpoint
from switchboard.http.graphiql import DIST, GraphiQLPage
from switchboard.http.settings import TransportSettings
from switchboard.http.webhooks import PREFIX as WEBHOOKS
from switchboard.http.webhooks import Webhooks
from switchboard.logging import configure_logging
from switchboard.metrics import MEDIA_TYPE, exposition
from switchboard.sessions import GatewaySessions
from switchboard.settings import Settings, load_settings
from switchboard.wiring import open_gateway

PATH = "/graphql"


class Application:
    """Sends requests for `/graphql` straight to the endpoint: a framework's routing costs more than a small operation."""

    def __init__(self, settings: Settings, *, demo_key: Callable[[], str | None] = lambda: None) -> None:
        self._settings = settings
        self._page = GraphiQLPage(demo_key=demo_key, dist=DIST) if settings.graphiql else None
        self._endpoint: GraphQLEndpoint | None = None
        self.gateway: Gateway | None = None
        self.webhooks: Webhooks | None = None
        self.broadcasts: Broadcasts | None = None
        self.rest = self._rest()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"] == PATH and self._endpoint is not None:
            await self._endpoint(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith(WEBHOOKS) and self.webhooks is not None:
            await self.webhooks(scope, receive, send)
        else:
            await self.rest(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        async with open_gateway(self._settings) as (gateway, sessions):
            self.gateway = gateway
            self.webhooks = Webhooks(gateway)
            self.broadcasts = Broadcasts(GatewayAudiences(sessions))
            self._endpoint = _endpoint(self._settings, sessions, self.broadcasts, self._page)
            with on_exit_signals(self._endpoint.drain):
                yield
            self._endpoint.drain()
            await self.broadcasts.aclose()
            self.gateway = self.webhooks = self.broadcasts = None

    def _rest(self) -> FastAPI:
        # The pages that FastAPI draws of its routes load from a CDN; `openapi.json` stays.
        rest = FastAPI(title="Switchboard", lifespan=self._lifespan, docs_url=None, redoc_url=None)

        @rest.get("/", include_in_schema=False)
        async def home() -> RedirectResponse:
            return RedirectResponse(PATH)

        @rest.get("/healthz")
        async def healthz() -> dict[str, str]:
            """The process answers."""
            return {"status": "ok"}

        @rest.get("/readyz")
        async def readyz() -> JSONResponse:
            """The store answers, too."""
            if self.gateway is None:
                return JSONResponse({"status": "starting"}, 503)
            async with self.gateway.store.database.reader() as reader:
                await reader.fetch_one("SELECT 1", {})
            return JSONResponse({"status": "ready"})

        @rest.get("/metrics")
        async def metrics(_: Request) -> Response:
            """Prometheus' text format."""
            if self.gateway is None or self.broadcasts is None:
                return Response(status_code=503)
            return Response(exposition(self.gateway, self.broadcasts), media_type=MEDIA_TYPE)

        if self._page is not None:
            rest.mount("/graphiql", self._page.assets)
        return rest


def create_app(config: Path | None = None) -> Application:
    """The application of the settings in `config`, `SWITCHBOARD_CONFIG` or `switchboard.toml`, and the environment."""
    settings = load_settings(config)
    configure_logging(settings.log_format, settings.log_level)  # here, because each worker is a process of its own
    return Application(settings)


def engine_of(settings: Settings) -> Engine:
    """What runs the operations, within the limits of the settings."""
    limits = settings.limits
    return Engine(
        public_schema,
        federation=federation_schema,
        format_error=format_error,
        watched=POSITION_FIELDS,
        prepare=_prepare,
        suggestions=settings.development,
        viewers_own=VIEWER_DEPENDENT,
        position_argument="after",
        limits=Limits(
            tokens=limits.tokens,
            depth=limits.depth,
            introspection_depth=limits.introspection_depth,
            aliases=limits.aliases,
            root_fields=limits.root_fields,
            directives=limits.directives,
            repeated_fields=limits.repeated_fields,
            cost=limits.cost,
        ),
    )


def _endpoint(
    settings: Settings, sessions: GatewaySessions, broadcasts: Broadcasts, page: GraphiQLPage | None
) -> GraphQLEndpoint:
    return GraphQLEndpoint(
        engine_of(settings),
        sessions,
        broadcasts=broadcasts,
        allowed_origins=settings.allowed_origins,
        settings=TransportSettings(
            body_bytes=settings.limits.body_bytes,
            ws_init_timeout_seconds=settings.websocket.init_timeout_seconds,
            ws_queue_bytes=settings.websocket.queue_bytes,
            ws_operations=settings.websocket.max_operations,
        ),
        page=page,
        event_id=lambda event: getattr(event, "cursor", None),
    )


def _prepare(plan: Plan, context: Context) -> None:
    """An answer without a position promises nothing about the log: it need not wait until what it shows is committed."""
    context.may_mirror_late = plan.kind is OperationType.QUERY and not plan.mentions
