"""The wheel holds our packages and nothing else, and nobody else's package has one of our names."""

import tomllib
from importlib.metadata import distributions, packages_distributions

from tests.gateway import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])


def test_wheel_lists_every_package_of_the_tree() -> None:
    """Without the list the wheel would hold one package, without a warning."""
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found - {"tests", "benchmarks"} == PACKAGES


def test_every_package_says_that_it_is_typed() -> None:
    assert [name for name in PACKAGES if not (ROOT / name / "py.typed").exists()] == []


def test_no_other_distribution_has_one_of_our_names() -> None:
    """Two packages of one name overwrite each other silently."""
    owners = {name: set(packages_distributions().get(name, ())) for name in PACKAGES}
    assert {name: who for name, who in owners.items() if who - {PROJECT["project"]["name"]}} == {}


def test_lock_files_hold_names_versions_and_hashes_only() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        for line in (ROOT / name).read_text().splitlines():
            text = line.strip()
            assert text.startswith("--hash=sha256:") or "==" in text, f"{name}: {text}"
    for path in ("switchboard/graphiql/package-lock.json", "tests/frontend/package-lock.json"):
        assert '"resolved"' not in (ROOT / path).read_text()


def test_every_locked_distribution_is_installed_as_locked() -> None:
    """A test that passes with other versions proves nothing about these."""
    installed = {one.metadata["Name"].lower().replace("_", "-"): one.version for one in distributions()}
    locked = [line.split(" ")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line]
    wrong = []
    for entry in locked:
        name, _, version = entry.partition("==")
        key = name.partition("[")[0].lower().replace("_", "-")
        if key in installed and installed[key] != version:
            wrong.append((entry, installed[key]))
    assert wrong == []
