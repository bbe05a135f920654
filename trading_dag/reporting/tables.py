"""What the command line prints: SQL for each report, and how its rows become a short table.

Pure: SQL texts and functions from frames to tables. The caller runs the SQL.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.freshness import is_sample
from trading_dag.reporting.summary_order import what_to_trade, worth_knowing_first
from trading_dag.reporting.text import cell_text, days_or_values, new_table, number_text
from trading_dag.reporting.visible_text import visible
from trading_dag.schemas import HORIZON_KEYS
from trading_dag.served_models import SERVED_DIRECTION, SERVED_VOLATILITY
from trading_dag.simulation.simulation_settings import NO_MARKET_DATA, is_simulated
from trading_dag.strategy.explanation import called_direction, says_no_more_than_usual, size_text

if TYPE_CHECKING:
    from rich.table import Table

    from trading_dag.options.chains.session import SessionAnalysis
    from trading_dag.options.structures.indication import Indication

_HORIZON_ORDER: Final = " ".join(f"WHEN '{key}' THEN {rank}" for rank, key in enumerate(HORIZON_KEYS))
SLICE_ORDER: Final = f"ORDER BY ticker, CASE horizon {_HORIZON_ORDER} END"
_SMILE_COLUMNS: Final = ("atm_volatility", "put_25_delta_volatility", "call_25_delta_volatility", "skew_25_delta")
_LIMITS: Final = ("max_loss_usd", "max_profit_usd")
SELECTED: Final = "list_contains(?, ticker) AND list_contains(?, horizon)"

SUMMARY_SQL: Final = f"""
WITH latest AS (
    SELECT * FROM signals.recommendation WHERE {SELECTED} AND is_served
    QUALIFY row_number() OVER (PARTITION BY ticker, horizon ORDER BY session DESC) = 1
), forecast AS (
    SELECT ticker, horizon, session,
        max(probability_up) FILTER (model = '{SERVED_DIRECTION}') AS probability_up,
        max(probability_up) FILTER (model = 'climatology') AS usual_probability_up
    FROM predictions.direction GROUP BY ALL
), direction AS (
    SELECT * FROM evaluation.metrics
    WHERE model = '{SERVED_DIRECTION}' AND metric = 'brier_sign' AND baseline = 'climatology'
), volatility AS (
    SELECT * FROM evaluation.metrics
    WHERE model = '{SERVED_VOLATILITY}' AND metric = 'rps' AND baseline = 'markov'
)
SELECT ticker, horizon, latest.session, latest.direction, latest.direction_confidence,
    forecast.probability_up, forecast.usual_probability_up,
    latest.iv_regime, latest.iv_confidence, latest.rule, latest.strategy, latest.design_size,
    latest.edge, latest.position_size,
    direction.difference AS direction_skill, direction.difference_ci_low AS direction_skill_low,
    direction.difference_ci_high AS direction_skill_high, direction.verdict AS direction_verdict,
    volatility.difference AS volatility_skill, volatility.difference_ci_low AS volatility_skill_low,
    volatility.difference_ci_high AS volatility_skill_high, volatility.verdict AS volatility_verdict,
    summary.status AS backtest, summary.trades, summary.win_rate, summary.total_pnl_usd, summary.sharpe,
    summary.max_drawdown, summary.random_entry_p_value, summary.random_entry_mean_usd, summary.benchmark_pnl_usd,
    summary.deflated_sharpe, summary.is_admissible, summary.admissibility_reason,
    CAST(summary.skip_reasons ->> '$.capital_limit' AS INTEGER) AS signals_without_capital
FROM latest
LEFT JOIN forecast USING (ticker, horizon, session)
LEFT JOIN direction USING (ticker, horizon)
LEFT JOIN volatility USING (ticker, horizon)
LEFT JOIN backtests.summary AS summary USING (ticker, horizon, rule)
{SLICE_ORDER}
"""
SIGNAL_SQL: Final = f"""
WITH latest AS (
    SELECT * FROM signals.recommendation WHERE {SELECTED}
    QUALIFY row_number() OVER (PARTITION BY ticker, horizon, rule ORDER BY session DESC) = 1
), forecast AS (
    SELECT ticker, horizon, session,
        max(probability_up) FILTER (model = '{SERVED_DIRECTION}') AS probability_up,
        max(probability_up) FILTER (model = 'climatology') AS usual_probability_up
    FROM predictions.direction GROUP BY ALL
)
SELECT latest.*, forecast.probability_up, forecast.usual_probability_up
FROM latest LEFT JOIN forecast USING (ticker, horizon, session)
{SLICE_ORDER}, NOT is_served, rule
"""
METRICS_SQL: Final = f"""
SELECT * FROM evaluation.metrics WHERE {SELECTED} AND baseline <> 'none'
{SLICE_ORDER}, task, model, metric, baseline
"""
BACKTEST_SQL: Final = f"SELECT * FROM backtests.summary WHERE {SELECTED} {SLICE_ORDER}, rule DESC"


MODELS_SQL: Final = f"""
SELECT ticker, horizon, model, status, train_first_session, train_last_session, n_train, n_features, threshold,
    training, decision, version
