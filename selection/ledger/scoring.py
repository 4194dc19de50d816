"""Owns how past picks came out: what was sold since, night by night, and what people's word was worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from recdata.reviews import Review
from recdata.selection_artefacts import LEDGER
from recdata.sums import group_sums

#: Actions that bet on an item; the others bet against it.
BETS = frozenset({"push", "launch"})
#: Reviews that decide; a note leaves the decision as it is, a reopening takes it back.
DECISIONS = frozenset({"approve", "reject", "snooze", "reopen"})
NOBODY = ""


def score_nights(
    picks: pl.DataFrame,
    items: pl.DataFrame,
    daily_sales: pl.LazyFrame,
    reviews: Sequence[Review],
    *,
    as_of: date,
    category_depth: int,
    keep_share: float,
    keep_days: int,
    launch_days: int,
    zone: str = "UTC",
) -> pl.DataFrame:
    """Returns the LEDGER: one row a past night x action x decision of people, oldest night first.

    Args:
        picks: PICKS of past nights.
        items: ITEMS of today: ids and categories.
        daily_sales: DAILY_SALES up to `as_of`.
        reviews: what people decided, in the order in which they did.
        as_of: the first day that is not known.
        category_depth: levels of the path inside which items are compared.
        keep_share: an item that sold this share of its category's mean item was worth keeping,
        keep_days: in so many days from the night on; until they are over, nobody knows of false kills.
        launch_days: launches are held against items launched within so many days before their night.
        zone: the time zone of business days, in which a review has its day.
    """
    if picks.is_empty():
        return pl.DataFrame(schema=LEDGER)
    first = min(picks.get_column("as_of").to_list()) - timedelta(days=366)
    sales = daily_sales.filter(pl.col("day") >= first).select("item_row", "day", "revenue").collect()
    path = pl.col("category").fill_null("").str.split(" > ").list.head(category_depth).list.join(" > ")
    known = items.select("item_row", "item_id", "launched_on", path.alias("group"))
    rows: list[dict[str, object]] = []
    for book in picks.partition_by("as_of", "horizon_days", maintain_order=True):
        night, horizon = book.select("as_of", "horizon_days").row(0)
        end = min(night + timedelta(days=horizon), as_of)
        since = _sold(sales, night, end, "realised")
        before = _sold(sales, night - timedelta(days=horizon), night, "before")
        kept_until = night + timedelta(days=keep_days)
        later = _sold(sales, night, kept_until, "later")
        truth = known
        for sold in (since, before, later):
            truth = truth.join(sold, on="item_row", how="left", maintain_order="left")
        truth = truth.with_columns(pl.col("realised", "before", "later").fill_null(0.0)).with_columns(
            worth=(pl.col("later") >= keep_share * _mean_of_selling("later"))
            if kept_until <= as_of
            else pl.lit(None, pl.Boolean)
        )
        told = decisions(reviews, book, night, end, zone=zone)
        joined = book.join(truth, on="item_id", how="left", maintain_order="left").join(
            told, on="item_id", how="left", maintain_order="left"
        )
        joined = joined.with_columns(
            pl.col("realised").fill_null(0.0),
            pl.col("worth").fill_null(value=False) if kept_until <= as_of else pl.col("worth"),
            pl.col("decision").fill_null(NOBODY),
        )
        share = (end - night).days / horizon
        about = {
            "night": night,
            "horizon_days": horizon,
            "days_seen": (end - night).days,
            "finished": night + timedelta(days=horizon) <= as_of,
        }
        for (action, decision), part in joined.group_by("action", "decision", maintain_order=True):
            young = pl.col("launched_on") >= night - timedelta(days=launch_days)
            rivals = truth.filter(young) if action == "launch" else truth
            rows.append(about | _came_out(str(action), str(decision), part, rivals, share))
    frame = pl.DataFrame(rows, schema=LEDGER)
    return frame.sort("night", "action", "decision")


def decisions(
    reviews: Sequence[Review], book: pl.DataFrame, night: date, end: date, *, zone: str = "UTC"
) -> pl.DataFrame:
    """Returns item_id and `decision`: people's last word on a night's advice, while its horizon lasted.

    A review counts for the advice that it was about: made between the night and the end of its horizon, on
    an item with the same action in the book. Nights are business days, so a review's day is that of `zone`.
    """
    business = ZoneInfo(zone)
    advised = dict(book.select("item_id", "action").iter_rows())
    last: dict[str, str] = {}
    for review in sorted(reviews, key=lambda review: review.reviewed_at):
        about_it = advised.get(review.item_id) == review.action
        day = review.reviewed_at.astimezone(business).date()
        if about_it and review.decision in DECISIONS and night <= day < end:
            last[review.item_id] = review.decision
    found = [(item, decision) for item, decision in last.items() if decision != "reopen"]
    return pl.DataFrame(found, schema={"item_id": pl.String, "decision": pl.String}, orient="row")


def _came_out(
    action: str, decision: str, part: pl.DataFrame, rivals: pl.DataFrame, share: float
) -> dict[str, object]:
    """Returns what became of some picks with one action, bets beside as many of their rivals."""
    n = part.height
    realised = _total(part, "realised")
    row: dict[str, object] = {
        "action": action,
        "decision": decision,
        "items": n,
        "expected_value": _total(part, "expected_value") * share,
        "realised_value": realised,
        "false_kills": None,
        "hit_rate": None,
        "bestsellers_value": None,
        "best_value": None,
    }
    if action in BETS:
        best = rivals.sort("realised", "item_id", descending=[True, False]).head(n)
        sellers = rivals.sort("before", "item_id", descending=[True, False]).head(n)
        among = part.join(best.filter(pl.col("realised") > 0), on="item_id", how="semi").height
        row |= {
            "hit_rate": among / n,
            "bestsellers_value": _total(sellers, "realised"),
            "best_value": _total(best, "realised"),
        }
    else:
        worth = part.get_column("worth")
        row["false_kills"] = None if worth.null_count() else int(worth.sum()) / n
    return row


def summary_of(ledger: pl.DataFrame) -> Iterator[dict[str, object]]:
    """Yields one row an action x decision over the nights whose horizon is over: sums, and ratios of sums.

    false_kills is over the nights of which they are known by now (`judged` of them), None where none is.
    """
    finished = ledger.filter(pl.col("finished"))
    for (action, decision), part in finished.sort("action", "decision", "night").group_by(
        "action", "decision", maintain_order=True
    ):
        items = int(part.get_column("items").sum())
        realised, expected = _total(part, "realised_value"), _total(part, "expected_value")
        row: dict[str, object] = {
            "action": action,
            "decision": decision,
            "nights": part.height,
            "items": items,
            "realised_value": realised,
            "expected_over_realised": expected / realised if realised > 0 else None,
        }
        if action in BETS:
            sellers = _total(part, "bestsellers_value")
            row["lift"] = realised / sellers - 1 if sellers > 0 else None
            row["hit_rate"] = _weighted(part, "hit_rate")
        else:
            judged = part.filter(pl.col("false_kills").is_not_null())
            row["judged"] = judged.height
            row["false_kills"] = _weighted(judged, "false_kills") if judged.height else None
        yield row


def _sold(sales: pl.DataFrame, start: date, end: date, name: str) -> pl.DataFrame:
    inside = sales.filter(pl.col("day").is_between(start, end, closed="left"))
    return group_sums(inside.select("item_row", pl.col("revenue").alias(name)), ["item_row"], [name])


def _mean_of_selling(name: str) -> pl.Expr:
    """The category's mean over the items that sold; without any, nothing reaches it."""
    sold = pl.when(pl.col(name) > 0).then(pl.col(name))
    return sold.mean().over("group").fill_null(float("inf"))


def _total(frame: pl.DataFrame, name: str) -> float:
    return float(sum(frame.get_column(name).fill_null(0.0).to_list()))


def _weighted(part: pl.DataFrame, name: str) -> float:
    values: list[float] = part.get_column(name).to_list()
    items: list[int] = part.get_column("items").to_list()
    return sum(value * n for value, n in zip(values, items, strict=True)) / sum(items)
