"""New stores of this process: copies of one that was laid out once, as laying out takes ten times as long as opening."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

from domain.records import Role, Scope
from resolvers.context import utc_now
from resolvers.organizations import add_api_key, add_organization
from storage import migrate, sqlite
from storage.database import Transaction
from storage.store import Store, open_store

T = TypeVar("T")
BringUpToDate = Callable[[str], None]


def copying_when_new(bring_up_to_date: BringUpToDate) -> BringUpToDate:
    """The same for a store that is there; one that is not yet becomes a copy."""

    def bring(url: str) -> None:
        path = sqlite.file_of(url)
        if path.exists() or not path.parent.is_dir():
            bring_up_to_date(url)
        else:
            path.write_bytes(_laid_out())

    return bring


def add_tenant(path: Path, slug: str, *, admin: tuple[str, str] | None = None) -> None:
    """What `switchboard organizations create` makes, without its process. `admin` is an issuer and a subject."""

    async def unit(store: Store, tx: Transaction) -> None:
        at = utc_now()
        made = await add_organization(store, tx, slug=slug, name=slug.title(), at=at)
        if admin is not None:
            issuer, subject = admin
            await store.organizations.add_member(
                tx, made.id, issuer=issuer, subject=subject, display_name=None, role=Role.ADMIN, at=at
            )

    _write(path, unit)


def add_key(path: Path, slug: str, scopes: frozenset[Scope] = frozenset(Scope)) -> str:
    """What `switchboard keys create` makes and prints, without its process."""

    async def unit(store: Store, tx: Transaction) -> str:
        owner = await store.organizations.by_slug(slug)
        assert owner is not None
        _, secret = await add_api_key(store, tx, owner, name="Tests", scopes=scopes, expires_at=None, at=utc_now())
        return secret

    return _write(path, unit)


def _write(path: Path, unit: Callable[[Store, Transaction], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_store(f"sqlite:///{path}", readers=1) as store:
            return await store.database.write(lambda tx: unit(store, tx))

    with ThreadPoolExecutor(1) as apart:  # callers may stand in a loop
        return apart.submit(asyncio.run, run()).result()


@cache
def _laid_out() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        migrate.upgrade(f"sqlite:///{path}")
        return path.read_bytes()