FROM models.registry
LEFT JOIN (SELECT ticker, horizon, version, decision FROM models.versions) USING (ticker, horizon, version)
WHERE {SELECTED}
QUALIFY row_number() OVER (PARTITION BY ticker, horizon, model ORDER BY fold DESC) = 1
ORDER BY ALL
"""


TUNED_SQL: Final = f"""
SELECT ticker, horizon, family, study_window, score, value, own_value, reference_value, parameters, first_session,
    last_session, n_rows, trial, study
FROM models.best_hyperparameters WHERE {SELECTED} ORDER BY ALL
"""


def tuned_table(frame: pd.DataFrame) -> Table:
    """Return the hyperparameters that fits use, each with its score beside that of the learner's own values."""
    shown = frame.drop(columns=["source", "study", "trial"])
    shown["parameters"] = [
        ", ".join(f"{name} {value:.3g}" for name, value in json.loads(text).items()) for text in frame["parameters"]
    ]
    return plain_table(shown, limit=len(frame))


def models_table(frame: pd.DataFrame) -> Table:
    """Return the live models that are stored, each with what it was learnt from."""
    return plain_table(frame.drop(columns=["source", "version"]), limit=len(frame))


def versions_table(frame: pd.DataFrame) -> Table:
    """Return one row per stored version of a model: its data window, whether it serves, and what was decided."""
    table = new_table(
        "Versions of models; gain: of the score over the version that served then, on the same sessions",
        ("model", "slice", "version", "serves", "learnt to", "decision", "sessions", "gain"),
    )
    for row in frame.to_dict("records"):
        low, high = row["difference_ci_low"], row["difference_ci_high"]
        gain = "–" if pd.isna(row["difference"]) else f"{row['difference']:+z.5f} [{low:+z.5f}, {high:+z.5f}]"
        table.add_row(
            row["family"],
            f"{row['ticker']} {row['horizon']}",
            row["version"],
            "yes" if row["serves"] else "",
            cell_text(row["fitted_through"].strftime("%Y-%m-%d") if pd.notna(row["fitted_through"]) else None),
            row["decision"].replace("_", " "),
            str(row["compared_sessions"]) if row["compared_sessions"] else "–",
            gain if pd.isna(row["difference"]) else f"{row['metric']} {gain}",
        )
    return table


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as JSON-ready dictionaries: null for missing values, dates in ISO form."""
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso", date_unit="s"))
    return rows


SAMPLE_TITLE: Final = "Sample data, not today's market"
SAMPLE_TEXT: Final = "Real closes of an index that end years ago, for trying the project. No price here can be traded."


def sample_notice(sources: Iterable[str | None]) -> str:
    """Return the notice that must stand beside figures made from the sample; an empty text where none are."""
    return f"{SAMPLE_TITLE}. {SAMPLE_TEXT}" if any(map(is_sample, sources)) else ""


def simulated_notice(sources: Iterable[tuple[str, str | None]]) -> str:
    """Return the notice that must stand beside figures made from simulated data; an empty text where none are.

    Parameters
    ----------
    sources : ticker and recorded source of each slice that is shown.
    """
    known = list(sources)
    simulated = list(dict.fromkeys(ticker for ticker, source in known if is_simulated(source)))
    if not simulated:
        return ""
    others = {ticker for ticker, _ in known} - set(simulated)
    return f"{NO_MARKET_DATA}: {', '.join(simulated)}" if others else NO_MARKET_DATA


def summary_table(frame: pd.DataFrame) -> Table:
    """Return one row per ticker and horizon, what is worth knowing first: size, structure, forecast, skill against the
    baseline with its interval, backtest."""
    rows = worth_knowing_first(frame)
    table = new_table(
        f"{what_to_trade(rows)}\nWhat the forecasts say, how good they have been, and what trading them would have "
        "earned",
        ("ticker", "horizon", "size", "edge", "structure", "P(rise)", "IV regime", "direction skill", "IV skill",
         "backtest", "as of"),
    )  # fmt: skip
    for row in rows.to_dict("records"):
        table.add_row(
            row["ticker"],
            row["horizon"],
            size_text(row["position_size"], row["edge"]),
            str(row["edge"]).replace("_", " "),
            str(row["strategy"]).replace("_", " "),
            _against_usual(row["probability_up"], row["usual_probability_up"]),
            _called(row["iv_regime"], row["iv_confidence"]),
            _skill(row, "direction", scale=1.0, digits=4),
            _skill(row, "volatility", scale=1.0, digits=4),
            _backtest(row),
            f"{row['session']:%Y-%m-%d}",
        )
    table.caption = (
        "Slices with a size come first, then those with an edge; last what cannot be traded: 12h, which ends before an "
        "entry, and indices without listed options.\n"
        "P(rise): that the price is higher at the target; in brackets the share of rises in training.\n"
        "direction skill: Brier score gained over the share of rises among all moves. IV skill: ranked probability "
        "score gained over how regimes have followed each other.\nBoth with 95 % intervals; * = the interval lies "
        "above zero. Without an edge the structure is shown and its size is zero, unless the gate is none.\n"
        "backtest: P&L after fees, beside the mean of the same trades on random days and beside holding the "
        "underlying; p = share of random runs at least as good."
    )
    return table


def signal_table(frame: pd.DataFrame) -> Table:
    """Return the table of the latest recommendation of each slice and rule; why, ``signal_report`` says."""
    table = new_table(
        "Latest recommendations (indicative, at the close)",
        ("ticker", "horizon", "as of", "rule", "P(rise)", "structure", "strikes", "expiration", "size", "contracts",
         "max loss", "max profit", "P(profit)", "expected"),
    )  # fmt: skip
    for row in frame.to_dict("records"):
        table.add_row(
            row["ticker"],
            row["horizon"],
            f"{row['session']:%Y-%m-%d}",
            str(row["rule"]).replace("_", " ") + ("" if row["is_served"] else " (not served)"),
            _rise(row),
            str(row["strategy"]).replace("_", " "),
            cell_text(row["strikes"]),
            _day(row["expiration"]),
            size_text(row["position_size"], row["edge"]),
            number_text(row["contracts"], "{:.0f}"),
            number_text(row["max_loss_usd"], "${:,.0f}"),
            number_text(row["max_profit_usd"], "${:,.0f}"),
            _profit_chances(row),
            number_text(row["expected_profit_usd"], "{:+,.0f} USD"),
        )
    table.caption = (
        "P(rise): that the price is higher at the target; in brackets the share of rises in training. UP or DOWN "
        "stands where its own probability is above a half.\n"
        "P(profit): by the forecast of the price; in brackets by option prices. expected: mean profit of one structure "
        "by that forecast, fees paid; – where no forecast reaches its expiration."
    )
    return table


def _rise(row: Mapping[Hashable, Any]) -> str:
    called = called_direction(row["direction"], row["probability_up"])
    told = _against_usual(row["probability_up"], row["usual_probability_up"])
    return f"{told} {called}" if called else told


def _profit_chances(row: Mapping[Hashable, Any]) -> str:
    by_prices = number_text(row["probability_of_profit"], "{:.0%}")
    by_forecast = row["forecast_probability_of_profit"]
    return by_prices if pd.isna(by_forecast) else f"{by_forecast:.0%} ({by_prices})"


def indication_tables(indication: Indication) -> tuple[Table, Table]:
    """Return the legs of a structure, and what it costs and pays."""
    record = indication.record()
    title = (
        f"{record['structure'].replace('_', ' ')} on {record['ticker']}, indicative at the close of {record['session']}"
    )
    legs = new_table(title, ("side", "ratio", "right", "strike", "expiration", "price", "implied volatility"))
    for leg in record["legs"]:
        legs.add_row(
            leg["side"],
            str(leg["ratio"]),
            leg["option_right"],
            f"{leg['strike']:g}",
            record["expiration"],
            f"{leg['price']:.2f}",
            number_text(leg["implied_volatility"], "{:.1%}"),
        )
    if record["shares"]:
        side = "buy" if record["shares"] > 0 else "sell"
        legs.add_row(side, str(abs(record["shares"])), "shares", "", "", f"{record['spot']:.2f}", "")
    heads = ("spot", "net premium", "max loss", "max profit", "breakeven", "P(profit)", "quotes")
    whole = new_table("One structure, fees not counted", heads)
    unlimited = {name: "unlimited" if record[name] is None else f"${record[name]:,.0f}" for name in _LIMITS}
    premium = record["net_premium_usd"]
    whole.add_row(
        f"{record['spot']:,.2f}",
        f"pays ${premium:,.0f}" if premium > 0 else f"receives ${-premium:,.0f}",
        *unlimited.values(),
        ", ".join(f"{point:,.2f}" for point in record["breakevens"]) or "none",
        number_text(record["probability_of_profit"], "{:.0%}"),
        record["quote_source"],
    )
    return legs, whole


def import_table(files: list[dict[str, Any]]) -> Table:
    """Return the table of what became of imported chain files."""
    heads = ("file", "layout", "state", "rows", "appended", "restated", "unchanged", "refused")
    table = new_table("Option chains imported", heads)
    for file in files:
        refused = ", ".join(f"{reason} {count:,}" for reason, count in file["refused"].items())
        numbers = [f"{file[name]:,}" for name in ("rows", "appended", "restated", "unchanged")]
        row = (file["layout"], file["state"], *numbers, refused or "none")
        table.add_row(visible(file["path"].rpartition("/")[2]), *row)
    return table


def chain_record(analysis: SessionAnalysis, *, source: str | None) -> dict[str, Any]:
    """Return one session's analysis for JSON, with the recorded source of the chain."""
    return {
        "ticker": analysis.ticker,
        "source": source,
        "session": f"{analysis.session:%Y-%m-%d}",
        "spot": analysis.spot,
        "expirations": records(analysis.smiles),
        "dealer_exposure": records(analysis.exposure_row("").drop(columns=["chain_digest"]))[0],
        "refused": analysis.refused,
        "arbitrage": analysis.arbitrage.counts,
    }


