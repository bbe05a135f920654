"""The lock holds on every Python that the project claims. Read from the installed metadata, without network."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
CLAIMED = SpecifierSet(PROJECT["requires-python"])
LEAST, NEWEST = "3.11.2", "3.13"
# What the lock names and an environment may lack: torch, which the deep models need, what only torch demands, and Ray,
# which only several machines need.
NOT_EVERYWHERE = {"torch", "networkx", "sympy", "setuptools", "dagster-ray", "ray"}


def pins() -> Iterator[Requirement]:
    """Each line of the lock."""
    for line in (REPOSITORY / "constraints.txt").read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text:
            yield Requirement(text)


def pins_of(python: str) -> dict[str, str]:
    """Name and version of each pin that holds on a version of Python, on this machine's system."""
    environment = {**default_environment(), "python_version": python.rpartition(".")[0], "python_full_version": python}
    found: dict[str, str] = {}
    for pin in pins():
        if pin.marker is None or pin.marker.evaluate(environment):
            assert pin.name not in found, f"{pin.name} is pinned twice for Python {python}"
            (specifier,) = pin.specifier
            assert specifier.operator == "==", f"{pin} is no pin"
            found[canonicalize_name(pin.name)] = specifier.version
    return found


def test_the_versions_that_are_looked_at_are_the_ends_of_what_the_project_claims() -> None:
    assert LEAST in CLAIMED
    assert "3.11.1" not in CLAIMED
    assert f"{NEWEST}.99" in CLAIMED
    assert "3.14" not in CLAIMED


@pytest.mark.parametrize("python", [LEAST, "3.12.0", f"{NEWEST}.0"])
def test_each_installed_distribution_admits_the_python(python: str) -> None:
    refusing = [
        f"{found.name} {found.version} wants Python {found.metadata['Requires-Python']}"
        for found in distributions()
        if python not in SpecifierSet(found.metadata["Requires-Python"] or "")
    ]
    assert refusing == []


def test_the_lock_gives_every_python_the_same_versions() -> None:
    """So that what was tested on one is what runs on the others, and what the metadata say here holds there."""
    assert pins_of(LEAST) == pins_of("3.12.0") == pins_of(f"{NEWEST}.0")


def test_what_is_installed_is_what_the_lock_says() -> None:
    """A library that the lock forgot would be whatever the registry has on the day."""
    locked = pins_of(LEAST)
    tools = {"pip", "setuptools", "wheel", "uv", canonicalize_name(PROJECT["name"])}  # of the environment itself
    installed = {canonicalize_name(found.name): found.version for found in distributions()}
    unlocked = {f"{name} {version}" for name, version in installed.items() if name not in locked and name not in tools}
    assert unlocked == set()
    different = {
        f"{name}: {installed[name]} is installed, {version} is locked"
        for name, version in locked.items()
        if name in installed and Version(installed[name].partition("+")[0]) != Version(version)  # +cpu names a build
    }
    assert different == set()
    assert {name for name in locked if name not in installed} <= NOT_EVERYWHERE


def test_the_lock_brings_no_library_for_graphics_cards() -> None:
    assert [name for name in pins_of(LEAST) if name.startswith(("nvidia", "cuda", "triton"))] == []
