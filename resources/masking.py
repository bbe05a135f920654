"""Takes keys and passwords out of texts, in every form in which another program may have written them.

Here belongs how a secret is found in a text. Which secrets there are is told by whoever holds them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from trading_dag.settings import Settings

# Taking out anything shorter would change an answer, and no vendor's key is so short.
SHORTEST_KEY: Final = 6
MASK: Final = "***"


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return every key, password and secret address of the settings, however deep it stands."""
    return tuple(dict.fromkeys(_secrets_in(settings)))


def _secrets_in(group: BaseModel) -> Iterable[str]:
    for name in type(group).model_fields:
        value = getattr(group, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from _secrets_in(value)


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return the text with every secret masked."""
    pattern = masking_pattern(tuple(secrets))
    return text if pattern is None else pattern.sub(MASK, text)


@lru_cache(maxsize=64)
def masking_pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return what finds the secrets as they are, percent-encoded, and escaped as in JSON or HTML; None where none is
    long enough to be looked for."""
    long_enough = [secret for secret in secrets if len(secret) >= SHORTEST_KEY]
    writings = sorted({one for secret in long_enough for one in _writings(secret)}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, writings))) if writings else None


def _writings(secret: str) -> set[str]:
    encoded = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    in_json = json.dumps(secret)[1:-1]
    return {
        secret,
        *encoded,
        *(re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), one) for one in encoded),
        in_json,
        in_json.replace("/", "\\/"),
        escape(secret),
    }
