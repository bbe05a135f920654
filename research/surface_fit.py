"""Fitting the modelled surface to real chains: its four shape parameters, and how far off they are.

Smile points from chains, the volatility-index level that a chain implies, least squares over the shape of
``settings.SurfaceSettings``, and the error on quote dates that were left out. The surface itself is
``surface``'s, a smile fitted to one expiration is ``svi``'s; chains are read and normalised elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.errors import InsufficientDataError, SchemaError
from trading_dag.options.pricing import black_scholes
from trading_dag.options.surfaces.modelled import REFERENCE_DAYS, ModelledSurface
from trading_dag.setting_groups import SurfaceSettings

SHAPE_PARAMETERS: Final = ("atm_ratio", "term_slope", "skew", "curvature")
CHAIN_COLUMNS: Final = (
    "quote_date", "ticker", "underlying_price", "expiration", "strike", "option_right", "bid", "volume",
    "implied_volatility",
)  # fmt: skip
FIRST_DAYS: Final = 7
LAST_DAYS: Final = 60
LEAST_DELTA: Final = 0.03
_SLICE: Final = ["ticker", "quote_date", "expiration"]
_NEAR_THE_MONEY: Final = 0.02
_LEAST_VOLATILITY: Final = 0.01
_GREATEST_VOLATILITY: Final = 3.0
_LEAST_RELATIVE_VEGA: Final = 1e-3
_LEAST_STRIKES: Final = 10
_COVERED_DELTA: Final = 0.06
_LEAST_DATES: Final = 2
_PERCENT: Final = 100.0


def smile_points(chains: pd.DataFrame, *, rate: ArrayLike, dividend_yield: float) -> pd.DataFrame:
    """The out-of-the-money smile of every expiration, calls and puts brought to one forward.

    A vendor that inverts with a wrong forward quotes calls too low and puts too high, or the reverse: the
    error is the forward's, times delta, over vega. The median difference of the two volatilities within
    2 % of the forward measures it; it is taken out of both sides.

    Parameters
    ----------
    chains : one row a contract, columns ``CHAIN_COLUMNS``. What is no quote is left out: bid zero, or no
        bid column value and volume zero; volatility NaN, 0 or beyond 300 %; expired; and a contract that
        costs more than a quoted one nearer to the money, which no market could show. Of duplicates the first
        counts.
    rate : continuous fraction, a scalar or one a row; with ``dividend_yield`` it makes the forward, as in
        ``ModelledSurface``.

    Returns
    -------
    Columns ticker, quote_date, expiration, years, strike, forward, rate, is_call, log_moneyness,
    implied_volatility (fraction), call_delta (of the forward, at that volatility); ascending in ticker,
    dates and strike. Known at the close of the quote date. An expiration without a strike near the money
    where both rights are quoted has no points.

    Raises
    ------
    SchemaError : for a missing column, or a right that is neither C nor P.
    InsufficientDataError : where no point is left.
    """
    missing = [column for column in CHAIN_COLUMNS if column not in chains]
    if missing:
        raise SchemaError(table="option chains", key="columns", rule=f"has no column {', '.join(missing)}")
    strange = set(chains["option_right"]) - {"C", "P"}
    if strange:
        raise SchemaError(table="option chains", key=f"option_right={strange}", rule="is C or P")
    frame = chains.loc[:, list(CHAIN_COLUMNS)].assign(
        rate=np.broadcast_to(np.asarray(rate, dtype=np.float64), (len(chains),)),
        quote_date=pd.to_datetime(chains["quote_date"]),
        expiration=pd.to_datetime(chains["expiration"]),
        is_call=chains["option_right"] == "C",
    )
    frame["years"] = (frame["expiration"] - frame["quote_date"]).dt.days / DAYS_PER_YEAR
    frame = frame[_is_quoted(frame)]
    frame["forward"] = frame["underlying_price"] * np.exp((frame["rate"] - dividend_yield) * frame["years"])
    frame["log_moneyness"] = np.log(frame["strike"] / frame["forward"])
    points = _on_one_forward(frame)
    points = points[points["is_call"] == (points["log_moneyness"] >= 0)]
    points = points[points["implied_volatility"] > _LEAST_VOLATILITY].drop_duplicates([*_SLICE, "strike"])
    points = points.sort_values([*_SLICE, "strike"], kind="stable")
    points = points[_is_no_dearer_than_nearer_the_money(points)].reset_index(drop=True)
    if points.empty:
        raise InsufficientDataError("no expiration of these chains has both rights quoted near the money")
    columns = ["years", "strike", "forward", "rate", "is_call", "log_moneyness", "implied_volatility"]
    return points[[*_SLICE, *columns]].assign(call_delta=_distribution_at_d1(points))


def _is_quoted(frame: pd.DataFrame) -> pd.Series:
    traded = frame["bid"].gt(0) | (frame["bid"].isna() & frame["volume"].fillna(0).gt(0))
    known = frame["implied_volatility"].between(_LEAST_VOLATILITY, _GREATEST_VOLATILITY)
    quoted: pd.Series = traded & known & frame["years"].gt(0) & frame["strike"].gt(0) & frame["underlying_price"].gt(0)
    return quoted


def _d1(points: pd.DataFrame) -> FloatArray:
    deviation = (points["implied_volatility"] * np.sqrt(points["years"])).to_numpy(dtype=np.float64)
    d1: FloatArray = -points["log_moneyness"].to_numpy(dtype=np.float64) / deviation + 0.5 * deviation
    return d1


def _distribution_at_d1(points: pd.DataFrame) -> FloatArray:
    from scipy.special import ndtr

    delta: FloatArray = ndtr(_d1(points))
    return delta


def _on_one_forward(frame: pd.DataFrame) -> pd.DataFrame:
    """Volatilities with each expiration's put-call difference near the money taken out; see ``smile_points``."""
    keys = [*_SLICE, "strike"]
    near = frame[frame["log_moneyness"].abs() <= _NEAR_THE_MONEY].drop_duplicates([*keys, "is_call"])
    calls = near[near["is_call"]].set_index(keys)["implied_volatility"]
    puts = near[~near["is_call"]].set_index(keys)["implied_volatility"]
    gap = (puts - calls).dropna().groupby(_SLICE).median().rename("gap").reset_index()
    joined = frame.merge(gap, on=_SLICE, how="inner")
    d1, delta = _d1(joined), _distribution_at_d1(joined)
    # At the money the gap is the forward's error over vega; elsewhere vega is smaller by φ(d1)/φ(0).
    relative_vega = np.maximum(np.exp(-0.5 * d1 * d1), _LEAST_RELATIVE_VEGA)
    share = np.where(joined["is_call"], delta, delta - 1.0) / relative_vega
    return joined.assign(implied_volatility=joined["implied_volatility"] + joined["gap"] * share)


