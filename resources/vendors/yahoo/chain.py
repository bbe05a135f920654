"""Yahoo's present option chain by way of yfinance: every expiration within some days, with the underlying's price.

Which fields become which columns belongs here. Yahoo dates trades, not quotes: that the snapshot is of the session is
seen by the underlying's price only. After hours it shows bid and ask of many contracts, or of all, as zero: that is no
quote, so they are NULL and the last trade counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pandas as pd

from resources.left_out import LeftOut
from resources.vendors.chain_snapshot import ask_for_present_chain, chain_rows, contract_frame, moments, require_fresh
from resources.vendors.yahoo.bars import YahooClient, yahoo_symbol, yfinance_errors
from resources.vendors.yahoo.chart_answer import SOURCE
from trading_dag.settings import Settings

# The options of the index are listed under another symbol than its prices.
OPTIONS_SYMBOL_OF: Final = {"SPX": "^SPX"}
# What Yahoo writes where it has no volatility.
NO_VOLATILITY: Final = 1e-5
_FIELDS: Final = {
    "contractSymbol": "contract_id",
    "strike": "strike",
    "bid": "bid",
    "ask": "ask",
    "lastPrice": "last",
    "volume": "volume",
    "openInterest": "open_interest",
    "impliedVolatility": "implied_volatility",
}
_GIVEN: Final = ("bid", "ask", "last", "volume", "open_interest")


class YahooChainClient:
    """Asks Yahoo for chains.

    Parameters
    ----------
    yahoo : by which Yahoo is asked.
    settings : ``chain_days``.
    clock : the present moment, UTC.
    """

    # Yahoo wants none.
    has_key = True

    def __init__(self, yahoo: YahooClient, settings: Settings, *, clock: Callable[[], pd.Timestamp]) -> None:
        self._yahoo = yahoo
        self._settings = settings
        self._clock = clock

    def chain(self, ticker: str, *, session: pd.Timestamp, source: str) -> pd.DataFrame:
        """Return rows of ``raw.option_chain`` of the last closed session.

        An expiration that is listed and has no contract (Yahoo keeps today's for some hours) costs none of the others;
        it is named in the log.

        Parameters
        ----------
        source : name for the provenance.

        Raises
        ------
        StaleSourceError : for another session, or where the underlying's price is older than the close.
        EmptySourceError : for an unknown symbol or one without options.
        SourceUnavailableError, SourceFormatError : as the answer is.
        """
        question = ask_for_present_chain(SOURCE, ticker, session=session, now=self._clock(), settings=self._settings)
        left_out = LeftOut(SOURCE, f"contracts of the {question}")
        self._yahoo.taken_out()
        with yfinance_errors(str(question)):
            handle = self._yahoo.ticker(OPTIONS_SYMBOL_OF.get(ticker, yahoo_symbol(ticker)))
            days = [day for day in handle.options if question.has(pd.Timestamp(day))]
            if not days:
                raise question.nothing("Yahoo lists no expiration within the period")
            sides, empty = [], []
            for day in days:
                chain = handle.option_chain(day)
                quote = chain.underlying
                if quote is None or (chain.calls.empty and chain.puts.empty):
                    empty.append(pd.Timestamp(day))
                    continue
                require_fresh(
                    question, moments([quote["regularMarketTime"]], unit="s").iloc[0], what="the underlying's price"
                )
                sides += [
                    _side(frame, right=right, expiration=day, price=float(quote["regularMarketPrice"]))
                    for frame, right in ((chain.calls, "C"), (chain.puts, "P"))
                ]
        left_out.add(self._yahoo.taken_out())
        if not sides:
            raise question.nothing("Yahoo gives no contract of the expirations that it lists")
        contracts = pd.concat([side for side in sides if len(side)], ignore_index=True)
        return chain_rows(
            question,
            contracts,
            given=_GIVEN,
            source=source,
            is_zero_no_quote=True,
            empty=empty,
            left_out=left_out,
        )


def _side(frame: pd.DataFrame, *, right: str, expiration: str, price: float) -> pd.DataFrame:
    named = frame[list(_FIELDS)].rename(columns=_FIELDS)
    rows = contract_frame({**named, "option_right": right, "expiration": expiration, "underlying_price": price})
    has_volatility = rows["implied_volatility"] > NO_VOLATILITY * (1 + 1e-9)
    return rows.assign(
        implied_volatility=rows["implied_volatility"].where(has_volatility),
        quoted_at=pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us, UTC]"),
    )
