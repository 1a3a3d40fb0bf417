"""Sources that the settings name: made, changed, and what is said when one cannot be."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.records import Visibility
from domain.source import Connector
from resolvers.organizations import add_organization
from storage.store import Store, open_store
from switchboard.configured_sources import configure_sources
from switchboard.keys import KeyRing
from switchboard.settings import SourceSettings
from switchboard.settings_errors import SettingsError
from tests.builders import T0
from tests.fakes import FakeSource, a_connector

pytestmark = pytest.mark.anyio
RING = KeyRing(["t" * 32])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store with the organization `acme`."""
    async with open_store(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        await opened.database.write(lambda tx: add_organization(opened, tx, slug="acme", name="Acme", at=T0))
        yield opened


def connectors() -> Mapping[str, Connector]:
    return {vendor: a_connector(vendor, FakeSource) for vendor in ("acorn", "birch")}


def wanted(**changes: Any) -> SourceSettings:
    fields = {"organization": "acme", "key": "oak", "vendor": "acorn", "base_url": "https://oak.example", **changes}
    return SourceSettings(**fields)


async def configure(store: Store, *sources: SourceSettings) -> None:
    await configure_sources(store, sources, connectors(), RING.seal, T0)


async def shown(store: Store) -> list[tuple[str, str, str | None]]:
    return [(one.key, one.display_name, one.base_url) for one in await store.sources.of(1) if one.key != "local"]


async def test_a_named_source_is_made_once(store: Store) -> None:
    await configure(store, wanted())
    (first,) = [one for one in await store.sources.of(1) if one.key == "oak"]
    await configure(store, wanted())
    (second,) = [one for one in await store.sources.of(1) if one.key == "oak"]
    assert second == first
    assert first.display_name == "Acorn"


async def test_a_source_that_only_its_owner_sees_is_not_the_one_of_the_settings(store: Store) -> None:
    """Else what it is connected to would change under whoever keeps it to themselves."""
    own = await store.database.write(
        lambda tx: store.sources.add(
            tx,
            organization_id=1,
            key="oak",
            vendor="acorn",
            display_name="Ann's",
            base_url="https://ann.example",
            visibility=Visibility.OWNER,
            owner="ann",
            created_at=T0,
        )
    )
    await configure(store, wanted())
    assert await store.sources.get(1, own.id) == own
    assert sorted(await shown(store)) == [
        ("oak", "Acorn", "https://oak.example"),
        ("oak", "Ann's", "https://ann.example"),
    ]


async def test_what_changed_in_the_settings_is_changed_in_the_store(store: Store) -> None:
    await configure(store, wanted())
    await configure(store, wanted(base_url="https://elm.example/", display_name="Elm"))
    assert await shown(store) == [("oak", "Elm", "https://elm.example")]


async def test_a_source_that_is_no_longer_named_stays(store: Store) -> None:
    await configure(store, wanted())
    await configure(store)
    assert len(await shown(store)) == 1


async def test_secrets_are_taken_from_variables_and_sealed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAK_KEY", "hunter2")
    await configure(store, wanted(credentials={"api_key": "env:OAK_KEY"}))
    (source,) = [one for one in await store.sources.of(1) if one.key == "oak"]
    sealed = await store.sources.credentials(1, source.id)
    assert RING.unseal(sealed) == {"api_key": "hunter2"}
    monkeypatch.setenv("OAK_KEY", "rotated")
    await configure(store, wanted(credentials={"api_key": "env:OAK_KEY"}))
    assert RING.unseal(await store.sources.credentials(1, source.id)) == {"api_key": "rotated"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"vendor": "willow"}, "is of the vendor `willow`. Known ones: acorn, birch."),
        ({"organization": "beta"}, "`switchboard organizations create beta"),
        ({"base_url": "oak"}, "`baseUrl` is not possible"),
        (
            {"credentials": {"api_key": "env:NOT_SET_ANYWHERE"}},
            "`credentials.api_key` is `env:NOT_SET_ANYWHERE`, and the variable NOT_SET_ANYWHERE is not set.",
        ),
    ],
    ids=["vendor", "organization", "address", "variable"],
)
async def test_what_is_wrong_names_the_source(store: Store, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        await configure(store, wanted(**changes))
    assert str(caught.value).startswith("The source ")
    assert sentence in str(caught.value)


async def test_all_are_made_or_none(store: Store) -> None:
    with pytest.raises(SettingsError):
        await configure(store, wanted(), wanted(key="elm", vendor="willow"))
    assert await shown(store) == []


async def test_a_source_does_not_change_its_vendor(store: Store) -> None:
    await configure(store, wanted())
    with pytest.raises(SettingsError, match="switchboard sources remove --organization acme oak"):
        await configure(store, wanted(vendor="birch"))
