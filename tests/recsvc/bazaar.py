"""Random shops as real snapshots, and what each item of one is, for tests against a brute force."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from recdata.snapshot import ItemRecord, RankedList, Snapshot, SnapshotWriter, UserRecord
from tests.arrays import snapshot_arrays

CATALOGUE_AT = datetime(2025, 3, 1, 1, tzinfo=UTC)
N_ITEMS = 60
PATHS = ("", "A", "A > B", "A > B > C", "A > D", "A & B", "A & B > C", "E > F")
BRANDS = ("", "red", "blue", "green")
CHANNELS = ("app", "web")
REGIONS = ("north", "south")
COLOURS = ("", "warm", "cold")


@dataclass(frozen=True)
class Ware:
    """One item as the test knows it."""

    item_id: str
    category: str
    brand: str
    price: float | None
    stock: int | None
    active: bool
    colour: str
    sold_in: frozenset[str] = field(default_factory=frozenset)


def wares(seed: int) -> list[Ware]:
    rng = np.random.default_rng(seed)
    return [
        Ware(
            item_id=f"item-{row:03d}",
            category=str(rng.choice(PATHS)),
            brand=str(rng.choice(BRANDS)),
            price=None if rng.random() < 0.1 else round(float(rng.integers(1, 40)) * 0.37, 2),
            stock=None if rng.random() < 0.5 else int(rng.integers(0, 3)),
            active=bool(rng.random() < 0.9),
            colour=str(rng.choice(COLOURS)),
            sold_in=frozenset(place for place in CHANNELS + REGIONS if rng.random() < 0.6),
        )
        for row in range(N_ITEMS)
    ]


def rows_where(found) -> np.ndarray:
    return np.flatnonzero(np.array(list(found), np.bool_)).astype(np.int32)


def above(category: str) -> list[str]:
    parts = category.split(" > ") if category else []
    return [" > ".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


def shopper(rng: np.random.Generator, n_items: int) -> UserRecord:
    """Returns somebody who bought up to ten items, with a ranked list of up to twenty."""
    purchased = np.sort(rng.permutation(n_items)[: rng.integers(0, 11)]).astype(np.int32)
    ranked = rng.permutation(n_items)[: rng.integers(0, 21)].astype(np.int32)
    return UserRecord(
        user_row=0,
        tier=0,
        factors=rng.normal(size=2).astype(np.float32),
        purchased_rows=purchased,
        purchased_days=np.full(purchased.size, 20_140, np.int32),
        ranked_rows=ranked,
        ranked_scores=np.linspace(0.9, 0.5, ranked.size, dtype=np.float32),
        ranked_sources=rng.integers(1, 3, ranked.size).astype(np.uint8),
        interacted_rows=purchased,
        confidences=np.full(purchased.size, 2.0, np.float32),
    )


def open_bazaar(folder: Path, shop: list[Ware], *, users: dict[str, UserRecord] | None = None) -> Snapshot:
    """Returns a snapshot of the shop, as the nightly job would make it."""
    n_items = len(shop)
    rng = np.random.default_rng(n_items)
    beside = [rng.permutation(n_items)[:4] for _ in shop] if n_items > 4 else np.full((n_items, 4), -1)
    best = rng.permutation(n_items)[:15].astype(np.int32)
    paths = sorted({path for ware in shop for path in above(ware.category)})
    facets = {("brand", brand): [ware.brand == brand for ware in shop] for brand in BRANDS if brand}
    facets |= {("channel", place): [place in ware.sold_in for ware in shop] for place in CHANNELS}
    facets |= {("region", place): [place in ware.sold_in for ware in shop] for place in REGIONS}
    facets |= {("attribute:colour", value): [ware.colour == value for ware in shop] for value in COLOURS[1:]}
    with SnapshotWriter(folder) as writer:
        writer.write_arrays(
            snapshot_arrays(
                n_items,
                item_factors=rng.normal(size=(n_items, 2)).astype(np.float32),
                similar_rows=np.array(beside, np.int32).reshape(n_items, 4),
                similar_scores=np.tile(np.array([0.9, 0.8, 0.7, 0.6], np.float32), (n_items, 1)),
                active=np.array([ware.active for ware in shop]),
                sellable=np.array([ware.active and ware.stock != 0 for ware in shop]),
                price=np.array([np.nan if ware.price is None else ware.price for ware in shop]),
                stock=np.array([-1 if ware.stock is None else ware.stock for ware in shop], np.int64),
                category_codes=np.array(
                    [paths.index(ware.category) if ware.category else -1 for ware in shop], np.int32
                ),
            )
        )
        writer.write_items(
            ItemRecord(
                ware.item_id,
                ware.item_id.title(),
                ware.category,
                ware.brand,
                ware.price,
                ware.stock,
                "active" if ware.active else "discontinued",
                None,
            )
            for ware in shop
        )
        writer.write_categories({path: rows_where(path in above(w.category) for w in shop) for path in paths})
        writer.write_facets({key: rows_where(found) for key, found in facets.items() if any(found)})
        writer.write_users(sorted((users or {}).items()))
        writer.write_lists({("best", 28, "", "", ""): RankedList(best, best.astype(np.float32), best)})
        writer.write_forecasts({})
        writer.write_candidates([])
        writer.finish(
            as_of=date(2025, 3, 1),
            created_at=datetime(2025, 3, 1, 2, tzinfo=UTC),
            currency="CNY",
            metrics={},
            lineage={},
            catalogue_at=CATALOGUE_AT,
        )
    return Snapshot.open(folder)
