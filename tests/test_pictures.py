"""Every picture that the README and the docs show is made by a script, and none is made or kept for nobody."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY
from tests.pictures.make import MADE

FOLDER = REPOSITORY / "docs" / "pictures"
MOST_BYTES = 1_500_000


def shown() -> set[str]:
    """Names of the pictures that the README and the pages of the docs link to."""
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    link = re.compile(r"!\[[^\]]*\]\((?:[^)\s]*/)?pictures/([^)\s]+)\)")
    return {name for page in pages for name in link.findall(page.read_text(encoding="utf-8"))}


def test_the_script_makes_every_picture_that_is_shown() -> None:
    assert shown() - set(MADE) == set()


def test_every_picture_that_is_kept_is_made_by_the_script() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(MADE)


def test_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < MOST_BYTES
