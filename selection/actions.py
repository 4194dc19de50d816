"""Owns the action for an item: launch, push, keep, discount or drop. Pure NumPy, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selection.config import ActionsConfig

#: In the order in which a merchandiser reads them.
ACTIONS = ("push", "launch", "keep", "discount", "drop")
STAGES = ("launch", "growth", "mature", "decline", "seasonal", "dead")


@dataclass(frozen=True, slots=True)
class ActionInputs:
    """What the rules look at; arrays of (n_items,).

    Attributes:
        stage: str, one of `STAGES`.
        quantile: float64 0..1, the score's place among the living items of its category.
        demand: float64, forecast units of the horizon.
        buyers: distinct buyers in the base window.
        units_recent: float64, units of the recent window.
        trend_z: float64, change of the order rate in standard errors.
        hit_probability: float64 0..1, NaN where it is not known.
        keep_probability: likewise, of selling something worth keeping.
    """

    stage: NDArray[np.str_]
    quantile: NDArray[np.float64]
    demand: NDArray[np.float64]
    buyers: NDArray[np.int64]
    units_recent: NDArray[np.float64]
    trend_z: NDArray[np.float64]
    hit_probability: NDArray[np.float64]
    keep_probability: NDArray[np.float64]


def choose_actions(inputs: ActionInputs, config: ActionsConfig) -> NDArray[np.str_]:
    """Returns one of `ACTIONS` for each item, (n_items,); the first rule that holds decides.

    1. dead, and not likely to sell something worth keeping all the same → drop.
    2. launch: likely to become a hit, or in the better part of its category with buyers enough, selling and
       not falling → launch (roll out); else keep (let it show itself).
    3. decline: among the best of its category, or likely to be a hit all the same → keep (defend it); among
       the worst, and not likely to sell something worth keeping → drop; between → discount.
    4. likely to become a hit, and selling → push.
    5. hardly a chance to sell something worth keeping, and no season ahead → drop.
    6. among the best of its category with demand enough (growth, mature, seasonal) → push.
    7. slow: nothing sold in the recent window, a falling rate and among the worst → discount.
    8. everything else → keep.

    A probability that is not known neither saves nor condemns.
    """
    best = inputs.quantile >= config.push_quantile
    declining = inputs.stage == "decline"
    launching = inputs.stage == "launch"
    rising = np.nan_to_num(inputs.hit_probability, nan=0.0) >= config.push_hit_probability
    worth_keeping = np.nan_to_num(inputs.keep_probability, nan=0.0) >= config.save_keep_probability
    hopeless = np.nan_to_num(inputs.keep_probability, nan=1.0) <= config.drop_keep_probability
    proven = (
        (inputs.quantile >= config.launch_quantile)
        & (inputs.buyers >= config.launch_min_buyers)
        & (inputs.units_recent > 0)
        & (inputs.trend_z >= config.launch_min_z)
    )
    slow = (inputs.units_recent <= 0) & (inputs.trend_z < 0) & (inputs.quantile <= config.slow_quantile)
    rules = [
        ((inputs.stage == "dead") & ~worth_keeping, "drop"),
        (launching & (proven | (rising & (inputs.units_recent > 0))), "launch"),
        (launching, "keep"),
        (declining & (best | rising), "keep"),
        (declining & (inputs.quantile < config.drop_quantile) & ~worth_keeping, "drop"),
        (declining, "discount"),
        (rising & (inputs.units_recent > 0), "push"),
        (hopeless & (inputs.stage != "seasonal"), "drop"),
        (best & (inputs.demand >= config.push_min_units), "push"),
        (slow & (inputs.stage != "seasonal"), "discount"),
    ]
    return np.select([rule for rule, _ in rules], [action for _, action in rules], default="keep")
