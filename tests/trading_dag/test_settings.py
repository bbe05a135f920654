"""Settings come from the environment, are checked once, and cannot be changed afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from trading_dag.errors import ConfigurationError, UnknownHorizonError, UnknownTickerError
from trading_dag.schemas import HORIZON_KEYS
from trading_dag.sessions import all_sessions
from trading_dag.setting_groups import (
    AugmentationSettings,
    BacktestSettings,
    DriftSettings,
    HttpSettings,
    PolygonHistorySettings,
    SurfaceSettings,
    WalkForwardSettings,
)
from trading_dag.settings import Settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("TRADING_DAG_") or name == "FRED_API_KEY":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_chains_reach_far_enough_for_a_term_of_ninety_days_on_every_session() -> None:
    """Monthly options expire on the third Friday, a day earlier where that is a holiday."""
    sessions = all_sessions()[all_sessions() >= "2000-01-01"]
    fridays = pd.date_range(sessions[0], sessions[-1], freq="WOM-3FRI")
    monthly = sessions[sessions.searchsorted(fridays, side="right") - 1]
    asked_on = sessions[sessions <= sessions[-1] - pd.Timedelta(days=140)]
    wanted = monthly[monthly.searchsorted(asked_on + pd.Timedelta(days=90))]
    assert (wanted - asked_on).max() <= pd.Timedelta(days=Settings().chain_days)


def test_a_first_run_needs_no_configuration_no_key_and_no_network() -> None:
    settings = Settings()
    assert settings.source == "sample"
    assert settings.home == Path(__file__).resolve().parents[2]
    assert settings.fred_api_key is None
    assert settings.active_tickers == ("SPX", "COMP")
    assert settings.horizons == HORIZON_KEYS


@pytest.mark.parametrize(
    ("source", "tickers"),
    [("sample", ("SPX", "COMP")), ("files", ("SPY", "QQQ", "IWM")), ("live", ("SPY", "QQQ", "IWM"))],
)
def test_each_source_has_its_own_tickers_and_all_share_one_universe(source: str, tickers: tuple[str, ...]) -> None:
    settings = Settings(source=source)  # type: ignore[arg-type]
    assert settings.active_tickers == tickers
    assert settings.all_tickers == ("SPY", "QQQ", "IWM", "SPX", "COMP")


def test_lists_in_the_environment_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_DAG_UNIVERSE", "TLT, GLD,,TLT ")
    monkeypatch.setenv("TRADING_DAG_TICKERS", "SPY,TLT")
    monkeypatch.setenv("TRADING_DAG_HORIZONS", "24h,168h,24h")
    settings = Settings()
    assert settings.universe == ("TLT", "GLD")
    assert settings.all_tickers == ("SPY", "QQQ", "IWM", "SPX", "COMP", "TLT", "GLD")
    assert settings.active_tickers == ("SPY", "TLT")
    assert settings.horizons == ("24h", "168h")


def test_an_empty_variable_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOURCE", "TICKERS", "HORIZONS", "HOME", "FILES", "WORKERS"):
        monkeypatch.setenv(f"TRADING_DAG_{name}", "")
    assert Settings() == Settings(source="sample")


def test_nested_settings_use_two_underscores_and_keep_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_DAG_BACKTEST__ACCOUNT_USD", "50000")
    monkeypatch.setenv("TRADING_DAG_DRIFT__WINDOW_SESSIONS", "120")
    settings = Settings()
    assert settings.backtest == BacktestSettings(account_usd=50_000)
    assert settings.drift == DriftSettings(window_sessions=120)


def test_augmentation_is_off_until_somebody_asks_for_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().augmentation == AugmentationSettings(paths=0, mean_block=None, weight=0.5, seed=42)
    monkeypatch.setenv("TRADING_DAG_AUGMENTATION__PATHS", "2")
    monkeypatch.setenv("TRADING_DAG_AUGMENTATION__MEAN_BLOCK", "21")
    monkeypatch.setenv("TRADING_DAG_AUGMENTATION__WEIGHT", "0.25")
    assert Settings().augmentation == AugmentationSettings(paths=2, mean_block=21, weight=0.25)
    for wrong in ({"paths": -1}, {"paths": 101}, {"mean_block": 0}, {"weight": 0.0}, {"weight": 1.5}, {"seed": -1}):
        with pytest.raises(ValidationError):
            AugmentationSettings(**wrong)


def test_a_dotenv_file_is_read_and_the_environment_goes_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("TRADING_DAG_SOURCE=files\nTRADING_DAG_WORKERS=5\nFRED_API_KEY=abc\nOTHER=1\n")
    monkeypatch.setenv("TRADING_DAG_WORKERS", "3")
    settings = Settings()
    assert (settings.source, settings.workers) == ("files", 3)
    assert settings.fred_api_key is not None
    assert settings.fred_api_key.get_secret_value() == "abc"


def test_paths_are_made_absolute_wherever_the_process_goes_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("TRADING_DAG_HOME", "~/research")
    monkeypatch.setenv("TRADING_DAG_FILES", "data/../files")
    settings = Settings()
    assert settings.home == (tmp_path / "user" / "research").resolve()
    assert settings.files == (tmp_path / "files").resolve()


def test_a_key_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRED_API_KEY", "0123456789abcdef")
    settings = Settings()
    for shown in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())):
        assert "0123456789abcdef" not in shown


@pytest.mark.parametrize("ticker", ["../x", "'; drop table x", "spy", "^GSPC", "SPY|24h"])
@pytest.mark.parametrize("name", ["tickers", "universe"])
def test_what_is_no_ticker_is_refused(monkeypatch: pytest.MonkeyPatch, ticker: str, name: str) -> None:
    with pytest.raises(UnknownTickerError):
        Settings(**{name: (ticker,)})  # type: ignore[arg-type]
    monkeypatch.setenv(f"TRADING_DAG_{name.upper()}", ticker)
    with pytest.raises(UnknownTickerError):
        Settings()


def test_a_ticker_outside_the_universe_is_refused_and_the_remedy_named() -> None:
    with pytest.raises(UnknownTickerError, match=r"TLT is not in the universe.*TRADING_DAG_UNIVERSE"):
        Settings(tickers=("TLT",))
    assert Settings(tickers=("TLT",), universe=("TLT",)).active_tickers == ("TLT",)


def test_an_unknown_horizon_is_refused() -> None:
    with pytest.raises(UnknownHorizonError, match="36h"):
        Settings(horizons=("24h", "36h"))


def test_what_the_user_asks_for_is_checked_and_the_rest_filled_in() -> None:
    settings = Settings(source="files", horizons=("24h", "48h"))
    assert settings.select((), ()) == (("SPY", "QQQ", "IWM"), ("24h", "48h"))
    assert settings.select(("SPX",), ("168h",)) == (("SPX",), ("168h",))
    with pytest.raises(UnknownTickerError):
        settings.select(("TLT",), ())
    with pytest.raises(UnknownTickerError):
        settings.select(("../x",), ())
    with pytest.raises(UnknownHorizonError):
        settings.select((), ("36h",))
    with pytest.raises(ConfigurationError):
        settings.select(("SPY",), ("",))


def test_settings_are_frozen_all_the_way_down() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.source = "live"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        settings.backtest.account_usd = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    "build",
    [
        lambda: Settings(source="kaggle"),  # type: ignore[arg-type]
        lambda: Settings(workers=0),
        lambda: WalkForwardSettings(folds=1),
        lambda: BacktestSettings(risk_fraction=1.5),
        lambda: BacktestSettings(account_usd=-1),
        lambda: BacktestSettings(account_usd=1e25),
        lambda: BacktestSettings(account_usd=float("inf")),
        lambda: BacktestSettings(fee_per_leg_contract_usd=float("inf")),
        lambda: BacktestSettings(multiplier=10**19),
        lambda: BacktestSettings(seed=-1),
        lambda: BacktestSettings(seed=10**30),
        lambda: SurfaceSettings(risk_free_rate=float("nan")),
        lambda: SurfaceSettings(risk_free_rate=1e30),
        lambda: SurfaceSettings(dividend_yield=float("inf")),
        lambda: WalkForwardSettings(seed=-1),
        lambda: DriftSettings(quantile=1.0),
        lambda: HttpSettings(attempts=0),
        lambda: PolygonHistorySettings(minimum_days=61),
        lambda: PolygonHistorySettings(strike_fraction=0.0),
        lambda: PolygonHistorySettings(cache_days=0.0),
        lambda: SurfaceSettings(atm_ratio=0),
        lambda: DriftSettings(windows=60),  # type: ignore[call-arg]
    ],
)
def test_a_value_that_cannot_work_is_refused(build) -> None:
    with pytest.raises(ValidationError):
        build()


def test_a_misspelt_nested_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_DAG_BACKTEST__ACOUNT_USD", "50000")
    with pytest.raises(ValidationError, match="acount_usd"):
        Settings()
