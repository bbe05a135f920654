"""``trading-dag models``: what is told of versions, what a person may decide, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from assets.catalog import DECLARATIONS
from resources.storage.models.serving import history_of
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.slices.lock import lock_file
from tests.conftest import Workspace
from tests.trading_dag.models.conftest import make_slice
from trading_dag.frames import table_frame
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.schemas import FEATURE_TABLE, PRICES_DAILY, TARGETS, VOLATILITY_INDEX
from trading_dag.setting_groups import WalkForwardSettings

FAMILY = "volatility_forecaster"
AT = {"ticker": "SPY", "horizon": "72h"}
WHERE = (FAMILY, "SPY", "72h")
CODE = next(entry.code_version for entry in DECLARATIONS if entry.name == FAMILY)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two versions: one that serves, and a later one that knows nothing and was refused."""
    home = tmp_path_factory.mktemp("versions")
    research = make_slice(900)
    ranks = {name: research.features[name].clip(0, 100) for name in ("iv_rank", "iv_percentile", "vix_close")}
    keys = {name: research.features[name] for name in ("ticker", "session")}
    research = replace(research, features=table_frame(FEATURE_TABLE, {**keys, **ranks}, rows=900))
    store, models = ParquetStore(home), ModelStore(home / "models")
    store.write(FEATURE_TABLE, SliceKey("SPY"), research.features)
    store.write(TARGETS, SliceKey("SPY", "72h"), research.targets)
    close = research.prices["close"]
    prices = research.prices.assign(high=close, low=close, adj_close=close, volume=1.0)
    columns = {name: prices[name] for name in prices.columns if name in PRICES_DAILY.column_names}
    store.write(PRICES_DAILY, SliceKey("SPY"), table_frame(PRICES_DAILY, columns, rows=len(prices)))
    store.write(VOLATILITY_INDEX, SliceKey("SPY"), table_frame(VOLATILITY_INDEX, {}, rows=0), source_off="none here")
    shuffled = np.random.default_rng(0).permutation(research.targets["iv_regime"].to_numpy())
    champion = None
    for labels, kind in ((research.targets, "first"), (research.targets.assign(iv_regime=shuffled), "worse")):
        fitted = volatility_forecaster.fit(
            research.features, labels, horizon=research.horizon, settings=WalkForwardSettings()
        )
        fitted = replace(fitted, inputs={**fitted.inputs, "code_version": CODE, "settings": kind})
        decision = {"kind": kind, "reason": f"it is {kind}", "comparison": None}
        version = models.save(fitted, make_latest=kind == "first", decision=decision, champion=champion)
        champion = champion or version
    return home


