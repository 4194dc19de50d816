"""Owns the schemas of the tables that training writes into a run folder.

Rows are `*_row` int32, dates are business days. An absent channel or region is the empty string; it also
stands for "all" in lists and forecasts.
"""

from __future__ import annotations

import polars as pl

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
