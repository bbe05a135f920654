"""The page of multiplicity: how many verdicts were looked for, and which are left; Markdown, for the UI and docs."""

from __future__ import annotations

import pandas as pd

from trading_dag.validation.verdicts.multiplicity import counted

LARGEST_CHANCE = 0.001  # below it a p-value is written as smaller


def survivors_in_words(table: pd.DataFrame) -> str:
    """Return one sentence: how many of the distinct verdicts survive, from evaluation.multiplicity."""
    counts = counted(table)
    tested, survive, skilled = (int(counts[name].sum()) for name in ("verdicts", "survive", "skilled"))
    if not tested:
        return "No verdict can be counted yet."
    more = f" ({skilled} look skilled alone)" if skilled != survive else ""
    return f"{survive} of {tested} verdicts survive their number{more}: Benjamini–Hochberg at 5 % within each question."


def multiplicity_page(table: pd.DataFrame) -> str:
    """Return the page as Markdown: the counts by question, then each verdict that survives, or seemed to.

    Parameters
    ----------
    table : evaluation.multiplicity.
    """
    lines = [survivors_in_words(table), ""]
    lines += _table(
        ("task", "metric", "against", "verdicts", "skilled alone", "survive", "any dependence", "same rows again"),
        [
            (row["task"], row["metric"], row["baseline"], row["verdicts"], row["skilled"], row["survive"],
             row["survive_any_dependence"], row["repeated"])
            for row in counted(table).to_dict("records")
        ],
    )  # fmt: skip
    counts = counted(table)
    lines += ["", f"Counted over all questions together, {int(counts['survive_all'].sum())} survive."]
    told = table[(table["survives"].astype(bool) | (table["verdict"] == "skilled")) & table["repeats"].isna()]
    if len(told):
        lines += ["", "Each verdict that survives, or would be called skilled by its own interval:", ""]
        lines += _table(
            ("slice", "model", "metric", "against", "gain", "95 % interval", "p", "adjusted", "survives"),
            [
                (f"{row['ticker']} {row['horizon']}", row["model"] + (" (served)" if row["is_served"] else ""),
                 row["metric"], row["baseline"], f"{row['difference']:+z.5f}",
                 f"{row['difference_ci_low']:+z.5f} … {row['difference_ci_high']:+z.5f}", _chance(row["p_value"]),
                 _chance(row["q_value"]), "yes" if row["survives"] else "no")
                for row in told.to_dict("records")
            ],
        )  # fmt: skip
    lines += ["", *_shared(table)]
    return "\n".join(lines).rstrip() + "\n"


def _shared(table: pd.DataFrame) -> list[str]:
    """Return which slices are no evidence of their own."""
    repeated = table[table["repeats"].notna()]
    lines = [
        f"{task}: {ticker} {horizon} has the same rows as {repeats} and is not counted again."
        for task, ticker, horizon, repeats in repeated[["task", "ticker", "horizon", "repeats"]]
        .drop_duplicates()
        .itertuples(index=False)
    ]
    companions = table[table["shares_outcomes_with"].notna()][["task", "ticker", "shares_outcomes_with"]]
    lines += [
        f"{task}: what is forecast for {ticker} is the same index as for {others}; they are no independent evidence."
        for task, ticker, others in companions.drop_duplicates().itertuples(index=False)
    ]
    return [f"- {line}" for line in lines]


def _chance(value: float) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:.3f}" if value >= LARGEST_CHANCE else f"< {LARGEST_CHANCE}"


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
    ]
