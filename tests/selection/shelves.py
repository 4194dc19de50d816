"""Owns what tests choose an assortment from: shelves made by hand, and runs that the stage stands on."""

import msgspec
import numpy as np
import polars as pl

from recdata.artefacts import write_artefact
from recdata.places import RATIOS_SHAPE, PlaceFigures
from recdata.selection_artefacts import SELECTION
from recdata.training_artefacts import PLACE_SHARES, PLACE_WEIGHTS, PLACES
from selection.assortment.candidates import CANDIDATES
from selection.assortment.config import AssortmentConfig
from selection.config import SelectionConfig
from tests.selection.test_stages import write_run


def shelf(values, *, costs=None, categories=None, bands=None, new=None, now=None):
    n = len(values)
    category = list(categories or ["A > B"] * n)
    columns = {
        "item_row": range(n),
        "item_id": [f"i{number:02d}" for number in range(n)],
        "category": category,
        "slot_category": category,
        "price_band": list(bands or ["mid"] * n),
        "value": [float(value) for value in values],
        "cost": [float(cost) for cost in (costs or values)],
        "is_new": list(new or [False] * n),
        "sells_now": list(now or [True] * n),
        "loses": [False] * n,
    }
    return pl.DataFrame(columns, schema=CANDIDATES)


def nothing_alike(n):
    return (np.full((n, 1), -1, np.int32), np.zeros((n, 1), np.float32)), np.full((n, 1), -1, np.int32)


def selection_of(tables):
    """Returns a SELECTION of every item, worth more the later it stands, without what other rooms know."""
    told = {"action": "keep", "stage": "mature", "price_band": "mid"}
    amounts = {"recent_sales": 1.0, "demand": 2.0}
    return tables.items.select(
        *(
            pl.col(name)
            if name in tables.items.columns
            else pl.lit(told.get(name, amounts.get(name)), dtype=dtype).alias(name)
            for name, dtype in SELECTION.items()
        )
    ).with_columns(
        rank=pl.col("item_row") + 1,
        revenue_at_stake=pl.col("item_row").cast(pl.Float64) + 10.0,
        expected_value=pl.lit(None, pl.Float64),
    )


def selected(busy_shop, tmp_path, **config):
    run = write_run(busy_shop, tmp_path)
    write_artefact(selection_of(busy_shop), run.path / "selection.parquet", "selection")
    np.save(run.path / "similar_rows.npy", np.tile(np.arange(80, dtype=np.int32), (80, 1))[:, :20])
    np.save(run.path / "similar_scores.npy", np.full((80, 20), 0.8, np.float32))
    np.save(run.path / "together_rows.npy", np.full((80, 1), -1, np.int32))
    return run, SelectionConfig(assortment=AssortmentConfig(**config))


def places_of(run):
    """Writes shares of three places: X sells in the app, Y mostly in the shop, the kiosk has closed."""
    places = {"channel": ["app", "kiosk", "shop"], "region": ["north"] * 3, "share": [0.5, 0.0, 0.5]}
    named = pl.DataFrame({"place_row": range(3), **places, "first_sold_on": None, "last_sold_on": None})
    own = [("item", row, 0 if row < 40 else 2, 1.0) for row in range(80)]
    weights = {"own": [0.8] * 80, "category": [0.0] * 80, "shop": [0.2] * 80}
    weighed = pl.DataFrame({"item_row": range(80), "category_row": [-1] * 80, **weights})
    for name, schema, frame in (
        ("places", PLACES, named),
        ("place_shares", PLACE_SHARES, pl.DataFrame(own, schema=PLACE_SHARES, orient="row")),
        ("place_weights", PLACE_WEIGHTS, weighed),
    ):
        write_artefact(frame.cast(schema), run.path / f"{name}.parquet", name)
    ratios = np.ones(RATIOS_SHAPE).tolist()
    figures = PlaceFigures(
        horizon_days=28, ratios=ratios, categories=[], weights=[], unit_edges=[], covered={}
    )
    (run.path / "places.json").write_bytes(msgspec.json.encode(figures))