def chain_tables(analysis: SessionAnalysis) -> tuple[Table, Table]:
    """Return the expirations of a session's chain, and the exposure that dealers would have."""
    heads = ("expiration", "days", "forward", "yield", "ATM", "25Δ put", "25Δ call", "skew", "fit error", "quotes",
             "with IV", "refused", "arbitrage")  # fmt: skip
    table = new_table(f"{analysis.ticker} option chain at the close of {analysis.session:%Y-%m-%d}", heads)
    for row in analysis.smiles.to_dict("records"):
        violations = row["vertical_violations"] + row["butterfly_violations"] + row["calendar_violations"]
        table.add_row(
            f"{row['expiration']:%Y-%m-%d}",
            number_text(row["years"] * DAYS_PER_YEAR, "{:.0f}"),
            number_text(row["forward"], "{:,.2f}"),
            number_text(row["dividend_yield"], "{:.2%}"),
            *(number_text(row[name], "{:.1%}") for name in _SMILE_COLUMNS),
            number_text(row["svi_rmse"], "{:.2%}"),
            *(f"{row[name]:,}" for name in ("contracts", "fitted_contracts", "refused")),
            f"{violations:,}",
        )
    exposure = analysis.exposure
    dealers = new_table(
        "Dealers, if long every call and short every put of the open interest",
        ("spot", "net gamma, USD per 1 %", "gamma flip", "distance", "call wall", "put wall", "contracts"),
    )
    dealers.add_row(
        f"{analysis.spot:,.2f}",
        number_text(exposure.net_gamma, "{:,.0f}"),
        number_text(exposure.gamma_flip, "{:,.2f}"),
        number_text(exposure.distance_to_gamma_flip, "{:+.2%}"),
        number_text(exposure.call_wall_strike, "{:g}"),
        number_text(exposure.put_wall_strike, "{:g}"),
        f"{exposure.contracts:,}",
    )
    return table, dealers


