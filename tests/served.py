"""The whole gateway served inside the test's own process and loop, for tests that look into it: what runs, what is shared, what remains."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from domain.records import ApiKey, Member, Organization, Role, Scope
from engine.broadcasts import Broadcasts
from resolvers.context import Gateway, utc_now
from resolvers.organizations import add_api_key, add_organization
from storage.database import Transaction
from switchboard.app import Application
from switchboard.audiences import GatewayAudiences
from switchboard.serving import server_options
from switchboard.settings import Settings
from switchboard.watches import Watches
from tests.client import Client
from tests.switchboard.http.toy import EmbeddedServer

CREATE = "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id } userErrors { message } } }"
SEND = (
    "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } userErrors { code message } } }"
)


@dataclass
class ServedGateway:
    """A gateway with the organization `acme` and its local source, on a free port of the loopback."""

    app: Application
    server: EmbeddedServer
    http: httpx.AsyncClient
    organization: Organization
    port: int

    @property
    def url(self) -> str:
        """Where GraphQL is."""
        return f"http://127.0.0.1:{self.port}/graphql"

    @property
    def gateway(self) -> Gateway:
        """Its long-living parts."""
        assert self.app.gateway is not None
        return self.app.gateway

    @property
    def broadcasts(self) -> Broadcasts:
        """What subscriptions share now."""
        assert self.app.broadcasts is not None
        return self.app.broadcasts

    @property
    def watches(self) -> Watches:
        """The sessions that are open now."""
        assert isinstance(self.broadcasts.audiences, GatewayAudiences)
        return self.broadcasts.audiences._sessions.watches

    def listening(self) -> int:
        """How many subscriptions listen with others now."""
        return sum(len(one) for one in self.broadcasts._running.values())

    async def key(self, *scopes: Scope) -> tuple[ApiKey, str]:
        """A new key with its secret; with all scopes unless said."""
        store = self.gateway.store

        async def unit(tx: Transaction) -> tuple[ApiKey, str]:
            return await add_api_key(
                store,
                tx,
                self.organization,
                name="Tests",
                scopes=frozenset(scopes) or frozenset(Scope),
                expires_at=None,
                at=utc_now(),
            )

        return await store.database.write(unit)

    async def member(self, subject: str, role: Role) -> Member:
        """Somebody of the sign-in service whom the organization let in."""
        store = self.gateway.store

        async def unit(tx: Transaction) -> Member:
            return await store.organizations.add_member(
                tx,
                self.organization.id,
                issuer="https://id.example.com",
                subject=subject,
                display_name=None,
                role=role,
                at=utc_now(),
            )

        return await store.database.write(unit)

    def client(self, secret: str) -> Client:
        """Somebody with this credential."""
        return Client(self.url, {"Authorization": f"Bearer {secret}"}, self.http)


class _Server(EmbeddedServer):
    """Ends the application, too: it holds a store."""

    async def shutdown(self, sockets: Any = None) -> None:
        await super().shutdown(sockets)
        await self.lifespan.shutdown()


async def a_chat(client: Client) -> str:
    """A new chat of the local source."""
    source = (await client.ask("{ sources { id } }"))["sources"][0]["id"]
    chat_id: str = (await client.do(CREATE, input={"sourceId": source}))["chat"]["id"]
    return chat_id


async def say(client: Client, chat_id: str, text: str, **fields: Any) -> None:
    """A message that nobody answers."""
    await client.do(SEND, input={"chatId": chat_id, "text": text, "reply": "NONE", **fields})


@asynccontextmanager
async def served_here(folder: Path, **settings: Any) -> AsyncIterator[ServedGateway]:
    """Serve it as `switchboard serve` does; afterwards nothing of it remains."""
    chosen = Settings(database_url=f"sqlite:///{folder / 'here.db'}", secret_keys=("t" * 32,), port=0, **settings)
    app = Application(chosen)
    options = {**server_options(chosen), "port": 0, "workers": 1, "log_level": "critical"}
    server = _Server(uvicorn.Config(app, **options))
    running = asyncio.create_task(server.serve())
    await server.ready.wait()
    assert app.gateway is not None
    store = app.gateway.store
    organization = await store.database.write(
        lambda tx: add_organization(store, tx, slug="acme", name="Acme", at=utc_now())
    )
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(timeout=30) as http:
        try:
            yield ServedGateway(app, server, http, organization, port)
        finally:
            assert app._endpoint is not None
            app._endpoint.drain()
            server.stop.set()
            await running
