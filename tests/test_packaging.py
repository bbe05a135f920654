"""What an installation promises to those who use it."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest
import yaml

from tests.conftest import REPOSITORY

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PACKAGES = ["trading_dag", "resources", "assets"]


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_says_that_it_is_typed_and_a_wheel_takes_that_along(package: str) -> None:
    assert files(package).joinpath("py.typed").is_file()
    assert "py.typed" in PYPROJECT["tool"]["setuptools"]["package-data"][package]


def test_an_index_refuses_a_wheel_with_packages_named_assets_and_resources() -> None:
    assert "Private :: Do Not Upload" in PYPROJECT["project"]["classifiers"]


def test_the_pythons_of_the_classifiers_are_those_that_are_tested() -> None:
    jobs = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())["jobs"]
    tested = jobs["test"]["strategy"]["matrix"]["python"]
    prefix = "Programming Language :: Python :: "
    claimed = [text.removeprefix(prefix) for text in PYPROJECT["project"]["classifiers"] if text.startswith(prefix)]
    assert claimed == tested


def test_updates_that_are_asked_for_do_not_go_beyond_the_bounds_of_the_lock() -> None:
    updates = yaml.safe_load((REPOSITORY / ".github/dependabot.yml").read_text())["updates"]
    (libraries,) = (update for update in updates if update["package-ecosystem"] == "pip")
    ignored = {entry["dependency-name"]: entry.get("versions") for entry in libraries["ignore"]}
    for bound in PYPROJECT["tool"]["uv"]["constraint-dependencies"]:
        name, least_refused = bound.split("<")
        assert ignored[name] == [f">={least_refused}"]
