"""Chains: nothing to be had for nothing, parity holds, contracts stay listed, and a fair market is fair."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.simulation.conftest import market_of, path_of
from trading_dag.options.chains.arbitrage import check_arbitrage
from trading_dag.options.chains.cleaning import clean_chain
from trading_dag.options.chains.forward import implied_forwards
from trading_dag.options.pricing.implied_volatility import implied_volatility
from trading_dag.sessions import all_sessions, sessions_between
from trading_dag.simulation.chain import FairBook, fair_book, session_chain
from trading_dag.simulation.paths import Path, SimulatedMarket
from trading_dag.simulation.transform_pricing import priced_state, put_prices
from trading_dag.simulation.volatility_index import index_levels

AMERICAN = ("SPY", "IWM", "SIMAA", "SIMAB")
POSITIONS = (0, 57, 250, 640)


def at_the_middle(book: FairBook, chain: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
    """The chain quoted at the model's values, without spread and without rounding."""
    side, expiry, strike = np.nonzero(np.broadcast_to(book.listed, values.shape))
    exact = values[side, expiry, strike]
    assert (chain["strike"].to_numpy() == book.strikes[strike]).all()
    return chain.assign(bid=exact, ask=exact)


@pytest.mark.parametrize("ticker", AMERICAN)
def test_no_arbitrage_at_the_quotes_and_none_at_the_middle(market, ticker: str) -> None:
    path = path_of(market, ticker)
    for position in POSITIONS:
        chain = session_chain(market, path, position)
        book = fair_book(market, path, position)
        for quoted in (chain, at_the_middle(book, chain, book.american)):
            report = check_arbitrage(quoted, exercise="American", tolerance_usd=1e-5)
            assert report.violations.empty
            assert min(report.checked.values()) > 200


def test_no_arbitrage_in_a_european_chain_with_its_own_forwards(market) -> None:
    path = path_of(market, "SPX")
    chain, book = session_chain(market, path, 250), fair_book(market, path, 250)
    forwards = implied_forwards(clean_chain(chain).kept, rate=book.rate)
    exact = pd.Series(book.forwards, index=book.expirations)
    forwards["forward"] = forwards["expiration"].map(exact)
    for quoted in (chain, at_the_middle(book, chain, book.european)):
        report = check_arbitrage(quoted, forwards=forwards, exercise="European", tolerance_usd=1e-3)
        assert report.violations.empty
        assert min(report.checked.values()) > 500


@pytest.mark.parametrize("ticker", ["SPY", "SPX", "SIMAB"])
def test_parity_of_the_quotes_gives_the_forward_of_the_model(market, ticker: str) -> None:
    path = path_of(market, ticker)
    chain, book = session_chain(market, path, 400), fair_book(market, path, 400)
    found = implied_forwards(clean_chain(chain).kept, rate=book.rate).set_index("expiration")["forward"]
    exact = pd.Series(book.forwards, index=book.expirations)
    assert ((found / exact - 1.0).abs().dropna() < 1e-3).all()
    # Cash and carry by hand, for the first expiration with a dividend before it.
    if ticker == "SPY":
        paid = exact[book.expirations >= pd.Timestamp("2016-09-16")]
        years = (paid.index[0] - book.session).days / 365.0
        assert paid.iloc[0] == pytest.approx(book.spot * np.exp(book.rate * years) * (1.0 - 0.0035), rel=1e-9)


def test_only_quotes_without_a_bid_are_refused(market, share) -> None:
    assert set(clean_chain(session_chain(market, share, 300)).counts) <= {"zero"}


def test_quotes_enclose_the_value_on_the_tick_and_trades_lie_between(market, share) -> None:
    chain, book = session_chain(market, share, 300), fair_book(market, share, 300)
    exact = at_the_middle(book, chain, book.american)["bid"]
    assert (chain["bid"] <= exact + 1e-9).all()
    assert (chain["ask"] >= exact - 1e-9).all()
    assert (chain["bid"] < chain["ask"]).all()
    dear = chain[exact >= 3.0]
    for name in ("bid", "ask"):
        ticks = dear[name] / 0.05
        np.testing.assert_allclose(ticks, np.round(ticks), atol=1e-6)
    traded = chain.dropna(subset=["last"])
    assert traded["last"].between(traded["bid"], traded["ask"]).all()
    assert (traded["volume"] > 0).all()


def test_the_vendors_volatility_reprices_the_middle_of_the_market(market) -> None:
    path = path_of(market, "SPX")
    chain = session_chain(market, path, 200)
    book = fair_book(market, path, 200)
    rows = chain[(chain["option_right"] == "P") & (chain["bid"] > 1.0) & (chain["strike"] < 0.98 * book.spot)]
    years = (rows["expiration"] - book.session).dt.days / 365.0
    forward = rows["expiration"].map(pd.Series(book.forwards, index=book.expirations))
    found = implied_volatility(
        price=0.5 * (rows["bid"] + rows["ask"]), spot=book.spot, strike=rows["strike"], years=years, rate=book.rate,
        dividend_yield=book.rate - np.log(forward / book.spot) / years, is_call=False,
    )  # fmt: skip
    far = np.asarray((rows["expiration"] - book.session).dt.days > 20)
    np.testing.assert_allclose(found[far], rows["implied_volatility"][far], atol=0.01)


