"""The two ways into a ChatLogger, login and API key, and where its API begins."""

import re
from dataclasses import replace
from typing import Any

from upstreams.chatlogger import requests
from upstreams.chatlogger.session import Session
from upstreams.client import UpstreamClient
from upstreams.json_reading import as_object
from upstreams.policy import Answer
from upstreams.requests import Request

KEY_HEADER = "x-organization-api-key"
_MOVED_IN = (0, 5)


class Access:
    """Sends requests with the credential that they need. A way that the source has no credentials for is never taken: its table says so."""

    def __init__(
        self,
        client: UpstreamClient,
        *,
        session: Session | None,
        api_key: str | None,
        slug: str | None,
        prefix: str | None,
    ) -> None:
        self._client = client
        self._session = session
        self._api_key = api_key
        self._slug = slug
        self._prefix = prefix

    @property
    def has_login(self) -> bool:
        """Whether it can read."""
        return self._session is not None

    @property
    def has_key(self) -> bool:
        """Whether it can write messages: a key says nothing without the slug of its organization."""
        return self._api_key is not None and self._slug is not None

    @property
    def slug(self) -> str:
        """The organization of the key."""
        assert self._slug is not None, "asked for only with a key"
        return self._slug

    async def as_user(self, request: Request) -> Answer:
        """With the session's cookie and nothing else."""
        assert self._session is not None, "the source's table refuses it without a login"
        return await self._session.send(request)

    async def with_key(self, request: Request) -> Answer:
        """With the API key and nothing else."""
        assert self._api_key is not None, "the source's table refuses it without a key"
        return await self._client.send(replace(request, headers={KEY_HEADER: self._api_key}))

    async def prefix(self) -> str:
        """Where the API begins; asked for once, unless the option names it."""
        if self._prefix is None:
            self._prefix = prefix_of(await self.version())
        return self._prefix

    async def version(self) -> str:
        """The release, e.g. `0.5.0`."""
        return await self._client.json(requests.version(), _version_from_json)


def prefix_of(version: str) -> str:
    """The prefix of a release. What is not numbered was built from the newest sources."""
    numbers = re.match(r"v?(\d{1,6})\.(\d{1,6})", version)
    if numbers is None:
        return "/v1"
    return "/v1" if (int(numbers[1]), int(numbers[2])) >= _MOVED_IN else "/api/v1"


def _version_from_json(body: Any) -> str:
    return as_object(body).text("version")
