"""Makes small shops as a retailer would send them: CSV files in a folder."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST_DAY = datetime(2024, 1, 1, 12, tzinfo=UTC)
NOW = datetime(2025, 1, 1, tzinfo=UTC)

SMALL_CONFIG = """
[training.als]
factors = 4
iterations = 3

[training.interactions]
min_user_items = 1
min_item_users = 1

[training.forecast]
back_test_origins = 2
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """How large a shop is; each user buys about one order in three days."""

    users: int = 30
    items: int = 12
    days: int = 120
    seed: int = 1
    prefix: str = ""

    def write(self, folder: Path) -> Path:
        """Writes events.csv and items.csv and returns the folder."""
        rng = random.Random(self.seed)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "items.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["item_id", "title", "category", "brand", "price"])
            for item in range(self.items):
                category = f"Dept {item % 2} > Class {item % 4}"
                writer.writerow([self.item(item), f"Item {item}", category, f"Brand {item % 3}", 2 + item])
        with (folder / "events.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(
                ["user_id", "item_id", "event_type", "event_time", "quantity", "unit_price", "order_id"]
            )
            for day in range(self.days):
                for user in range(self.users):
                    if rng.random() > 0.35 and (day or user):
                        continue
                    time = FIRST_DAY + timedelta(days=day, minutes=user)
                    liked = [item for item in range(self.items) if item % 2 == user % 2] or [0]
                    for item in sorted({rng.choice(liked) for _ in range(3)}):
                        order = f"o{day}-{user}"
                        row = [
                            self.user(user),
                            self.item(item),
                            "purchase",
                            time.isoformat(),
                            1,
                            2 + item,
                            order,
                        ]
                        writer.writerow(row)
        return folder

    def user(self, number: int) -> str:
        """Returns the id of a user."""
        return f"{self.prefix}u{number}"

    def item(self, number: int) -> str:
        """Returns the id of an item."""
        return f"{self.prefix}i{number}"
