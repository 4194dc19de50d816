"""A shop small enough to work out every answer by hand, published as a real snapshot.

Six items, rows by ascending id: 0 apple, 1 beer, 2 bread, 3 milk, 4 pear, 5 wine. Milk cannot be sold. The
factors are such that ann's exact product orders the items by row, from the last to the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from recdata.places import PlaceShares
from recdata.releases import Releases
from recdata.snapshot import (
    CandidateRecord,
    FoldIn,
    ForecastRecord,
    ItemRecord,
    Manifest,
    RankedList,
    SnapshotWriter,
    UserRecord,
)
from tests.arrays import snapshot_arrays

AS_OF = date(2025, 3, 1)
ITEMS = {
    "apple": ("Apple", "Food > Fruit", 1.5),
    "beer": ("Beer", "Drinks", 2.19),
    "bread": ("Bread", "Food > Bakery", 3.0),
    "milk": ("Milk", "Drinks", 0.99),
    "pear": ("梨 🍐", "Food > Fruit", None),
    "wine": ("Wine", "Drinks", 12.0),
}
ROWS = {item_id: row for row, item_id in enumerate(ITEMS)}
UNICODE_USER = "顾客-ü-" + "界" * 63


def rows(*item_ids: str) -> np.ndarray:
    return np.array([ROWS[item_id] for item_id in item_ids], np.int32)


def ranked_list(*item_ids: str) -> RankedList:
    scores = np.arange(len(item_ids), 0, -1).astype(np.float32)
    return RankedList(rows(*item_ids), scores, (10 * scores).astype(np.int32))


def user(
    factors: tuple[float, float], purchased: np.ndarray, ranked: np.ndarray, sources: list[int]
) -> UserRecord:
    scores = np.linspace(0.9, 0.5, ranked.size, dtype=np.float32)
    return UserRecord(
        user_row=0,
        tier=0,
        factors=np.array(factors, np.float32),
        purchased_rows=np.sort(purchased),
        purchased_days=np.full(purchased.size, 20_140, np.int32),  # 2025-02-21
        ranked_rows=ranked,
        ranked_scores=scores,
        ranked_sources=np.array(sources, np.uint8),
        interacted_rows=np.sort(purchased),
        confidences=np.full(purchased.size, 2.0, np.float32),
    )


def candidate(rank: int, item_id: str, action: str, stage: str, **fields) -> CandidateRecord:
    plain = {
        "score": 1 - rank / 10,
        "trend": 0.25,
        "demand": 100.0,
        "demand_q10": 80.0,
        "demand_q90": 130.0,
        "recent_sales": 90.0,
        "revenue_at_stake": 150.5,
        "repurchase_rate": 0.4,
        "order_value": 20.0,
        "price_band": "mid",
        "components": {"demand": 0.7, "trend": 0.6},
        "reasons_zh": ["需求上升"],
        "reasons_en": ["Demand is rising"],
    }
    return CandidateRecord(
        rank=rank,
        item_row=ROWS[item_id],
        category=ITEMS[item_id][1],
        action=action,
        stage=stage,
        **plain | fields,
    )


def plain_candidates() -> list[CandidateRecord]:
    return [
        candidate(1, "pear", "push", "growth"),
        candidate(2, "beer", "keep", "mature"),
        candidate(3, "apple", "drop", "dead"),
    ]


@dataclass
class Tiny:
    """What differs between one published snapshot and the next."""

    title_suffix: str = ""
    without_arrays: tuple[str, ...] = ()
    business_timezone: str = "UTC"
    candidates: list[CandidateRecord] = field(default_factory=plain_candidates)
    forecasts: dict[tuple[str, str], ForecastRecord] = field(default_factory=dict)
    places: PlaceShares | None = None
    lists: dict[tuple[str, int, str, str, str], RankedList] = field(
        default_factory=lambda: {
            ("best", 28, "", "", ""): ranked_list("beer", "milk", "apple", "bread"),
            ("best", 28, "", "app", ""): ranked_list("wine", "beer"),
            ("best", 28, "", "app", "north"): ranked_list("pear", "wine"),
            ("best", 28, "Food", "", ""): ranked_list("bread", "apple"),
            ("best", 7, "", "", ""): ranked_list("wine"),
            ("trending", 28, "", "", ""): ranked_list("wine", "pear"),
        }
    )

    def publish(self, home: Path) -> Manifest:
        return Releases(home).publish(self.write)

    def write(self, writer: SnapshotWriter) -> Manifest:
        similar_rows = np.full((6, 3), -1, np.int32)
        similar_rows[ROWS["apple"]] = rows("pear", "milk", "bread")
        similar_scores = np.tile(np.array([0.9, 0.8, 0.7], np.float32), (6, 1))
        paths = {
            "Food": rows("apple", "bread", "pear"),
            "Food > Fruit": rows("apple", "pear"),
            "Food > Bakery": rows("bread"),
            "Drinks": rows("beer", "milk", "wine"),
            "Empty": np.empty(0, np.int32),
        }
        names = sorted(paths)
        together = {"apple": (["pear", "wine"], [3.0, 1.5], [12, 6]), "wine": (["apple"], [1.5], [6])}
        arrays = {
            "item_factors": np.array([[row, 1] for row in range(6)], np.float32),
            "similar_rows": similar_rows,
            "similar_scores": similar_scores,
            "sellable": np.array([item_id != "milk" for item_id in ITEMS]),
            "stock": np.array([0 if item_id == "milk" else -1 for item_id in ITEMS], np.int64),
            "price": np.array([price or np.nan for _, _, price in ITEMS.values()]),
            "category_codes": np.array(
                [names.index(category) for _, category, _ in ITEMS.values()], np.int32
            ),
            "together_rows": np.full((6, 2), -1, np.int32),
            "together_lifts": np.zeros((6, 2), np.float32),
            "together_orders": np.zeros((6, 2), np.int32),
            "item_orders": np.array([40, 50, 30, 10, 20, 20], np.int32),
        }
        for item_id, (others, lifts, orders) in together.items():
            there = slice(0, len(others))
            arrays["together_rows"][ROWS[item_id], there] = rows(*others)
            arrays["together_lifts"][ROWS[item_id], there] = lifts
            arrays["together_orders"][ROWS[item_id], there] = orders
        arrays = snapshot_arrays(6, **arrays)
        writer.write_arrays(
            {name: array for name, array in arrays.items() if name not in self.without_arrays}
        )
        writer.write_items(
            ItemRecord(
                item_id,
                title + self.title_suffix,
                category,
                "Orchard" if item_id in ("apple", "pear") else "",
                price,
                0 if item_id == "milk" else None,
                "active",
                None,
            )
            for item_id, (title, category, price) in ITEMS.items()
        )
        writer.write_categories(paths)
        writer.write_facets(
            {
                ("brand", "Orchard"): rows("apple", "pear"),
                ("channel", "app"): rows("pear", "wine"),
                ("region", "north"): rows("wine"),
                ("attribute:organic", "yes"): rows("apple", "bread"),
            }
        )
        users = {
            "ann": user((1, 0), rows("bread", "wine"), rows("bread", "milk", "apple"), [2, 1, 1]),
            "cold": user((0, 0), rows("beer"), rows(), []),
            UNICODE_USER: user((1, 0), rows(), rows("pear"), [1]),
        }
        writer.write_users(sorted(users.items(), key=lambda pair: pair[0].encode()))
        writer.write_lists(self.lists)
        flat = np.array([3, 4, 5], np.float32)
        total = ForecastRecord(AS_OF, "prophet", flat, flat - 1, flat + 1)
        writer.write_forecasts({("total", ""): total} | self.forecasts)
        if self.places is not None:
            writer.write_places(self.places)
        writer.write_candidates(self.candidates)
        return writer.finish(
            as_of=AS_OF,
            created_at=datetime(2025, 3, 1, 2, tzinfo=UTC),
            currency="CNY",
            metrics={"ndcg_at_20": 0.25},
            lineage={},
            orders=100,
            fold_in=FoldIn(
                penalty=0.5, alpha=1.0, event_weights={"purchase": 3.0, "view": 1.5, "add_to_cart": 2.0}
            ),
            catalogue_at=datetime(2025, 3, 1, 1, tzinfo=UTC),
            business_timezone=self.business_timezone,
        )