def _prices(points: pd.DataFrame) -> FloatArray:
    """Discounted prices at each point's own forward and volatility, USD."""
    discount = np.exp(-points["rate"].to_numpy() * points["years"].to_numpy())
    return black_scholes.price(
        spot=points["forward"].to_numpy() * discount, strike=points["strike"].to_numpy(dtype=np.float64),
        years=points["years"].to_numpy(), rate=points["rate"].to_numpy(), dividend_yield=0.0,
        volatility=points["implied_volatility"].to_numpy(dtype=np.float64), is_call=points["is_call"].to_numpy(),
    )  # fmt: skip


def _is_no_dearer_than_nearer_the_money(points: pd.DataFrame) -> BoolArray:
    """True where the price is the least so far, going outward from the forward; rows ascend in the strike."""
    priced = points.assign(price=_prices(points))
    side = [*_SLICE, "is_call"]
    upward = priced.groupby(side)["price"].cummin()
    downward = priced[::-1].groupby(side)["price"].cummin().reindex(priced.index)
    is_no_dearer: BoolArray = (priced["price"] <= np.where(priced["is_call"], upward, downward)).to_numpy(
        dtype=np.bool_
    )
    return is_no_dearer


def replicated_variance(strike: ArrayLike, price: ArrayLike, *, forward: float, years: float, rate: float) -> float:
    """Annualised variance of a variance swap from out-of-the-money prices of one expiration.

    (2/T)·Σ ΔK/K²·exp(rT)·Q(K) − (1/T)·(F/K₀ − 1)²; ΔK is half the distance of the two neighbours (at the
    ends the distance of the one), K₀ the greatest strike not above the forward F.

    Parameters
    ----------
    strike : (n,) ascending, USD.
    price : (n,) USD, puts up to K₀ and calls above.
    years, rate : time in years, continuous rate.

    Raises
    ------
    InsufficientDataError : with fewer than ten strikes, or none at or below the forward.

    References
    ----------
    Demeterfi, Derman, Kamal & Zou, "More Than You Ever Wanted to Know About Volatility Swaps", Goldman Sachs
    Quantitative Strategies Research Notes, March 1999 (the replication); Cboe, *Volatility Index Methodology:
    Cboe Volatility Index* (the sum over listed strikes).
    """
    k, price_of_strike = np.asarray(strike, dtype=np.float64), np.asarray(price, dtype=np.float64)
    below = k[k <= forward]
    if len(k) < _LEAST_STRIKES or not len(below):
        raise InsufficientDataError(f"a variance swap needs ten strikes around the forward {forward:g}, not {len(k)}")
    steps = np.diff(k)
    widths = np.concatenate([steps[:1], 0.5 * (steps[1:] + steps[:-1]), steps[-1:]])
    strip = float((widths / k**2 * price_of_strike).sum() * np.exp(rate * years))
    return (2.0 * strip - (forward / float(below[-1]) - 1.0) ** 2) / years


