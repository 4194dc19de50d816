"""Figures that must be the same to the last digit in every run, on lines whose sums depend on their order."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recdata.artefacts import write_artefact
from recdata.training_artefacts import BEHAVIOUR, DAILY_SALES, PROMOTED_DAYS, PURCHASES
from recdata.training_artefacts import ITEMS as ITEM_SCHEMA
from selection.config import FeaturesConfig
from selection.windows import order_values
from training.evaluate.split import Split, bought_pairs
from training.forecast.config import ForecastConfig
from training.forecast.history import load_history
from training.history import pair_history
from training.interactions import InteractionsConfig, build_interactions

AS_OF = date(2025, 1, 1)
USERS, ITEMS, LINES, RUNS = 40, 30, 300_000, 6


@pytest.fixture(scope="module")
def purchases():
    rng = np.random.default_rng(5)
    days = pl.Series(np.datetime64(AS_OF) - rng.integers(1, 100, LINES).astype("timedelta64[D]"))
    orders = rng.integers(0, LINES // 3, LINES)
    lines = pl.DataFrame(
        {
            "day": days.cast(pl.Date),
            "user_row": orders % USERS,
            "item_row": rng.integers(0, ITEMS, LINES),
            "order_id": orders.astype(str),
            "quantity": rng.random(LINES) + 0.1,
            "revenue": rng.random(LINES) * 9,
            "channel": rng.choice(["web", "shop"], LINES),
            "region": rng.choice(["north", "south"], LINES),
        },
        schema_overrides=PURCHASES,
    ).select(list(PURCHASES))
    return lines.sort(lines.columns)


def test_order_values_are_repeatable(purchases):
    figures = [
        order_values(purchases.lazy(), AS_OF, FeaturesConfig()).sort("item_row").rows() for _ in range(RUNS)
    ]
    assert all(figure == figures[0] for figure in figures)


def test_interactions_are_repeatable(purchases):
    config = InteractionsConfig(min_item_users=1)
    nothing = pl.LazyFrame(schema=BEHAVIOUR)
    matrices = [
        build_interactions(purchases.lazy(), nothing, USERS, ITEMS, as_of=AS_OF, config=config)
        for _ in range(RUNS)
    ]
    assert all(np.array_equal(matrix.data, matrices[0].data) for matrix in matrices)


def test_histories_are_repeatable(purchases):
    categories = np.zeros(ITEMS, np.int32)
    histories = [pair_history(purchases.lazy(), USERS, categories, as_of=AS_OF) for _ in range(RUNS)]
    for name in ("pair_features", "item_features", "user_features"):
        first = getattr(histories[0], name)
        assert all(np.array_equal(getattr(each, name), first, equal_nan=True) for each in histories)
    kept = [each.affinities[0].kept for each in histories]
    assert all(np.array_equal(each, kept[0], equal_nan=True) for each in kept)
    weights = [each.neighbours.weights for each in histories]
    assert all(np.array_equal(each, weights[0]) for each in weights)


def test_what_was_bought_is_repeatable(purchases):
    split = Split(AS_OF - timedelta(days=90), AS_OF)
    bought = [bought_pairs(purchases.lazy(), split) for _ in range(RUNS)]
    assert all(each.equals(bought[0]) for each in bought)


def test_forecast_histories_are_repeatable(purchases, tmp_path):
    row = {"item_id": "", "title": "", "category": "A", "status": "active", "attributes": "{}"}
    items = pl.DataFrame([row | {"item_row": number} for number in range(ITEMS)], schema=ITEM_SCHEMA)
    cells = purchases.with_columns(buyers=1, orders=1).select(
        pl.col(name).cast(dtype) for name, dtype in DAILY_SALES.items()
    )
    paths = {name: tmp_path / f"{name}.parquet" for name in ("items", "daily_sales", "promoted_days")}
    for name, frame in zip(paths, (items, cells, pl.DataFrame(schema=PROMOTED_DAYS)), strict=True):
        write_artefact(frame, paths[name], name)
    histories = [load_history(**paths, as_of=AS_OF, config=ForecastConfig()) for _ in range(RUNS)]
    for each in histories[1:]:
        assert np.array_equal(each.revenue.data, histories[0].revenue.data)
        assert np.array_equal(each.channels["web"], histories[0].channels["web"])
