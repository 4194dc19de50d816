"""Owns a synthetic snapshot with a realistic skew: few items sell most, few shoppers buy most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from recdata.releases import Releases
from recdata.snapshot import ItemRecord, Manifest, RankedList, SnapshotWriter, UserRecord

AS_OF = date(2025, 1, 1)
CHANNELS = ("", "app", "shop")
CATEGORIES = 200


@dataclass(frozen=True, slots=True)
class Size:
    """How large the shop is."""

    items: int = 50_000
    users: int = 10_000
    factors: int = 64
    candidates: int = 200
    seed: int = 1


def user_id(number: int) -> str:
    """Returns the id of the shopper with a number."""
    return f"user-{number:07d}"


def publish(home: Path, size: Size) -> Manifest:
    """Writes the snapshot and makes it the serving one."""
    rng = np.random.default_rng(size.seed)
    weights = 1 / np.arange(1, size.items + 1) ** 0.8
    popularity = rng.permutation(weights / weights.sum())

    def write(writer: SnapshotWriter) -> Manifest:
        k = min(20, size.items)
        writer.write_arrays(
            {
                "item_factors": rng.standard_normal((size.items, size.factors), np.float32) / 8,
                "similar_rows": rng.integers(0, size.items, (size.items, k), np.int32),
                "similar_scores": np.sort(rng.random((size.items, k), np.float32))[:, ::-1],
                "sellable": rng.random(size.items) < 0.95,
                "price": np.round(rng.lognormal(2, 1, size.items), 2),
            }
        )
        writer.write_items(
            ItemRecord(
                item_id=f"item-{row:07d}",
                title=f"Specialty product number {row} 500 g",
                category=_category(row % CATEGORIES),
                brand=f"Brand {row % 997}",
                price=2.5 + row % 100,
                stock=None,
                status="active",
                launched_on=None,
            )
            for row in range(size.items)
        )
        rows = np.arange(size.items, dtype=np.int32)
        leaves = {_category(leaf): rows[rows % CATEGORIES == leaf] for leaf in range(CATEGORIES)}
        tops = {
            f"Department {top}": rows[(rows % CATEGORIES) // 20 == top] for top in range(CATEGORIES // 20)
        }
        writer.write_categories(leaves | tops)
        writer.write_users(_users(rng, size, popularity))
        best = np.argsort(-popularity, kind="stable").astype(np.int32)
        ranked = RankedList(
            best[:200], popularity[best[:200]].astype(np.float32), np.arange(200, 0, -1, np.int32)
        )
        writer.write_lists({("best", 28, "", channel, ""): ranked for channel in CHANNELS})
        writer.write_forecasts({})
        writer.write_candidates([])
        return writer.finish(
            as_of=AS_OF, created_at=datetime(2025, 1, 1, tzinfo=UTC), currency="CNY", metrics={}, lineage={}
        )

    return Releases(home).publish(write)


def _users(rng: np.random.Generator, size: Size, popularity: np.ndarray) -> Iterator[tuple[str, UserRecord]]:
    """Yields shoppers; their lists lean to what sells, their purchase counts are skewed (median about 60)."""
    edges = popularity.cumsum()
    for number in range(size.users):
        bought = min(int(rng.lognormal(4.1, 0.9)) + 1, 2000)
        drawn = edges.searchsorted(rng.random(bought + 2 * size.candidates) * edges[-1])
        ranked = np.unique(drawn[bought:])
        ranked = rng.permutation(ranked)[: size.candidates].astype(np.int32)
        yield (
            user_id(number),
            UserRecord(
                user_row=number,
                tier=0,
                factors=rng.standard_normal(size.factors).astype(np.float32),
                purchased_rows=np.unique(drawn[:bought]).astype(np.int32),
                ranked_rows=ranked,
                ranked_scores=np.linspace(1, 0, ranked.size, dtype=np.float32),
                ranked_sources=rng.integers(1, 3, ranked.size).astype(np.uint8),
            ),
        )


def _category(leaf: int) -> str:
    return f"Department {leaf // 20} > Class {leaf % 20:02d}"
