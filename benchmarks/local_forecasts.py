"""Judges forecasts by item and place beside plain rules, at the run's own past origins.

    python benchmarks/local_forecasts.py --home HOME [--by-home] [--regular 4] [--last N] [--config FILE]

Every pair of an item that was forecast and a place (channel and region) counts, whether it ever sold or not;
the horizon's units are compared with what was sold. All rules stand on the morning of the origin. Measures:

- squares: squared errors over the usual rate (a count's variance), summed and divided by the units sold; the
  usual rate is the mean of the plain rules' forecasts and 0.01 units a day. It is least for the mean, which
  is what stock is planned with.
- WAPE: absolute errors over units sold. It is least for the median, which is nothing for most pairs, so
  "nothing" is among the rules.
- the same WAPE of a category in a place, and of a place.

"regular" pairs sold at least so many units in the 84 days before. With --last only so many of the latest
origins are judged; all of them teach. With --by-home a place is where the buyer lives (`region` of the
customers), for shops whose events tell none. --made ITEMS REGIONS makes a shop of that size instead, with two
channels and a year of sales, to see time and memory.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from rich.console import Console
from rich.table import Table
from scipy import sparse

from recdata.artefacts import read_artefact, write_artefact
from recdata.config import load_config
from recdata.runs import RunFolder
from recdata.sums import group_sums
from recdata.training_artefacts import DAILY_SALES, ITEMS
from training.config import TrainingConfig
from training.places.coverage import Coverage
from training.places.sales import PlaceSales, load_sales
from training.places.stage import item_means
from training.places.walk import LocalOutcome, walk_places

Floats = npt.NDArray[np.float64]

OURS, NOTHING = "ours", "nothing"
USUAL_FLOOR = 0.01
CHUNK = 2_000
LEVELS = ("item x place", "regular pairs", "category x place", "place")


@dataclass(slots=True)
class Sums:
    """What is added up over pairs, of one rule at one level."""

    squares: float = 0.0
    absolute: float = 0.0
    sold: float = 0.0


@dataclass(slots=True)
class Judged:
    """Sums by origin, level and rule, and the intervals' coverage."""

    sums: dict[tuple[date, str, str], Sums] = field(default_factory=dict)
    covered: Coverage = field(default_factory=Coverage)


