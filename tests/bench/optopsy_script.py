"""What a user of optopsy writes for the put spread of ``bench_quotes``: run by an interpreter that has optopsy.

It prints its trades and its seconds as JSON. It imports nothing of the project, which that interpreter does not have.
"""

import json
import sys
import time

import optopsy
import pandas as pd


def main() -> None:
    """Read the file, find the trades, print them."""
    path, exit_days, longest = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    started = time.perf_counter()
    quotes = pd.read_parquet(path).rename(columns={"ticker": "underlying_symbol", "option_right": "option_type"})
    for name in ("quote_date", "expiration"):
        quotes[name] = pd.to_datetime(quotes[name]).dt.as_unit("us")
    trades = optopsy.short_put_spread(
        quotes, raw=True, max_entry_dte=longest, exit_dte=exit_days, slippage="spread", min_bid_ask=0.005,
        leg1_delta={"target": 0.10, "min": 0.05, "max": 0.15}, leg2_delta={"target": 0.30, "min": 0.25, "max": 0.35},
    )  # fmt: skip
    seconds = time.perf_counter() - started
    # A quote date and its days to expiration name an entry.
    rows = [
        [f"{row.expiration:%Y-%m-%d}", int(row.dte_entry), float(row.strike_leg2), float(row.strike_leg1),
         float(row.total_exit_proceeds - row.total_entry_cost)]
        for row in trades.itertuples()
    ]  # fmt: skip
    print(json.dumps({"trades": rows, "seconds": seconds, "version": optopsy.__version__}))


if __name__ == "__main__":
    main()
