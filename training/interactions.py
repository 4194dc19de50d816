"""Owns the matrix that the collaborative model learns from: how strongly each shopper asked for each item.

A purchase line counts `purchase_weight * damp(quantity) * 0.5 ** (age / half_life_days)`; other behaviour
counts by its own weight, how often it happened and how long ago it last did.  What was sent back is taken
off its pair as a share, so a pair that was returned in full is no interaction however old the purchase is.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import numpy as np
import polars as pl
from msgspec import Meta
from numpy.typing import NDArray
from scipy import sparse

from recdata.config import NonNegativeFloat, NonNegativeInt, PositiveFloat, RoomConfig
from recdata.errors import RunError
from recdata.sums import group_sums

PAIR = ("user_row", "item_row")


class InteractionsConfig(RoomConfig, frozen=True):
    """`[training.interactions]`: what a purchase, a click, a returned item and a passing day are worth."""

    # Weight of one purchased line, before quantity and age; above 0.
    purchase_weight: PositiveFloat = 1.0
    # Weight of one add-to-cart, relative to a purchase; 0 leaves the event out.
    add_to_cart_weight: NonNegativeFloat = 0.5
    # Weight of one product page view; 0 leaves the event out.
    view_weight: NonNegativeFloat = 0.1
    # Weight of one click on a list; 0 leaves the event out.
    click_weight: NonNegativeFloat = 0.1
    # Weight of one impression (shown, not asked for); 0, the default, leaves the event out.
    impression_weight: NonNegativeFloat = 0.0
    # How a quantity (or a number of events) becomes a weight: log1p = log2(1 + q), power = q **
    # quantity_power.
    quantity_damping: Literal["log1p", "power"] = "power"
    # Exponent of `power`; 0 counts lines, 1 counts units, range 0 to 1.
    quantity_power: Annotated[float, Meta(ge=0, le=1)] = 0.0
    # Days after which an interaction counts half; above 0.
    half_life_days: PositiveFloat = 180.0
    # Shoppers with fewer distinct items than this get no factors; 0 or 1 keeps everybody.
    min_user_items: NonNegativeInt = 1
    # Items with fewer distinct shoppers than this get no factors; 0 or 1 keeps every item.
    min_item_users: NonNegativeInt = 3

    def event_weights(self) -> dict[str, float]:
        """Returns the weight of every event type that is neither purchase nor return."""
        return {
            "add_to_cart": self.add_to_cart_weight,
            "view": self.view_weight,
            "click": self.click_weight,
            "impression": self.impression_weight,
        }


def build_interactions(
    purchases: pl.DataFrame | pl.LazyFrame,
    behaviour: pl.DataFrame | pl.LazyFrame,
    n_users: int,
    n_items: int,
    *,
    as_of: date,
    config: InteractionsConfig,
) -> sparse.csr_array[np.float32, tuple[int, int]]:
    """Returns the weights, csr float32 `(n_users, n_items)`, of everything that happened before `as_of`.

    Args:
        purchases: the `purchases` artefact; negative quantities are returns.
        behaviour: the `behaviour` artefact; may be empty.
        n_users: rows of the matrix; users below the minimum keep an empty row.
        n_items: columns of the matrix; items below the minimum keep an empty column.
        as_of: first day that does not count; ages are measured back from it.
        config: weights, damping, decay and minimum counts.

    Raises:
        RunError: a row lies outside `n_users` or `n_items`.
    """
    weights = pl.concat(
        [
            _purchase_weights(purchases.lazy(), as_of=as_of, config=config),
            _behaviour_weights(behaviour.lazy(), as_of=as_of, config=config).collect(),
        ]
    )
    pairs = group_sums(weights, PAIR, ["weight"]).filter(pl.col("weight") > 0)
    users, items = pairs["user_row"].to_numpy(), pairs["item_row"].to_numpy()
    check_rows(users, n_users, "user_row")
    check_rows(items, n_items, "item_row")
    matrix = sparse.csr_array(
        (pairs["weight"].to_numpy().astype(np.float32), (users, items)), shape=(n_users, n_items)
    )
    return drop_rare(matrix, min_user_items=config.min_user_items, min_item_users=config.min_item_users)


def drop_rare(
    matrix: sparse.csr_array[np.float32, tuple[int, int]], *, min_user_items: int, min_item_users: int
) -> sparse.csr_array[np.float32, tuple[int, int]]:
    """Returns the same matrix without rare items, then without shoppers of too few kept items."""
    kept = matrix.tocoo()
    rows, columns = kept.coords
    item_users = np.bincount(columns, minlength=matrix.shape[1])
    keep = item_users[columns] >= min_item_users
    user_items = np.bincount(rows[keep], minlength=matrix.shape[0])
    keep &= user_items[rows] >= min_user_items
    return sparse.csr_array((kept.data[keep], (rows[keep], columns[keep])), shape=matrix.shape)


def check_rows(rows: NDArray[np.int32], count: int, name: str) -> None:
    """Checks that every row number is one of `count`.

    Raises:
        RunError: one is not; the artefacts come from different runs.
    """
    if rows.size and (int(rows.min()) < 0 or int(rows.max()) >= count):
        wrong = int(rows.max()) if int(rows.max()) >= count else int(rows.min())
        raise RunError(f"{name} {wrong} is not one of the {count} known rows; run `prepare` again")


def _damped(quantity: pl.Expr, config: InteractionsConfig) -> pl.Expr:
    if config.quantity_damping == "log1p":
        return (1.0 + quantity).log(2.0)
    return quantity.pow(config.quantity_power)


def _decay(day: pl.Expr, as_of: date, half_life_days: float) -> pl.Expr:
    age_days = (pl.lit(as_of) - day).dt.total_days()
    return (age_days * (-float(np.log(2.0)) / half_life_days)).exp()


def _purchase_weights(purchases: pl.LazyFrame, *, as_of: date, config: InteractionsConfig) -> pl.DataFrame:
    quantity = pl.col("quantity")
    bought = quantity.clip(lower_bound=0.0)
    line_weight = (
        pl.when(quantity > 0)
        .then(_damped(bought, config) * _decay(pl.col("day"), as_of, config.half_life_days))
        .otherwise(0.0)
    )
    lines = (
        purchases.filter(pl.col("day") < as_of)
        .select(*PAIR, bought=bought, net=quantity, weight=line_weight)
        .collect()
    )
    return (
        group_sums(lines, PAIR, ["bought", "net", "weight"])
        .filter((pl.col("net") > 0) & (pl.col("bought") > 0))
        .select(
            "user_row",
            "item_row",
            weight=config.purchase_weight * pl.col("weight") * pl.col("net") / pl.col("bought"),
        )
    )


def _behaviour_weights(behaviour: pl.LazyFrame, *, as_of: date, config: InteractionsConfig) -> pl.LazyFrame:
    event_weights = config.event_weights()
    return (
        behaviour.filter((pl.col("day") < as_of) & pl.col("event_type").is_in(list(event_weights)))
        .group_by(*PAIR, "event_type")
        .agg(pl.col("events").sum(), last_day=pl.col("day").max())
        .sort(*PAIR, "event_type")
        .select(
            "user_row",
            "item_row",
            weight=pl.col("event_type").replace_strict(event_weights, return_dtype=pl.Float64)
            * _damped(pl.col("events").cast(pl.Float64), config)
            * _decay(pl.col("last_day"), as_of, config.half_life_days),
        )
        .filter(pl.col("weight") > 0)
    )
