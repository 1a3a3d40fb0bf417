"""Every cell of the capability table, through GraphQL: the gateway keeps what the table says, for every source and capability there is."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest

from domain.capabilities import Capability, SupportLevel
from simulators.keys import KEYS
from tests.cells.overlaid import OVERLAID, Kept, is_remembered, keep
from tests.cells.refused import REFUSED, is_refused
from tests.cells.working import WORKS
from tests.cells.world import TABLES, VENDORS, Place, Subject, installed, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CELLS = [(vendor, capability) for vendor in sorted(TABLES) for capability in Capability]
CHECKS = {
    SupportLevel.NATIVE: WORKS,
    SupportLevel.EMULATED: WORKS,
    SupportLevel.OVERLAY: OVERLAID,
    SupportLevel.UNSUPPORTED: REFUSED,
}
Cell = tuple[str, Capability]


@dataclass
class Restarted:
    """The gateway after a restart, and what was written into its overlays before: or why that failed."""

    place: Place
    kept: dict[Cell, Kept] = field(default_factory=dict)
    failed: dict[Cell, Exception] = field(default_factory=dict)


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    """One restart serves all cells: overlays are written before it, everything else is asked after it."""
    with installed(tmp_path_factory.mktemp("cells")) as place:
        kept: dict[Cell, Kept] = {}
        failed: dict[Cell, Exception] = {}
        with serving(place) as first:
            asyncio.run(_write_overlays(first, kept, failed))
        with serving(place) as second:
            yield Restarted(second, kept, failed)


async def _write_overlays(place: Place, kept: dict[Cell, Kept], failed: dict[Cell, Exception]) -> None:
    for vendor, table in TABLES.items():
        wanted = [capability for capability in Capability if table.level(capability) is SupportLevel.OVERLAY]
        if not wanted:
            continue
        async with place.subject(vendor) as subject:
            chats = [chat.id for chat in subject.all_held() if chat.path and not chat.archived]
            for capability, native_id in zip(wanted, chats, strict=False):
                try:
                    kept[vendor, capability] = await keep(subject, capability, native_id)
                except Exception as error:  # the test of this cell raises it
                    failed[vendor, capability] = error


@pytest.fixture
async def subject(restarted: Restarted, vendor: str) -> AsyncIterator[Subject]:
    async with restarted.place.subject(vendor) as subject:
        yield subject


@pytest.mark.parametrize(("vendor", "capability"), CELLS)
async def test_cell_is_kept(subject: Subject, restarted: Restarted, vendor: str, capability: Capability) -> None:
    level = TABLES[vendor].level(capability)
    if level is SupportLevel.OVERLAY:
        if (vendor, capability) in restarted.failed:
            raise restarted.failed[vendor, capability]
        await is_remembered(subject, capability, restarted.kept[vendor, capability])
    elif level is SupportLevel.UNSUPPORTED:
        await is_refused(subject, capability)
    else:
        await WORKS[capability](subject)


def test_every_vendor_is_here() -> None:
    assert set(VENDORS) == set(TABLES) == {*KEYS, "local"}


@pytest.mark.parametrize(("vendor", "capability"), CELLS)
def test_every_cell_has_a_check(vendor: str, capability: Capability) -> None:
    level = TABLES[vendor].level(capability)
    assert capability in CHECKS[level], f"{vendor} is {level} for {capability}, and no check says what that means"


@pytest.mark.parametrize("vendor", sorted(TABLES))
async def test_source_shows_the_table(subject: Subject, vendor: str) -> None:
    """With all credentials the column is whole: nothing is narrowed that these tests then would not see."""
    shown = await subject.us.ask(
        "query ($id: ID!) { source(id: $id) { capabilities { capability level note } } }", id=subject.source_id
    )
    cells = {cell["capability"]: (cell["level"], cell["note"]) for cell in shown["source"]["capabilities"]}
    table = TABLES[vendor]
    assert cells == {one.value: (table.level(one).value, table.of(one).note) for one in Capability}