def main() -> None:
    """Walks over the origins and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, default=Path("var"), help="home folder with a run")
    parser.add_argument("--config", type=Path, help="TOML config; defaults without it")
    parser.add_argument("--by-home", action="store_true", help="places are where buyers live")
    parser.add_argument("--regular", type=float, default=4.0, help="units in 84 days of a regular pair")
    parser.add_argument("--last", type=int, default=1_000, help="origins to judge, the latest ones")
    parser.add_argument("--made", type=int, nargs=2, metavar=("ITEMS", "REGIONS"), help="a made shop")
    asked = parser.parse_args()
    config = load_config(asked.config, "training", TrainingConfig)
    with tempfile.TemporaryDirectory() as folder:
        if asked.made:
            sales, means = made_shop(Path(folder), *asked.made)
        else:
            sales, means = read_home(asked.home, Path(folder), config, by_home=asked.by_home)
        console = Console(width=130)
        console.print(f"{sales.n_items:,} items, {sales.n_places} places, {len(sales.starts):,} pairs")
        began, spent = time.perf_counter(), time.process_time()
        judged, judging, horizon = Judged(), 0.0, config.forecast.horizon_days
        ended = [] if asked.made else sorted(day for day in means if day + horizon <= sales.n_days)
        for outcome in walk_places(sales, means, horizon=horizon, config=config.places):
            at = time.process_time()
            if outcome.origin in ended[-asked.last :]:
                judge(judged, sales, outcome, horizon, asked.regular)
            judging += time.process_time() - at
        spent = time.process_time() - spent - judging
        if not asked.made:
            show(console, judged)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        wall = time.perf_counter() - began
        console.print(
            f"the forecasts: {spent:.1f} s of CPU; with the judging {wall:.1f} s, peak {peak:.2f} GB"
        )


def read_home(
    home: Path, folder: Path, config: TrainingConfig, *, by_home: bool
) -> tuple[PlaceSales, dict[int, Floats]]:
    """Returns a run's sales and its items' forecasts by origin."""
    path = max((home / "runs").iterdir())
    run = RunFolder(home, path.name, date.fromisoformat(path.name[:8]))
    daily = run.resolve("daily_sales.parquet")
    if by_home:
        daily = folder / "daily_sales.parquet"
        write_artefact(_by_home(run), daily, "daily_sales")
    sales = load_sales(
        items=run.resolve("items.parquet"),
        daily_sales=daily,
        as_of=run.as_of,
        history_days=config.forecast.history_days,
        category_depth=config.forecast.category_depth,
    )
    totals = pl.scan_parquet(run.resolve("forecast_totals.parquet"))
    return sales, item_means(totals, sales)


def _by_home(run: RunFolder) -> pl.DataFrame:
    users = read_artefact(run.resolve("users.parquet"), "users").select("user_row", "region")
    bought = read_artefact(run.resolve("purchases.parquet"), "purchases").drop("region")
    keys = ["item_row", "day", "channel", "region"]
    frame = bought.join(users, on="user_row", how="left", maintain_order="left")
    sums = group_sums(frame.with_columns(pl.col("region").fill_null("")), keys, ["quantity", "revenue"])
    return sums.with_columns(buyers=1, orders=1).select(list(DAILY_SALES)).cast(DAILY_SALES)


def judge(judged: Judged, sales: PlaceSales, outcome: LocalOutcome, horizon: int, regular: float) -> None:
    """Adds up one origin's errors."""
    origin = outcome.origin
    day = sales.first + timedelta(days=origin)
    forecast = np.flatnonzero(outcome.mean > 0)
    shape = (sales.n_items, sales.n_places)

    def table(units: Floats) -> sparse.csr_matrix:
        return sparse.csr_matrix((units, (sales.pair_item, sales.pair_place)), shape=shape)

    actual = table(sales.sold(origin, origin + horizon))
    before = {days: table(sales.sold(origin - days, origin)) for days in (28, 84, 365)}
    shop = np.asarray(before[84].sum(axis=0)).ravel()
    shop = shop / max(shop.sum(), 1e-12)
    category = np.where(sales.item_category < 0, len(sales.categories), sales.item_category)
    merged: dict[str, Floats] = {}
    for start in range(0, len(forecast), CHUNK):
        rows = forecast[start : start + CHUNK]
        found = dict(_rules(outcome, before, shop, rows, horizon))
        sold = actual[rows].toarray()
        usual = usual_rate(found, horizon)
        often = before[84][rows].toarray() >= regular
        for rule, mean in [*found.items(), ("(sold)", sold)]:
            into = merged.setdefault(rule, np.zeros((len(sales.categories) + 1, sales.n_places)))
            np.add.at(into, category[rows], mean)
            for level, at in (("item x place", slice(None)), ("regular pairs", often)):
                error = (mean - sold)[at]
                sums = judged.sums.setdefault((day, level, rule), Sums())
                sums.squares += float((error**2 / usual[at]).sum())
                sums.absolute += float(np.abs(error).sum())
                sums.sold += float(sold[at].sum())
    for level, axis in (("category x place", None), ("place", 0)):
        tables = {rule: each if axis is None else each.sum(axis=axis) for rule, each in merged.items()}
        sold = tables.pop("(sold)")
        usual = usual_rate(tables, horizon)
        for rule, mean in tables.items():
            error = mean - sold
            judged.sums[day, level, rule] = Sums(
                float((error**2 / usual).sum()), float(np.abs(error).sum()), float(sold.sum())
            )
    for rule in [name for name in merged if name == "(sold)"]:
        for level in LEVELS:
            judged.sums.pop((day, level, rule), None)
    judged.covered.add(sales, outcome, horizon)


def usual_rate(found: Mapping[str, Floats], horizon: int) -> Floats:
    """Returns the mean of the plain rules' forecasts and a floor: the same whatever ours says."""
    plain = [mean for rule, mean in found.items() if rule not in (OURS, "(sold)")]
    return np.asarray(USUAL_FLOOR * horizon + np.mean(plain, axis=0), dtype=np.float64)