def metrics_table(frame: pd.DataFrame) -> Table:
    """Return the table of every model and metric against every baseline."""
    table = new_table(
        "Models against their baselines (difference > 0 is better than the baseline)",
        ("ticker", "horizon", "model", "metric", "value", "baseline", "its value", "difference", "95 % interval",
         "verdict", "n"),
    )  # fmt: skip
    for row in frame.to_dict("records"):
        table.add_row(
            row["ticker"],
            row["horizon"],
            row["model"],
            row["metric"],
            number_text(row["value"], "{:.3f}"),
            row["baseline"],
            number_text(row["baseline_value"], "{:.3f}"),
            number_text(row["difference"], "{:+z.4f}"),
            _interval(row["difference_ci_low"], row["difference_ci_high"], "{:+z.4f}"),
            row["verdict"].replace("_", " "),
            f"{row['n']}",
        )
    table.caption = (
        "persistence and previous_direction are hard calls, probability 0 or 1: any hedged forecast beats their scores "
        "of probabilities, which are no verdict.\nAgainst these two only accuracy, hit rate, precision, recall and F1 "
        "show skill."
    )
    return table


def backtest_table(frame: pd.DataFrame) -> Table:
    """Return the table of backtest summaries."""
    table = new_table(
        "Backtests of the recommended structures on the modelled surface, after fees",
        ("ticker", "horizon", "rule", "exits", "status", "trades", "win rate", "P&L", "CAGR", "Sharpe", "max drawdown",
         "random days", "random-entry p", "always", "buy and hold", "deflated Sharpe", "admissible"),
    )  # fmt: skip
    for row in frame.to_dict("records"):
        table.add_row(
            row["ticker"],
            row["horizon"],
            row["rule"].replace("_", " "),
            row["exits"].replace("_", " "),
            row["status"].replace("_", " "),
            f"{row['trades']}",
            number_text(row["win_rate"], "{:.0%}"),
            number_text(row["total_pnl_usd"], "{:+,.0f} USD"),
            number_text(row["cagr"], "{:+.1%}"),
            number_text(row["sharpe"], "{:+.2f}"),
            number_text(row["max_drawdown"], "{:.0%}"),
            number_text(row["random_entry_mean_usd"], "{:+,.0f} USD"),
            number_text(row["random_entry_p_value"], "{:.3f}"),
            _always(row),
            number_text(row["benchmark_pnl_usd"], "{:+,.0f} USD"),
            number_text(row["deflated_sharpe"], "{:.2f}"),
            "yes" if row["is_admissible"] else f"no: {row['admissibility_reason']}",
        )
    return table