def variance_swap_volatility(points: pd.DataFrame, *, target_days: float = REFERENCE_DAYS) -> float:
    """Level of a volatility index, percent points, replicated from the smiles of one ticker and quote date.

    Total variance is interpolated between the two whole expirations around ``target_days``. An expiration
    whose strikes do not reach 6 % delta on both sides is not whole: a cut strip is worth too little.

    Parameters
    ----------
    points : rows of ``smile_points`` of one ticker and one quote date.

    Raises
    ------
    InsufficientDataError : without whole expirations on both sides of the target.

    References
    ----------
    Cboe, *Volatility Index Methodology: Cboe Volatility Index*. It differs here in that time runs in days, any
    listed expiration may serve, and the strip is priced from the cleaned smile.
    """
    terms = np.array(list(_replicated_terms(points)), dtype=np.float64).reshape(-1, 2)
    years, total = terms[:, 0], terms[:, 0] * terms[:, 1]
    target = target_days / DAYS_PER_YEAR
    if not len(years) or not years[0] <= target <= years[-1]:
        listed = ", ".join(f"{term * DAYS_PER_YEAR:.0f}" for term in years) or "none"
        raise InsufficientDataError(f"no whole expirations on both sides of {target_days:g} days; whole: {listed}")
    return _PERCENT * float(np.sqrt(np.interp(target, years, total) / target))


def _replicated_terms(points: pd.DataFrame) -> Iterator[tuple[float, float]]:
    """Years and variance of the whole expirations, ascending."""
    for _, smile in points.groupby("expiration", sort=True):
        delta = smile["call_delta"].to_numpy()
        if len(smile) < _LEAST_STRIKES or delta[0] < 1.0 - _COVERED_DELTA or delta[-1] > _COVERED_DELTA:
            continue
        forward, years, rate = (float(smile[name].iloc[0]) for name in ("forward", "years", "rate"))
        strike = smile["strike"].to_numpy(dtype=np.float64)
        yield years, replicated_variance(strike, _prices(smile), forward=forward, years=years, rate=rate)


@dataclass(frozen=True)
class SurfaceError:
    """Modelled minus quoted volatility over some points, volatility points (0.01).

    Attributes
    ----------
    name : whose error: a ticker, a quote date, or ``all``.
    rmse, bias : root mean square and mean.
    n : points.
    """

    name: str
    rmse: float
    bias: float
    n: int


@dataclass(frozen=True)
class SurfaceFit:
    """A shape fitted to chains, and its error where it was not fitted.

    Attributes
    ----------
    settings : the fitted shape in the settings it began from.
    fitted : error of that shape on the points it was fitted to.
    left_out : error on each point of a shape fitted to the other quote dates only.
    by_ticker, by_date : the left-out error, ticker by ticker and quote date by quote date.
    first_date, last_date : the quote dates it was fitted to, first and last.
    without_level : tickers and quote dates that have no index level, given or replicated, and were not used.
    """

    settings: SurfaceSettings
    fitted: SurfaceError
    left_out: SurfaceError
    by_ticker: tuple[SurfaceError, ...]
    by_date: tuple[SurfaceError, ...]
    first_date: pd.Timestamp
    last_date: pd.Timestamp
    without_level: tuple[tuple[str, pd.Timestamp], ...]


def levels_by_quote_date(
    points: pd.DataFrame, *, quoted: Mapping[tuple[str, pd.Timestamp], float] | None = None
) -> dict[tuple[str, pd.Timestamp], float]:
    """The volatility index of each ticker and quote date, percent points: as quoted, otherwise replicated.

    Dates that have neither are not in the result.
    """
    known = dict(quoted or {})
    for _, smiles in points.groupby(["ticker", "quote_date"], sort=True):
        key = (str(smiles["ticker"].iloc[0]), smiles["quote_date"].iloc[0])
        if key not in known:
            try:
                known[key] = variance_swap_volatility(smiles)
            except InsufficientDataError:
                continue
    return known


