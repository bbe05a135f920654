"""A picture is drawn at most once for what it shows."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from assets.declare.pictures import SHOWS, pictures_of
from trading_dag.plots import canvas

KEY = dg.AssetKey(["evaluation", "metrics"])


class Desk:
    """Draws, counts how often, and records materializations as an asset's run does."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.drawn = 0

    def draw(self) -> dict[str, Any]:
        self.drawn += 1
        return {"skill": canvas.insufficient_data(f"picture {self.drawn}", "because")}

    def make(self, *contents: str, partition: str | None = "24h|SPY") -> dict[str, Any]:
        made = pictures_of(self.instance, KEY, partition, contents=contents, draw=self.draw)
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(KEY, partition=partition, metadata=made | {"words": dg.MetadataValue.md("# other")})
        )
        return {name: getattr(value, "value", value) for name, value in made.items()}


def test_the_same_contents_are_drawn_once_and_the_picture_is_carried_over(instance: dg.DagsterInstance) -> None:
    desk = Desk(instance)
    first = desk.make("one", "two")
    assert first["skill"].startswith("![picture](data:image/png;base64,")
    assert desk.make("one", "two") == first
    assert desk.make("one", "two") == first
    assert desk.drawn == 1
    assert set(first) == {"skill", SHOWS}


def test_other_contents_and_other_slices_are_drawn(instance: dg.DagsterInstance) -> None:
    desk = Desk(instance)
    first = desk.make("one")
    assert desk.make("two")["skill"] != first["skill"]
    desk.make("two", partition="48h|SPY")
    assert desk.drawn == 3
    assert desk.make("two") == desk.make("two", partition="24h|SPY")
    assert desk.drawn == 3


def test_changed_drawing_code_draws_again(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(instance)
    desk.make("one")
    monkeypatch.setattr("assets.declare.pictures._code_of_pictures", lambda: "changed")
    desk.make("one")
    assert desk.drawn == 2