def _always(row: Mapping[Hashable, Any]) -> str:
    """What the structure that was traded most would have earned after every session."""
    if pd.isna(row["always_structure"]):
        return "–"
    structure = row["always_structure"].replace("_", " ")
    return f"{structure} {number_text(row['always_pnl_usd'], '{:+,.0f} USD')}"


def plain_table(frame: pd.DataFrame, *, limit: int) -> Table:
    """Return the rows of a query as a table, at most ``limit`` of them."""
    table = new_table("", tuple(map(visible, frame.columns)))
    shown = frame.head(limit)
    for row in zip(*(days_or_values(shown.iloc[:, place]) for place in range(shown.shape[1])), strict=True):
        table.add_row(*(cell_text(value) for value in row))
    if len(frame) > limit:
        table.caption = f"{limit} of {len(frame)} rows; --limit shows more"
    return table


def _called(name: Any, confidence: Any) -> str:
    return "–" if pd.isna(name) else f"{name} {confidence:.0%}"


def _against_usual(probability: Any, usual: Any) -> str:
    if pd.isna(probability):
        return "–"
    if says_no_more_than_usual(probability, usual):
        return f"{probability:.0%} (no better than usual)"
    return f"{probability:.0%} (usual {number_text(usual, '{:.0%}')})"


def _skill(row: Mapping[Hashable, Any], task: str, *, scale: float, digits: int) -> str:
    difference = row[f"{task}_skill"]
    if pd.isna(difference):
        return cell_text(row[f"{task}_verdict"]).replace("_", " ")
    form = f"{{:+z.{digits}f}}"
    low, high = row[f"{task}_skill_low"], row[f"{task}_skill_high"]
    star = " *" if row[f"{task}_verdict"] == "skilled" else ""
    return f"{form.format(difference * scale)} {_interval(low * scale, high * scale, form)}{star}"


def _backtest(row: Mapping[Hashable, Any]) -> str:
    if row["backtest"] != "backtested":
        return cell_text(row["backtest"]).replace("_", " ")
    refused = row["signals_without_capital"]
    return (
        f"{row['trades']:.0f} trades, {row['total_pnl_usd']:+,.0f} USD "
        f"(random days {number_text(row['random_entry_mean_usd'], '{:+,.0f}')}, "
        f"holding {number_text(row['benchmark_pnl_usd'], '{:+,.0f}')}), "
        f"p {number_text(row['random_entry_p_value'], '{:.2f}')}"
        + ("" if pd.isna(refused) else f"; {refused:,.0f} more signals found no capital")
        + ("" if row["is_admissible"] else "; not admissible")
    )


def _interval(low: Any, high: Any, form: str) -> str:
    return "" if pd.isna(low) or pd.isna(high) else f"[{form.format(low)}, {form.format(high)}]"


def _day(value: Any) -> str:
    return "–" if pd.isna(value) else f"{value:%Y-%m-%d}"