def volatility_errors(points: pd.DataFrame, *, settings: SurfaceSettings) -> FloatArray:
    """Modelled minus quoted volatility of each point, volatility points, (n,); needs a column ``index_points``."""
    # On a forward of 1 without carry the strike is exp(log-moneyness).
    surface = ModelledSurface(points["index_points"].to_numpy(), 0.0, 0.0, settings)
    strike = np.exp(points["log_moneyness"].to_numpy())
    modelled = surface.implied_volatility(1.0, strike, points["years"].to_numpy())
    error: FloatArray = _PERCENT * (modelled - points["implied_volatility"].to_numpy(dtype=np.float64))
    return error


def fit_surface(
    chains: pd.DataFrame,
    *,
    rate: ArrayLike,
    quoted_levels: Mapping[tuple[str, pd.Timestamp], float] | None = None,
    settings: SurfaceSettings | None = None,
) -> SurfaceFit:
    """Least squares of the modelled shape on the smiles of these chains, 7-60 days and 3-97 delta.

    Each expiration weighs the same, however many strikes it lists. What is fitted knows every one of these
    quote dates: **a feature, label or backtest may use it only after the last of them**. The defaults of
    ``SurfaceSettings`` were fitted on chains of 2015-2026, are an assumption where they are used earlier,
    and are printed as one.

    Parameters
    ----------
    chains, rate : as for ``smile_points``.
    quoted_levels : closes of the volatility index by ticker and quote date, where they are known; the others
        are replicated from the chain itself, on the same day.
    settings : where the search begins, and what is not fitted; the defaults where None.

    Raises
    ------
    SchemaError, InsufficientDataError : as ``smile_points``; also for fewer than two quote dates with a level.
    """
    start = settings or SurfaceSettings()
    points = smile_points(chains, rate=rate, dividend_yield=start.dividend_yield)
    levels = levels_by_quote_date(points, quoted=quoted_levels)
    keys = pd.MultiIndex.from_frame(points[["ticker", "quote_date"]])
    points = points.assign(index_points=pd.Series(levels, dtype=np.float64).reindex(keys).to_numpy())
    without = points.loc[points["index_points"].isna(), ["ticker", "quote_date"]].drop_duplicates()
    is_fitted = (
        (points["years"] * DAYS_PER_YEAR).round().between(FIRST_DAYS, LAST_DAYS)
        & points["call_delta"].between(LEAST_DELTA, 1.0 - LEAST_DELTA)
        & points["index_points"].notna()
    )
    points = points[is_fitted].reset_index(drop=True)
    dates = points["quote_date"]
    if dates.nunique() < _LEAST_DATES:
        raise InsufficientDataError(f"{dates.nunique()} quote dates have smiles and an index level; two are needed")
    fitted = _least_squares(points, start=start)
    left_out = np.empty(len(points))
    for quote_date in dates.unique():
        is_out = (dates == quote_date).to_numpy()
        left_out[is_out] = volatility_errors(points[is_out], settings=_least_squares(points[~is_out], start=fitted))
    return SurfaceFit(
        settings=fitted,
        fitted=_error("all", volatility_errors(points, settings=fitted)),
        left_out=_error("all", left_out),
        by_ticker=_errors_by(points["ticker"], left_out),
        by_date=_errors_by(dates.dt.strftime("%Y-%m-%d"), left_out),
        first_date=dates.min(),
        last_date=dates.max(),
        without_level=tuple(without.itertuples(index=False, name=None)),
    )


def _least_squares(points: pd.DataFrame, *, start: SurfaceSettings) -> SurfaceSettings:
    from scipy.optimize import least_squares

    weight = np.sqrt(1.0 / points.groupby(_SLICE)["strike"].transform("size").to_numpy(dtype=np.float64))

    def shaped(values: FloatArray) -> SurfaceSettings:
        return start.model_copy(update=dict(zip(SHAPE_PARAMETERS, map(float, values), strict=True)))

    def residuals(values: FloatArray) -> FloatArray:
        weighted: FloatArray = weight * volatility_errors(points, settings=shaped(values))
        return weighted

    begin = [getattr(start, name) for name in SHAPE_PARAMETERS]
    lower = [1e-3, -np.inf, -np.inf, -np.inf]
    return shaped(least_squares(residuals, begin, bounds=(lower, np.inf), x_scale=np.maximum(np.abs(begin), 0.01)).x)


def _error(name: str, errors: FloatArray) -> SurfaceError:
    return SurfaceError(name, float(np.sqrt(np.mean(errors**2))), float(np.mean(errors)), len(errors))


def _errors_by(group: pd.Series, errors: FloatArray) -> tuple[SurfaceError, ...]:
    values = group.to_numpy()
    return tuple(_error(str(name), errors[values == name]) for name in sorted(set(values)))
