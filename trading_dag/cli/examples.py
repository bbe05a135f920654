"""Examples that the help of each command ends with. A test reads every one with the command's own parser."""

from __future__ import annotations

import inspect
from typing import Final

import typer

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "run": ("run", "run --tickers SPY,QQQ --horizons 24h,168h --source files", "run --force --json"),
    "refresh": ("refresh", "refresh --html today.html", "refresh --tickers SPY --json", "refresh --now --tickers SPY"),
    "fetch": ("fetch --tickers SPY,QQQ", "fetch --kinds prices_daily,volatility_index --json"),
    "train": (
        "train --tickers SPY --horizons 24h",
        "train --model direction_classifier --since 5y --features technical,iv,macro --n-features 30",
        "train --tickers QQQ --no-follow-up -vv",
    ),
    "tune": (
        "tune --tickers SPY --horizons 24h",
        "tune --family direction_xgboost --trials 100 --minutes 30 --json",
    ),
    "models": (
        "models list volatility_forecaster --tickers SPY --horizons 24h",
        "models compare volatility_forecaster SPY 24h",
        "models compare volatility_forecaster SPY 24h 1a2b3c4d 5e6f7a8b --json",
        "models card direction_classifier SPY 168h",
        'models promote volatility_forecaster SPY 24h 1a2b3c4d --reason "the newer one jumps about"',
        'models rollback direction_classifier QQQ 168h --reason "fitted on a bad split"',
    ),
    "signal": ("signal SPY", "signal --all --horizons 168h --json", "signal SPY --record"),
    "opportunities": (
        "opportunities SPY --horizon 168h",
        "opportunities QQQ --horizon 72h --structure iron_condor --top 5 --json",
        "opportunities SPY --picture best.png",
    ),
    "report": ("report", "report --tickers SPY --html spy.html"),
    "explain": (
        "explain iv_rank",
        "explain brier_sign",
        "explain TRADING_DAG_BACKTEST__ACCOUNT_USD",
        "explain --kind exit",
    ),
    "drift": ("drift", "drift SPY --horizons 24h,168h", "drift SPY --json"),
    "evaluate": ("evaluate --tickers SPY --horizons 24h", "evaluate --json", "evaluate --results results.md"),
    "backtest": (
        "backtest --tickers SPY --horizons 168h",
        "backtest --structure iron_condor --ticker SPY --entries weekly --days 30 --html condor.html",
        "backtest --structure bull_put_spread --ticker SPY --delta 0.3 --delta-range 0.25 0.35 --width 5 --by delta",
        "backtest --structure bull_put_spread --ticker SPY --set slippage_fraction=0.01",
        "backtest --quotes spy_2024.parquet --structure iron_condor --delta 0.2 --width 2% --exit profit_target=0.5",
        "backtest --structure iron_condor=0.5 --structure bull_put_spread --ticker SPY --set maximum_delta=200",
        'backtest --structure short_strangle --ticker SPY --entries-sql "select session from '
        "features.implied_volatility where ticker = 'SPY' and iv_rank > 50\"",
    ),
    "accept": (
        'accept SPY 2010-05-06 --reason "flash crash, seen on the tape"',
        "accept SPY 2010-05-06 --withdraw",
    ),
    "predict": ("predict SPY --date 2024-01-16 --json", "predict SPY --horizon 24h --features today.csv"),
    "fetch-chains": ("fetch-chains --tickers SPY,QQQ", "fetch-chains --tickers SPY --from 2024-01-02 --to 2024-01-31"),
    "import-chains": (
        "import-chains chains/ --ticker SPY",
        "import-chains spy_eod_202401.txt --dates month-first --no-analyse",
    ),
    "chain": ("chain SPY", "chain SPY --date 2024-01-16 --picture smiles.png"),
    "paper": (
        "paper status",
        "paper orders --limit 5 --json",
        "paper explain",
        'paper kill --reason "earnings tonight"',
        "paper resume",
        "paper reconcile --json",
    ),
    "payoff": ("payoff iron_condor SPY", "payoff bull_put_spread SPY --date 2024-01-16 --picture payoff.png"),
    "backup": ("backup /backups", "backup monday.tar.zst --json"),
    "restore": ("restore monday.tar.zst", "restore monday.tar.zst --replace"),
    "clean-history": ("clean-history --dry-run", "clean-history --keep-models 5 --days 90"),
    "sql": (
        'sql "from evaluation.metrics where is_served"',
        "sql \"select session, iv_rank from features.implied_volatility where ticker = 'SPY'\" --limit 10",
    ),
    "alerts": ("alerts status", "alerts test", "alerts send --dry-run", "alerts status --json"),
    "ui": ("ui", "ui --port 3001 --webserver-only", "ui --read-only"),
    "dashboard": ("dashboard", "dashboard --port 8600"),
    "doctor": ("doctor", "doctor --source live --fast --json"),
}


def add_examples(app: typer.Typer) -> None:
    """Append to the help of each registered command, and of each command of a group, the examples of its name."""
    for command in app.registered_commands:
        function = command.callback
        name = str(command.name or getattr(function, "__name__", ""))
        command.help = _with_examples(function.__doc__ or "" if function else "", EXAMPLES.get(name, ()))
    for group in app.registered_groups:
        inner = group.typer_instance
        if inner is None:
            continue
        examples = EXAMPLES.get(str(inner.info.name), ())
        inner.info.help = _with_examples(str(inner.info.help), examples)
        for command in inner.registered_commands:
            function = command.callback
            name = f"{inner.info.name} {command.name or getattr(function, '__name__', '')} "
            own = tuple(example for example in examples if example.startswith(name))
            command.help = _with_examples(function.__doc__ or "" if function else "", own)


def _with_examples(text: str, examples: tuple[str, ...]) -> str:
    text = inspect.cleandoc(text)
    if not examples:
        return text
    return "\n\n".join([" ".join(text.split()), "Examples:", *(f"trading-dag {example}" for example in examples)])
