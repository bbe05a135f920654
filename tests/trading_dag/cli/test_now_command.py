"""``refresh --now``: what it says where there is nothing of a session, and what it shows of one."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from trading_dag.reporting.provisional_report import (
    age_in_words,
    provisional_opportunity_table,
    provisional_report,
)
from trading_dag.schemas import OPPORTUNITIES, PROVISIONAL, RECOMMENDATION
from trading_dag.strategy.provisional import provisional_opportunities

NOW = pd.Timestamp("2024-11-25 19:07", tz="UTC")
HEAD = {
    "session": pd.Timestamp("2024-11-25"),
    "as_of": pd.Timestamp("2024-11-25 18:30", tz="UTC"),
    "computed_at": NOW,
}


def printed(renderable: object) -> str:
    from rich.console import Console

    console = Console(width=200, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


@pytest.fixture
def said(sample_run: Workspace) -> pd.DataFrame:
    """Rows of ``signals.provisional`` made of stored recommendations, one of an older bar than the other."""
    stored = ParquetStore(sample_run.home).read(RECOMMENDATION, SliceKey("SPX", "24h")).tail(2)
    rows = stored.assign(
        session=HEAD["session"], is_provisional=True, as_of=HEAD["as_of"], computed_at=NOW,
        delay_minutes=[37.0, 97.0], bars=4, spot=100.0, chain_as_of=pd.NaT, features_so_far=95, features_of_range=20,
        features_at_last_close=110, features_missing=23, probability_up=0.51, forecast_price=101.0, quantile_05=90.0,
        quantile_95=110.0,
    )  # fmt: skip
    rows.loc[rows.index[1], "as_of"] = pd.Timestamp("2024-11-25 17:30", tz="UTC")
    return rows[list(PROVISIONAL.column_names)].reset_index(drop=True)


def test_a_source_without_intraday_data_says_so_in_one_sentence(sample_run: Workspace) -> None:
    done = sample_run.run("refresh", "--now", "--tickers", "SPX")
    assert done.returncode == 1
    (line,) = (done.stdout + done.stderr).strip().splitlines()
    assert line.startswith("Source sample has nothing of a session under way: the sample has no hourly bars")


def test_in_json_the_sentence_is_the_reason(sample_run: Workspace) -> None:
    done = sample_run.run("refresh", "--now", "--tickers", "SPX", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert (told["provisional"], told["signals"], told["opportunities"]) == (True, [], [])
    assert "no hourly bars" in told["reason"]


def test_the_page_says_provisional_how_old_and_how_many_features_stand(said: pd.DataFrame) -> None:
    text = printed(provisional_report(said))
    assert "PROVISIONAL: the session of 2024-11-25 is under way" in text
    assert "95 features from the closes so far (of those 20 read a range that may widen), 110 stand" in text
    assert "no chain of the session is to be had" in text
    assert text.count("(provisional)") == int(said["is_served"].sum())


def test_the_oldest_bar_decides_what_is_said_of_the_age(said: pd.DataFrame) -> None:
    assert age_in_words(said).startswith("As of 12:30 New York, 97 minutes before it was computed.")


def test_opportunities_say_provisional_in_their_title(sample_run: Workspace) -> None:
    stored = ParquetStore(sample_run.home).read(OPPORTUNITIES, SliceKey("SPX", "24h"))
    newest = stored[stored["session"] == stored["session"].max()].head(3)
    rows = provisional_opportunities(newest, head=HEAD)
    assert rows["delay_minutes"].unique().tolist() == [37.0]
    assert "PROVISIONAL opportunities as of 13:30 New York" in printed(provisional_opportunity_table(rows))
