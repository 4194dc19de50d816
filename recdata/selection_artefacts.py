"""Owns the schemas of the tables that the selection writes into a run folder, and into the home's ledger.

Rows are `*_row` int32, dates are business days.
"""

from __future__ import annotations

import polars as pl

from recdata.training_artefacts import ROW

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
