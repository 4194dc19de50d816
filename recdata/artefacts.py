"""Owns the tables that rooms hand each other inside a run folder: one declared schema each.

A stage writes an artefact with `write_artefact`, another room reads it with `read_artefact`; both check
the schema, so a room can trust what it is given. Rows are `*_row` int32, dates are business days.
An absent channel or region is the empty string; it also stands for "all" in lists and forecasts.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from recdata.errors import RunError

ROW = pl.Int32
ALL = ""  # the channel, region or category that stands for all of them

#: user_row is the position in the table, which is sorted by user_id.
USERS = {
    "user_row": ROW,
    "user_id": pl.String,
    "region": pl.String,
    "first_day": pl.Date,
    "last_day": pl.Date,
    "orders": pl.Int32,
}

#: item_row is the position in the table, which is sorted by item_id. category is "A > B > C".
#: launched_on is the given launch day or the first day sold, whichever is earlier; null without both.
#: price is the listed price, else the median unit price of the last 90 sold days, else null; stock null
#: means not tracked.
ITEMS = {
    "item_row": ROW,
    "item_id": pl.String,
    "title": pl.String,
    "category": pl.String,
    "brand": pl.String,
    "price": pl.Float64,
    "unit_cost": pl.Float64,
    "launched_on": pl.Date,
    "status": pl.String,
    "stock": pl.Int64,
    "attributes": pl.String,
}

#: One row a purchase (or return, with negative quantity and revenue) line, sorted by day, user_row, item_row.
PURCHASES = {
    "day": pl.Date,
    "user_row": ROW,
    "item_row": ROW,
    "order_id": pl.String,
    "quantity": pl.Float64,
    "revenue": pl.Float64,
    "channel": pl.String,
    "region": pl.String,
}

#: One row a user x item x event type other than purchase and return x day, with how often.
BEHAVIOUR = {
    "user_row": ROW,
    "item_row": ROW,
    "event_type": pl.String,
    "day": pl.Date,
    "events": pl.Int32,
}

#: One row an item x day x channel x region with net sales; sorted by item_row, day, channel, region.
DAILY_SALES = {
    "item_row": ROW,
    "day": pl.Date,
    "channel": pl.String,
    "region": pl.String,
    "quantity": pl.Float64,
    "revenue": pl.Float64,
    "buyers": pl.Int32,
    "orders": pl.Int32,
}

#: Days on which an item stood in a promotion, one row an item x day x kind; discount is a share of price.
PROMOTED_DAYS = {"item_row": ROW, "day": pl.Date, "kind": pl.String, "discount": pl.Float64}

#: kind: best, trending or new. rank starts at 1. category is a path at any depth, ALL for the whole shop.
POPULARITY = {
    "kind": pl.String,
    "window_days": pl.Int32,
    "category": pl.String,
    "channel": pl.String,
    "region": pl.String,
    "rank": pl.Int32,
    "item_row": ROW,
    "score": pl.Float32,
    "buyers": pl.Int32,
}

#: Daily forecasts in units, from the run's own origin (`as_of`) on. level: total, channel, region,
#: category or item; key: "", the channel, the region, the category path or the item_id.
FORECAST_DAILY = {
    "level": pl.String,
    "key": pl.String,
    "day": pl.Date,
    "mean": pl.Float32,
    "q10": pl.Float32,
    "q90": pl.Float32,
    "method": pl.String,
}

#: Demand of the whole horizon in units, for every back-test origin and for `as_of`; same levels and keys.
#: History is every day before origin; the horizon is the horizon_days days from origin on.
FORECAST_TOTALS = {
    "origin": pl.Date,
    "level": pl.String,
    "key": pl.String,
    "horizon_days": pl.Int32,
    "mean": pl.Float64,
    "q10": pl.Float64,
    "q90": pl.Float64,
    "method": pl.String,
}

#: Where things sell, sorted by channel and region: one row a (channel, region) pair in the sales. share: of
#: the shop's demand now, 0 for a place that has closed; sums to 1.
PLACES = {
    "place_row": ROW,
    "channel": pl.String,
    "region": pl.String,
    "share": pl.Float64,
    "first_sold_on": pl.Date,
    "last_sold_on": pl.Date,
}

#: Shares of places as of `as_of`, where above 0, summing to 1 by level and row. level: category (row: as in
#: PLACE_WEIGHTS; of what it sold), category demand (of what its items are forecast to sell) or item (row:
#: item_row; of its own sales alone).
PLACE_SHARES: dict[str, type[pl.DataType]] = {
    "level": pl.String,
    "row": ROW,
    "place_row": ROW,
    "share": pl.Float64,
}

#: How an item's share of a place is mixed: own x its own + category x its category's + shop x the place's.
#: One row an item, sorted by item_row; the three sum to 1. category_row is -1 for an item without a category.
PLACE_WEIGHTS: dict[str, type[pl.DataType]] = {
    "item_row": ROW,
    "category_row": ROW,
    "own": pl.Float64,
    "category": pl.Float64,
    "shop": pl.Float64,
}

#: Demand of the horizon from `as_of` on by item and place, in units, where the item sold in the place before
#: and is forecast to sell enough there; share is the place's share of the item's forecast.
LOCAL_FORECASTS = {
    "item_row": ROW,
    "channel": pl.String,
    "region": pl.String,
    "horizon_days": pl.Int32,
    "share": pl.Float64,
    "mean": pl.Float64,
    "q10": pl.Float64,
    "q90": pl.Float64,
}

#: What is likely to become of an item, as seen from an origin: every back-test origin and as_of, one row an
#: item that was sellable then. Probabilities are 0..1 and calibrated: hit_probability, of monthly sales at
#: least `hit_ratio` times the category's mean item; top_probability, of being among the best `category_top_k`
#: of its category by revenue in the horizon; keep_probability, of selling something worth keeping in the
#: next 84 days. expected_value is the revenue of the horizon in the currency of the tables, corrected for
#: picking winners, with its 80% interval. hit_alarm_on is the first day the alarm for a hit rang, null where
#: it has not.
OUTCOMES = {
    "origin": pl.Date,
    "item_row": ROW,
    "hit_probability": pl.Float64,
    "top_probability": pl.Float64,
    "keep_probability": pl.Float64,
    "expected_value": pl.Float64,
    "expected_value_q10": pl.Float64,
    "expected_value_q90": pl.Float64,
    "hit_alarm_on": pl.Date,
}

#: Demand of items too young to have a history, at every back-test origin and at as_of: units of the horizon,
#: from look-alikes and from what has been sold since launch. look_alikes: JSON list of [item_id, similarity],
#: most alike first. early_buyers: how well the first buyers' earlier first purchases fared, 0..1, 0.5 usual;
#: null without any.
LAUNCHES = {
    "origin": pl.Date,
    "item_row": ROW,
    "mean": pl.Float64,
    "q10": pl.Float64,
    "q90": pl.Float64,
    "early_buyers": pl.Float64,
    "look_alikes": pl.String,
}

#: Where an item's price stands at as_of. price_place: share of the category's priced items that cost no more,
#: 0..1. elasticity: percent of units for a percent of price, with its 90% interval; null where the data do
#: not identify it. discount: the share of the price to take off, within the margin; null where none is
#: advised.
PRICES = {
    "item_row": ROW,
    "price_band": pl.String,
    "price_place": pl.Float64,
    "elasticity": pl.Float64,
    "elasticity_low": pl.Float64,
    "elasticity_high": pl.Float64,
    "discount": pl.Float64,
}

#: The assortment that was solved for: one row an item that could have been chosen. value and cost are in the
#: currency of the tables; slot_category is the category whose slots it takes.
ASSORTMENT = {
    "item_row": ROW,
    "chosen": pl.Boolean,
    "value": pl.Float64,
    "cost": pl.Float64,
    "slot_category": pl.String,
    "price_band": pl.String,
}

#: Final picks, best first within the run. One row an item that was sellable at as_of.
#: stage: launch, growth, mature, decline, dead, seasonal. action: launch, push, keep, discount, drop.
#: components: JSON object, component name -> 0..1. reasons_* (for the action), against_* (what speaks against
#: it) and changes_* (what would change it): JSON lists of sentences, strongest first. Probabilities, expected
#: value, prices and look-alikes as in OUTCOMES, PRICES and LAUNCHES; null where they are not known. breakout:
#: orders have risen above the item's own level, promotions and the shop's change allowed for, by no chance.
SELECTION = {
    "rank": pl.Int32,
    "item_row": ROW,
    "item_id": pl.String,
    "category": pl.String,
    "action": pl.String,
    "stage": pl.String,
    "score": pl.Float64,
    "trend": pl.Float64,
    "demand": pl.Float64,
    "demand_q10": pl.Float64,
    "demand_q90": pl.Float64,
    "recent_sales": pl.Float64,
    "revenue_at_stake": pl.Float64,
    "repurchase_rate": pl.Float64,
    "order_value": pl.Float64,
    "price_band": pl.String,
    "components": pl.String,
    "reasons_zh": pl.String,
    "reasons_en": pl.String,
    "against_zh": pl.String,
    "against_en": pl.String,
    "changes_zh": pl.String,
    "changes_en": pl.String,
    "hit_probability": pl.Float64,
    "hit_alarm_on": pl.Date,
    "top_probability": pl.Float64,
    "keep_probability": pl.Float64,
    "expected_value": pl.Float64,
    "expected_value_q10": pl.Float64,
    "expected_value_q90": pl.Float64,
    "price_place": pl.Float64,
    "elasticity": pl.Float64,
    "elasticity_low": pl.Float64,
    "elasticity_high": pl.Float64,
    "discount": pl.Float64,
    "look_alikes": pl.String,
    "breakout": pl.Boolean,
}

#: What a published night advised: one row an item with something to do about, best first, kept in the home's
#: ledger. expected_value is the revenue of the horizon that was expected then.
PICKS = {
    "as_of": pl.Date,
    "horizon_days": pl.Int32,
    "rank": pl.Int32,
    "item_id": pl.String,
    "action": pl.String,
    "stage": pl.String,
    "score": pl.Float64,
    "expected_value": pl.Float64,
    "hit_probability": pl.Float64,
    "keep_probability": pl.Float64,
}

#: How past picks came out: one row a night x action x decision of people ("" where nobody decided, else
#: approve, reject or snooze). Values are revenue in the days seen of the horizon, expected_value the same
#: share of what was expected. Of bets (push, launch): hit_rate, the share among the truly best as many items,
#: and what as many bestsellers of the horizon before the night, and the best in hindsight, sold; launches are
#: held against young items only. Of the others: false_kills, the share that sold something worth
#: keeping in the days it takes to know; null until they are over.
LEDGER = {
    "night": pl.Date,
    "action": pl.String,
    "decision": pl.String,
    "horizon_days": pl.Int32,
    "days_seen": pl.Int32,
    "finished": pl.Boolean,
    "items": pl.Int32,
    "expected_value": pl.Float64,
    "realised_value": pl.Float64,
    "hit_rate": pl.Float64,
    "bestsellers_value": pl.Float64,
    "best_value": pl.Float64,
    "false_kills": pl.Float64,
}

#: One measure a row. period: first day of the test period. model: bestsellers, own_frequency, als, served,
#: served+ORDER of another order, or history (what the shoppers had bought themselves). target: all or
#: never_bought. segment: all, known (all customers known at the origin), "activity:LEVEL", "spend:LEVEL",
#: "popularity:LEVEL", "channel:NAME", "region:NAME" or "customers.ATTRIBUTE:VALUE". k: length of the list.
#: revenue_captured and revenue_bought are in the currency of the tables. low and high bound the bootstrap
#: interval, null where there is none.
EVALUATION = {
    "period": pl.Date,
    "model": pl.String,
    "target": pl.String,
    "segment": pl.String,
    "metric": pl.String,
    "k": pl.Int32,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n_users": pl.Int64,
}

#: One model's mean against another's, over the shoppers who count for both: the difference and the ratio,
#: each with its interval, and the two-sided p-value of no difference. Null where a ratio has no meaning.
EVALUATION_PAIRS = {
    "period": pl.Date,
    "target": pl.String,
    "metric": pl.String,
    "model": pl.String,
    "against": pl.String,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "ratio": pl.Float64,
    "ratio_low": pl.Float64,
    "ratio_high": pl.Float64,
    "p_value": pl.Float64,
    "n_users": pl.Int64,
}

SCHEMAS: dict[str, dict[str, type[pl.DataType]]] = {
    "users": USERS,
    "items": ITEMS,
    "purchases": PURCHASES,
    "behaviour": BEHAVIOUR,
    "daily_sales": DAILY_SALES,
    "promoted_days": PROMOTED_DAYS,
    "popularity": POPULARITY,
    "forecast_daily": FORECAST_DAILY,
    "forecast_totals": FORECAST_TOTALS,
    "places": PLACES,
    "place_shares": PLACE_SHARES,
    "place_weights": PLACE_WEIGHTS,
    "local_forecasts": LOCAL_FORECASTS,
    "outcomes": OUTCOMES,
    "launches": LAUNCHES,
    "prices": PRICES,
    "assortment": ASSORTMENT,
    "selection": SELECTION,
    "picks": PICKS,
    "ledger": LEDGER,
    "evaluation": EVALUATION,
    "evaluation_pairs": EVALUATION_PAIRS,
}


def write_artefact(frame: pl.DataFrame, path: Path, name: str) -> None:
    """Writes one artefact as Parquet, columns in the schema's order.

    Raises:
        RunError: a column is missing or has another type than the schema says.
    """
    schema = SCHEMAS[name]
    _check(frame.schema, path, name)
    # In one chunk: chunks differ between equal runs, and they show in the file, so in its digest.
    frame.select(list(schema)).rechunk().write_parquet(path, compression="zstd")


def scan_artefact(path: Path, name: str) -> pl.LazyFrame:
    """Returns one artefact as a lazy frame whose schema has been checked.

    Raises:
        RunError: the file is missing or does not have the schema.
    """
    if not path.is_file():
        raise RunError(f"{path}: no {name} artefact; run the stage that writes it (`recsvc nightly`)")
    frame = pl.scan_parquet(path, glob=False)
    _check(frame.collect_schema(), path, name)
    return frame


def read_artefact(path: Path, name: str) -> pl.DataFrame:
    """Returns one artefact in memory; raises as `scan_artefact` does."""
    return scan_artefact(path, name).collect()


def _check(found: pl.Schema, path: Path, name: str) -> None:
    for column, dtype in SCHEMAS[name].items():
        if column not in found:
            raise RunError(f"{path}: artefact {name} has no column {column!r}; delete the file and run again")
        if found[column] != dtype:
            raise RunError(
                f"{path}: artefact {name}.{column} is {found[column]}, not {dtype}; "
                "delete the file and run again"
            )