def test_the_smile_is_skewed_towards_low_strikes(market, fund) -> None:
    chain = session_chain(market, fund, 500)
    days = (chain["expiration"] - chain["quote_date"]).dt.days
    month = chain[(days >= 25) & (days <= 35) & (chain["option_right"] == "P")].dropna(subset=["implied_volatility"])
    money = month["strike"] / month["underlying_price"]
    low = month.loc[(money - 0.93).abs() < 0.01, "implied_volatility"].mean()
    middle = month.loc[(money - 1.0).abs() < 0.01, "implied_volatility"].mean()
    high = month.loc[(money - 1.05).abs() < 0.01, "implied_volatility"].mean()
    assert low > middle + 0.02
    assert middle > high


@pytest.mark.parametrize("ticker", ["SPY", "SIMAA"])
def test_a_contract_stays_listed_until_it_expires(market, ticker: str) -> None:
    path = path_of(market, ticker)
    key = ["expiration", "option_right", "strike"]
    held: set[tuple] = set()
    for position in range(380, 412, 4):
        session = market.times.sessions[position]
        listed = set(session_chain(market, path, position)[key].itertuples(index=False, name=None))
        assert {contract for contract in held if contract[0] > session} <= listed
        held |= listed


def test_expirations_are_sessions_ahead_and_monthlies_are_among_them(market, fund) -> None:
    chain = session_chain(market, fund, 60)
    expirations = pd.DatetimeIndex(chain["expiration"].unique())
    session = market.times.sessions[60]
    assert expirations.isin(all_sessions()).all()
    assert expirations.min() > session
    # The session is 2015-03-31. 3 April 2015 was Good Friday, so that week's options expired on Thursday.
    assert f"{session:%Y-%m-%d}" == "2015-03-31"
    assert pd.Timestamp("2015-04-02") in expirations
    for third_friday in ("2015-04-17", "2015-05-15", "2015-06-19", "2015-12-18"):
        assert pd.Timestamp(third_friday) in expirations


@pytest.mark.parametrize("ticker", ["SPY", "SIMAA"])
def test_a_chain_needs_nothing_after_its_session(market, ticker: str) -> None:
    cut = market_of(42, last=market.times.sessions[300])
    pd.testing.assert_frame_equal(
        session_chain(cut, path_of(cut, ticker), 300), session_chain(market, path_of(market, ticker), 300)
    )


def test_the_index_is_what_a_strip_of_the_models_options_replicates(market, fund) -> None:
    """The CBOE's sum over out-of-the-money options, on a fine grid of strikes 21 sessions ahead, forward 100."""
    levels = index_levels(market, fund, sessions_ahead=21)
    strikes = np.arange(40.0, 180.0, 0.1)
    for position in (10, 300, 700):
        state = priced_state(
            fund.underlying, market_now=float(market.factor.variance[position + 1]), own_now=0.0, fair=False
        )
        puts = put_prices(state, forward=100.0, strikes=strikes, years=21 / 252, announcements=0)
        value = np.where(strikes <= 100.0, puts, puts + 100.0 - strikes)
        replicated = 100.0 * np.sqrt(2.0 * np.sum(value / strikes**2) * 0.1 / (21 / 252))
        # A log contract weighs jumps a little otherwise than a variance swap.
        assert levels[position] == pytest.approx(replicated, abs=0.15)


def straddle_return(market: SimulatedMarket, path: Path, position: int) -> float:
    """Held for 21 sessions: what a straddle at the money pays, over what the model asks for it, less one."""
    sessions, rate = market.times.sessions, float(market.rates.continuous[position])
    ends = sessions[position + 21]
    years = (ends - sessions[position]).days / 365.0
    spot = float(path.closes[position])
    paid_out = np.prod(1.0 - path.dividends[position + 1 : position + 22])
    here, there = all_sessions().get_indexer(pd.DatetimeIndex([sessions[position], ends]))
    events = path.announced
    state = priced_state(
        path.underlying,
        market_now=float(market.factor.variance[position + 1]),
        own_now=float(path.own.variance[position + 1]),
        fair=True,
    )
    forward = spot * np.exp(rate * years) * paid_out
    put = put_prices(
        state,
        forward=forward,
        strikes=np.array([spot]),
        years=21 / 252,
        announcements=int(((events > here) & (events <= there)).sum()),
    )
    asked = float(2.0 * put[0] + forward - spot)
    return abs(float(path.closes[position + 21]) - spot) / asked - 1.0


def test_on_a_fair_market_straddles_cost_what_they_pay() -> None:
    """Eleven in a row in each of 60 worlds of a year; worlds are independent of one another."""
    outcomes: dict[str, list[float]] = {"SPY": [], "SIMAA": []}
    for seed in range(60):
        market = market_of(seed, years=1, fair=True)
        for ticker, found in outcomes.items():
            path = path_of(market, ticker)
            found.append(float(np.mean([straddle_return(market, path, at) for at in range(0, 230, 21)])))
    for found in outcomes.values():
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        assert abs(np.mean(found)) <= 4.0 * error
        # A straddle a seventh too dear or too cheap would be seen.
        assert 4.0 * error < 0.15


def test_with_premia_the_market_pays_for_insurance() -> None:
    """The same state is priced higher under the pricing measure than on a fair market."""
    usual, fair = (
        index_levels(m, path_of(m, "SPY"), sessions_ahead=21) for m in (market_of(5), market_of(5, fair=True))
    )
    assert (usual > fair).all()
    assert len(usual) == len(sessions_between("2015-01-02", "2018-01-01"))
