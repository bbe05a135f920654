"""Which features a model may choose from, and why it may not choose from the others.

Here belongs what follows from settings and from a model's own list, before any row is looked at. What a fold then
makes of the candidates is ``features.selection``'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from trading_dag.errors import UnknownFeatureError
from trading_dag.feature_choice import choose_features
from trading_dag.schemas import ALL_FEATURES, LEVEL_FEATURES


@dataclass(frozen=True)
class Candidates:
    """What a model may choose from.

    Attributes
    ----------
    names : the candidates, in the order of its list.
    left_out : every other feature, and the reason as in ``models.inputs``.
    """

    names: tuple[str, ...]
    left_out: dict[str, str]


def candidates_of(model: str, listed: tuple[str, ...], *, chosen: tuple[str, ...], safe_only: bool) -> Candidates:
    """Return what of a model's list is chosen and safe enough.

    Parameters
    ----------
    listed : what the model reads at most; a choice takes away from it and adds nothing.
    chosen : as ``choose_features`` takes them; empty for all.
    safe_only : whether levels are left out.

    Raises
    ------
    UnknownFeatureError : for a choice that does not exist, or leaves nothing of the list.
    """
    asked = choose_features(chosen)
    left_out = {}
    for name in ALL_FEATURES:
        if name not in listed:
            left_out[name] = "not_listed"
        elif asked is not None and name not in asked:
            left_out[name] = "not_chosen"
        elif safe_only and name in LEVEL_FEATURES:
            left_out[name] = "not_safe"
    names = tuple(name for name in listed if name not in left_out)
    if not names:
        raise UnknownFeatureError(
            f"{model} may read none of the chosen features ({', '.join(chosen)}). It reads at most: {', '.join(listed)}"
            f"{', no levels' if safe_only else ''}. Choose some of these, or fit another model alone: "
            "trading-dag train --model NAME"
        )
    return Candidates(names, left_out)
