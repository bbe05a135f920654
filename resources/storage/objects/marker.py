"""Whether a home is a working copy of an object store: a file in it says so, to every process that works there.

It is written once, when an empty home is first used with ``TRADING_DAG_DATA_URL``. So nothing that opens the home, in
whatever process, can take it for one that holds its own data. What a working copy is stands in ``working_copy``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from trading_dag.errors import ConfigurationError

MARKER: Final = "working_copy.json"
OWN_FOLDERS: Final = ("data", "models")


def attach(home: Path, url: str | None) -> None:
    """Make a home a working copy of what lies at an address, or demand that it is what the settings say it is.

    Raises
    ------
    ConfigurationError : for a home that holds slices or models of its own, or is another address's copy.
    """
    known = marked_url(home)
    if known == url:
        return
    if known is not None:
        raise ConfigurationError(
            f"{home} is a working copy of {known}, and TRADING_DAG_DATA_URL is {url or 'not set'}: set it to that "
            "address, or take another home"
        )
    if any(next((home / name).glob("*/*/**/*"), None) is not None for name in OWN_FOLDERS):
        raise ConfigurationError(
            f"{home} holds data of its own and cannot become a working copy of {url}: copy data/ and models/ there "
            "with any tool, then take an empty home (docs/scale-out.md)"
        )
    from resources.storage.slices.format import replace_file

    home.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"url": url}) + "\n"
    replace_file(home / MARKER, lambda path: path.write_text(text, encoding="utf-8"))


def marked_url(home: Path) -> str | None:
    """Return the address that a home is a working copy of; None for a home that holds its own data.

    Raises
    ------
    ConfigurationError : for a marker that is none.
    """
    marker = home / MARKER
    try:
        told = json.loads(marker.read_bytes())
        return str(told["url"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{marker} does not say of what this home is a working copy: {error}") from error