def _rules(
    outcome: LocalOutcome,
    before: Mapping[int, sparse.csr_matrix],
    shop: Floats,
    rows: npt.NDArray[np.int64],
    horizon: int,
) -> Iterator[tuple[str, Floats]]:
    """Yields each rule's forecasts of some items, float64 `(n, n_places)`."""
    parts, mean = outcome.parts, outcome.mean[rows][:, None]
    weights = outcome.weights[rows]
    above = np.concatenate([parts.category, parts.places.share[None]])[parts.item_category[rows]]
    own = parts.own[rows].toarray()
    share = weights[:, :1] * own + weights[:, 1:2] * above + weights[:, 2:] * parts.places.share
    yield OURS, mean * share
    for days in (28, 84):
        yield f"last {days} days there", before[days][rows].toarray() * (horizon / days)
    yield "forecast x shop's share, 84 days", mean * shop
    for days in (84, 365):
        units = before[days][rows].toarray()
        total = units.sum(axis=1, keepdims=True)
        raw = np.where(total > 0, units / np.maximum(total, 1e-12), shop)
        yield f"forecast x own share, {days} days", mean * raw
    yield NOTHING, np.zeros_like(share)


def show(console: Console, judged: Judged) -> None:
    """Prints the errors of all origins together, at how many of them ours is best, and the coverage."""
    days = sorted({day for day, _, _ in judged.sums})
    for level in LEVELS:
        rules = list(dict.fromkeys(rule for _, each, rule in judged.sums if each == level))
        table = Table(title=f"{level}, {len(days)} origins from {days[0]} to {days[-1]}")
        for name in ("rule", "squares", "WAPE", "ours has smaller squares", "ours has smaller WAPE"):
            table.add_column(name)
        for rule in rules:
            mine = [judged.sums[day, level, rule] for day in days]
            ours = [judged.sums[day, level, OURS] for day in days]
            sold = sum(each.sold for each in mine)
            won = [
                f"{sum(a.squares / b.squares < 1 for a, b in zip(ours, mine, strict=True))} of {len(days)}",
                f"{sum(a.absolute / b.absolute < 1 for a, b in zip(ours, mine, strict=True))} of {len(days)}",
            ]
            table.add_row(
                rule,
                f"{sum(each.squares for each in mine) / sold:.4f}",
                f"{sum(each.absolute for each in mine) / sold:.4f}",
                *(won if rule != OURS else ["", ""]),
            )
        console.print(table)
    for view, rows in judged.covered.figures().items():
        table = Table(title=f"80% intervals by {view}, all origins")
        for name in ("forecast above", "forecasts", "below q10", "above q90", "inside"):
            table.add_column(name)
        for row in rows:
            inside = 1 - row.below - row.above
            told = (row.below, row.above, inside)
            table.add_row(f"{row.above_units:g}", f"{row.forecasts:,}", *(f"{share:.1%}" for share in told))
        console.print(table)


def made_shop(folder: Path, n_items: int, n_regions: int) -> tuple[PlaceSales, dict[int, Floats]]:
    """Returns a year of a made shop with two channels, and forecasts that are its true rates."""
    rng = np.random.default_rng(1)
    as_of, days = date(2025, 1, 1), 365
    rate = rng.gamma(0.5, 0.4, n_items)
    shares = rng.dirichlet(np.full(2 * n_regions, 2.0), n_items)
    frames = []
    for lead in range(days):
        units = rng.poisson(rate[:, None] * shares)
        item, place = np.nonzero(units)
        frames.append(
            pl.DataFrame(
                {
                    "item_row": item.astype(np.int32),
                    "day": pl.repeat(as_of - timedelta(days=days - lead), len(item), eager=True),
                    "channel": np.array(["app", "store"])[place % 2],
                    "region": np.array([f"r{code:03}" for code in range(n_regions)])[place // 2],
                    "quantity": units[item, place].astype(float),
                }
            )
        )
    daily = pl.concat(frames).with_columns(revenue=pl.col("quantity") * 9.0, buyers=1, orders=1)
    write_artefact(daily.select(list(DAILY_SALES)).cast(DAILY_SALES), folder / "daily.parquet", "daily_sales")
    names = {
        "item_id": [f"{row:07}" for row in range(n_items)],
        "category": [f"c{row % 200}" for row in range(n_items)],
    }
    items = pl.DataFrame(names).with_row_index("item_row")
    items = items.with_columns(pl.lit(None).alias(name) for name in ITEMS if name not in items.columns)
    write_artefact(items.select(list(ITEMS)).cast(ITEMS), folder / "items.parquet", "items")
    sales = load_sales(
        items=folder / "items.parquet",
        daily_sales=folder / "daily.parquet",
        as_of=as_of,
        history_days=1095,
        category_depth=2,
    )
    return sales, {days - 28 * back: rate * 28 for back in range(9)}


if __name__ == "__main__":
    main()
