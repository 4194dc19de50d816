"""Measures how many of the exact best 20 are in the answer, and the latency, under filters of every width."""

from __future__ import annotations

from statistics import mean, median

import numpy as np
from load import asking
from load.figures import Figure, figure
from load.names import RECOMMEND
from load.rig import Rig, run_home
from load.synthetic import SHARES, item_row
from numpy.typing import NDArray

from cases.plan import Plan
from recdata.releases import Releases
from recdata.snapshot import Snapshot
from recsvc.v1.common_pb2 import AttributeCondition, ItemFilter
from recsvc.v1.recommendation_service_pb2 import RecommendResponse

CATEGORY = "Department 01 > Class 03"
CHANNEL = "web"


def filters() -> dict[str, ItemFilter | None]:
    """Returns the filters by what they leave of the catalogue."""
    made: dict[str, ItemFilter | None] = {"no filter": None}
    for share in SHARES:
        condition = AttributeCondition(name="share", values=[share])
        made[f"{share} of the items"] = ItemFilter(attributes=[condition])
    made["one category"] = ItemFilter(category=CATEGORY)
    made["brands, channel"] = ItemFilter(
        brands=[f"Brand {name}" for name in range(5, 25)], sold_in_channel=CHANNEL
    )
    return made


def recall(size: str, plan: Plan) -> list[Figure]:
    """Returns recall and latency for each filter."""
    chosen = asking.users(size, plan.recall_users, seed=5)
    made = []
    with run_home(size) as home:
        snapshot = Releases(home).open_current(verify=False)
        products = (
            [_products(snapshot, user) for user in chosen] if len(chosen) * snapshot.n_items < 5e7 else None
        )
        with Rig(home).settle() as rig, rig.callers(1) as callers:
            for name, filter_ in filters().items():
                matching = _matching(snapshot, filter_)
                requests = [asking.recommend(user, filter_).SerializeToString() for user in chosen]
                callers.keep(name, requests)
                callers.go(RECOMMEND, name)  # fills the caches
                rounds = [callers.go(RECOMMEND, name, answers=True) for _ in range(plan.rounds)]
                shares = [
                    _share(
                        snapshot,
                        user,
                        matching,
                        _products(snapshot, user) if products is None else products[place],
                        answer,
                    )
                    for place, (user, answer) in enumerate(zip(chosen, rounds[0].raw["answers"], strict=True))
                ]
                made.append(
                    figure(
                        "recall",
                        size,
                        name,
                        [mean(shares)],
                        matching_items=int(np.count_nonzero(matching)),
                        worst_shopper=min(shares),
                        p50_us=median(each.p50_us for each in rounds),
                        p99_us=median(each.p99_us for each in rounds),
                        cpu_us=median(each.cpu_us for each in rounds),
                    )
                )
        snapshot.close()
    return made


def _matching(snapshot: Snapshot, filter_: ItemFilter | None) -> NDArray[np.bool_]:
    """Returns which items can be sold and match, read from the snapshot's arrays and sections."""
    keep = snapshot.sellable.copy()
    if filter_ is None:
        return keep
    if filter_.category:
        keep &= _in(snapshot, snapshot.category_rows(filter_.category))
    if filter_.sold_in_channel:
        keep &= _in(snapshot, snapshot.facet_rows("channel", filter_.sold_in_channel))
    if filter_.brands:
        either = [_in(snapshot, snapshot.facet_rows("brand", brand)) for brand in filter_.brands]
        keep &= np.logical_or.reduce(either)
    for condition in filter_.attributes:
        keep &= np.logical_or.reduce(
            [
                _in(snapshot, snapshot.facet_rows(f"attribute:{condition.name}", value))
                for value in condition.values
            ]
        )
    return keep


def _in(snapshot: Snapshot, rows: NDArray[np.int32] | None) -> NDArray[np.bool_]:
    keep = np.zeros(snapshot.n_items, np.bool_)
    if rows is not None:
        keep[rows] = True
    return keep


def _products(snapshot: Snapshot, user: int) -> NDArray[np.float32]:
    record = snapshot.user(asking.user_id(user))
    assert record is not None
    products: NDArray[np.float32] = snapshot.item_factors @ record.factors
    return products


def _share(
    snapshot: Snapshot,
    user: int,
    matching: NDArray[np.bool_],
    products: NDArray[np.float32],
    answer: str,
) -> float:
    """Returns which share of the exact best is in an answer; 1 where nothing matches."""
    record = snapshot.user(asking.user_id(user))
    assert record is not None
    eligible = matching.copy()
    eligible[record.purchased_rows] = False
    rows = np.flatnonzero(eligible)
    if rows.size > asking.PAGE:
        scores = products[rows]
        rows = rows[np.argpartition(-scores, asking.PAGE - 1)[: asking.PAGE]]
    given = RecommendResponse.FromString(bytes.fromhex(answer)).results
    found = {item_row(entry.item.item_id) for entry in given}
    return len(found.intersection(rows.tolist())) / rows.size if rows.size else 1.0
