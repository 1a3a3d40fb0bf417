"""A sign-in service on loopback: keys, tokens, and the JWKS that publishes the keys."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER = "https://id.example.com"
AUDIENCE = "switchboard"


@dataclass
class SigningKey:
    """A key pair with its id."""

    kid: str
    algorithm: str = "ES256"
    private: Any = None

    def __post_init__(self) -> None:
        if self.private is None:
            self.private = (
                ec.generate_private_key(ec.SECP256R1())
                if self.algorithm == "ES256"
                else rsa.generate_private_key(public_exponent=65537, key_size=2048)
            )

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half, as RFC 7517 writes it."""
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        published: dict[str, Any] = json.loads(algorithm.to_jwk(self.private.public_key()))
        return {**published, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def sign(self, claims: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token of `ann` that is good for an hour; None takes a claim away."""
        payload = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ann",
            "exp": datetime.now(UTC) + timedelta(hours=1),
            **(claims or {}),
            **changes,
        }
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, self.private, algorithm=self.algorithm, headers={"kid": self.kid})


@dataclass
class SignInService:
    """What it publishes, how often it was asked, and with which status it answers."""

    url: str = ""
    keys: list[SigningKey] = field(default_factory=list)
    status: int = 200
    calls: int = 0


@asynccontextmanager
async def sign_in_service(*keys: SigningKey) -> AsyncIterator[SignInService]:
    """Serve the keys until the block is left."""
    service = SignInService(keys=list(keys))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        service.calls += 1
        body = json.dumps({"keys": [key.jwk for key in service.keys]}).encode()
        head = f"HTTP/1.1 {service.status} -\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
        yield service
