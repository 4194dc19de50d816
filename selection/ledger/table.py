"""Owns how the ledger looks on a terminal."""

from __future__ import annotations

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from selection.ledger.scoring import summary_of
from selection.words import ACTION_WORDS, DECISION_WORDS, money, percent, signed_percent, word


def print_ledger(console: Console, ledger: pl.DataFrame, currency: str) -> None:
    """Prints what past picks came to, over the nights whose horizon is over, and how many still run."""
    running = ledger.filter(~pl.col("finished")).get_column("night").n_unique()
    rows = list(summary_of(ledger))
    if not rows:
        console.print(
            f"the ledger has no night yet whose horizon is over ({running} running); each published night is "
            "entered and scored by later ones"
        )
        return
    nights = ledger.filter("finished").get_column("night").n_unique()
    table = Table(
        title=f"how the picks of {nights} nights came out ({running} more still run)",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("action", no_wrap=True)
    table.add_column("people", no_wrap=True)
    headings = ("items", "sold", "expected /\nrealised", "over\nbestsellers", "hits", "false\nkills")
    for name in headings:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        ratio, lift = row["expected_over_realised"], row.get("lift")
        table.add_row(
            word(ACTION_WORDS, str(row["action"]), "en"),
            word(DECISION_WORDS, str(row["decision"]), "en"),
            f"{row['items']:,}",
            money(_number(row["realised_value"]), currency),
            "–" if ratio is None else f"{_number(ratio):.2f}",
            "–" if lift is None else signed_percent(_number(lift)),
            "–" if "hit_rate" not in row else percent(_number(row["hit_rate"])),
            "–" if "false_kills" not in row else known_kills(row["false_kills"]),
        )
    console.print(table)
    if any(row.get("judged") != row["nights"] for row in rows if "false_kills" in row):
        console.print(
            "false kills are of the nights of which they are known by now: an item has "
            "[selection.outcomes] keep_days to sell something worth keeping"
        )


def known_kills(share: object) -> str:
    """Returns a share of false kills for people; pending where no night is old enough."""
    return "pending" if share is None else percent(_number(share))


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