@pytest.fixture
def place(original: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(original, tmp_path / "home")
    return Workspace(tmp_path / "home", (("TRADING_DAG_SOURCE", "live"),))


def versions(place: Workspace) -> tuple[str, str]:
    serves, refused = ModelStore(place.home / "models").versions(FAMILY, **AT)
    return serves, refused


def serving(place: Workspace) -> str | None:
    return ModelStore(place.home / "models").latest_version(FAMILY, **AT)


def test_the_list_says_which_version_serves_and_what_was_decided(place: Workspace) -> None:
    done = place.run("models", "list", FAMILY, "--tickers", "SPY", "--horizons", "72h", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["version"] for row in rows] == list(versions(place))
    assert [row["serves"] for row in rows] == [True, False]
    assert [row["decision"] for row in rows] == ["first", "worse"]
    assert rows[1]["reason"] == "it is worse"
    shown = place.run("models", "list", "--tickers", "SPY", "--horizons", "72h")
    assert shown.returncode == 0, shown.stderr
    for version in versions(place):
        assert version in shown.stdout
    assert place.run("models", "list", FAMILY, "--tickers", "QQQ").returncode == 1


def test_a_comparison_is_of_the_newest_with_the_one_that_serves_and_turns_its_sign_with_them(place: Workspace) -> None:
    serves, refused = versions(place)
    done = place.run("models", "compare", *WHERE, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["version"], told["other"], told["metric"]) == (refused, serves, "rps")
    assert told["sessions"] >= 250
    assert told["difference_ci_high"] < 0
    turned = json.loads(place.run("models", "compare", *WHERE, serves, refused[-8:], "--json").stdout)
    assert turned["difference"] == pytest.approx(-told["difference"])
    assert "common sessions" in place.run("models", "compare", *WHERE).stdout
    assert serving(place) == serves


def test_a_promotion_and_a_rollback_are_recorded_with_their_reasons_and_name_what_follows(place: Workspace) -> None:
    serves, refused = versions(place)
    done = place.run("models", "promote", *WHERE, refused[-8:], "--reason", "to see it trade")
    assert done.returncode == 0, done.stderr
    assert "trading-dag run --tickers SPY --horizons 72h" in done.stdout
    assert serving(place) == refused
    back = place.run("models", "rollback", *WHERE, "--reason", "it lost", "--json")
    assert back.returncode == 0, back.stderr
    told = json.loads(back.stdout)
    assert (told["event"], told["serves"], told["served_before"]) == ("rolled_back", serves, refused)
    assert serving(place) == serves
    events = history_of(ModelStore(place.home / "models"), FAMILY, **AT)
    assert [(event.event, event.reason) for event in events[2:]] == [
        ("promoted", "to see it trade"),
        ("rolled_back", "it lost"),
    ]
    again = place.run("models", "rollback", *WHERE, "--reason", "further")
    assert again.returncode == 2
    assert "no other version served before" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("compare", "lstm", "SPY", "72h"), "'lstm' is no model; choose from"),
        (("compare", FAMILY, "SPY", "73h"), "73h"),
        (("compare", FAMILY, "../x", "72h"), "../x"),
        (("compare", FAMILY, "QQQ", "72h"), "has no stored version"),
        (("compare", FAMILY, "SPY,QQQ", "72h"), "one ticker and one horizon"),
        (("compare", *WHERE, "deadbeef"), "has no version 'deadbeef'"),
        (("promote", *WHERE, "deadbeef", "--reason", "x"), "has no version 'deadbeef'"),
        (("promote", *WHERE, "../../latest", "--reason", "x"), "has no version"),
        (("rollback", *WHERE), "no other version served before"),
    ],
)
def test_what_does_not_exist_is_bad_usage_and_named(place: Workspace, arguments: tuple[str, ...], words: str) -> None:
    done = place.run("models", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert serving(place) == versions(place)[0]


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 301])
def test_without_a_reason_in_one_line_nothing_is_promoted(place: Workspace, reason: str) -> None:
    done = place.run("models", "promote", *WHERE, versions(place)[1], "--reason", reason)
    assert done.returncode == 2
    assert "--reason is needed" in done.stderr
    assert serving(place) == versions(place)[0]


def test_a_version_with_an_altered_file_is_neither_promoted_nor_compared(place: Workspace) -> None:
    serves, refused = versions(place)
    folder = ModelStore(place.home / "models").folder(FAMILY, **AT) / refused
    next(folder.glob("*.skops")).write_bytes(b"altered")
    for command in (("promote", *WHERE, refused, "--reason", "x"), ("compare", *WHERE)):
        done = place.run("models", *command)
        assert done.returncode == 1
        assert "is not the file that was saved" in done.stderr
    assert serving(place) == serves


def test_while_a_run_works_on_the_slice_nothing_is_promoted(place: Workspace) -> None:
    path = lock_file(place.home / ".dagster", "72h|SPY")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        done = place.run("models", "promote", *WHERE, versions(place)[1], "--reason", "now")
    assert done.returncode == 1
    assert "a run is working on 72h|SPY" in done.stderr
    assert serving(place) == versions(place)[0]


def test_a_version_of_another_definition_is_not_compared(place: Workspace) -> None:
    models = ModelStore(place.home / "models")
    served = models.load(FAMILY, **AT)
    models.save(replace(served, inputs={**served.inputs, "code_version": "0"}), make_latest=False)
    done = place.run("models", "compare", *WHERE)
    assert done.returncode == 1
    assert "fitted by another definition of the model (code version 0" in done.stderr


def test_the_card_says_what_was_learnt_from_what_it_reads_and_how_to_make_it_again(place: Workspace) -> None:
    serves, refused = versions(place)
    done = place.run("models", "card", *WHERE)
    assert done.returncode == 0, done.stderr
    for part in (
        f"# {FAMILY}, SPY 72h",
        f"Version `{serves}`",
        "it is first",
        "| volatility_blend | 6 (live) |",
        "`iv_rank`",
        "Nothing is scored yet",
        f"--model {FAMILY}",
        serves[-8:],
        "Libraries: lightgbm",
    ):
        assert part in done.stdout
    other = json.loads(place.run("models", "card", *WHERE, refused, "--json").stdout)
    assert "it is worse" in other["card"]
    assert "trading-dag models card" in other["card"], "scores are those of the version that serves"
