"""Facets and daily demand of a few items, worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recdata.training_artefacts import DAILY_SALES, FORECAST_DAILY, ITEMS
from training.facets import MAX_ATTRIBUTE_VALUES, daily_demand, item_facets

AS_OF = date(2025, 3, 1)


def items(*attributes: str, brands: tuple[str | None, ...] | None = None) -> pl.DataFrame:
    brands = brands or (None,) * len(attributes)
    rows = [
        (row, f"i{row}", "T", "A", brand, 1.0, None, AS_OF, "active", None, text)
        for row, (text, brand) in enumerate(zip(attributes, brands, strict=True))
    ]
    return pl.DataFrame(rows, schema=ITEMS, orient="row")


def sales(*cells: tuple[int, int, str, str, float, int]) -> pl.LazyFrame:
    """Cells of (item_row, days before as_of, channel, region, quantity, buyers)."""
    rows = [
        (item, AS_OF - timedelta(days=age), channel, region, quantity, quantity, buyers, buyers)
        for item, age, channel, region, quantity, buyers in cells
    ]
    return pl.LazyFrame(rows, schema=DAILY_SALES, orient="row")


def plain(facets: dict[tuple[str, str], np.ndarray]) -> dict[tuple[str, str], list[int]]:
    assert all(rows.dtype == np.int32 for rows in facets.values())
    return {key: rows.tolist() for key, rows in facets.items()}


def test_brand_channel_and_region_are_facets_and_no_name_is_none() -> None:
    sold = sales((1, 3, "web", "", 1.0, 1), (0, 2, "web", "north", 2.0, 1), (1, 2, "web", "north", -1.0, 0),
                 (1, 1, "", "south", 1.0, 1), (0, 1, "shop", "", -1.0, 0))  # fmt: skip
    facets, left_out = item_facets(items("{}", "{}", "{}", brands=("Acme", "", "Acme")), sold)
    assert plain(facets) == {
        ("brand", "Acme"): [0, 2],
        ("channel", "web"): [0, 1],
        ("region", "north"): [0],  # 1 was only returned there
        ("region", "south"): [1],
    }
    assert left_out == []


def test_attributes_are_facets_by_their_scalars_as_text() -> None:
    made = items(
        '{"colour": "red", "size": 5, "vegan": true, "fat": 1.5, "note": null, "deep": {"x": 1}}',
        '{"colour": "梨", "size": "5", "tags": ["a", "b", "", null], "empty": ""}',
        "",
    )
    facets, _ = item_facets(made, sales())
    assert plain(facets) == {
        ("attribute:colour", "red"): [0],
        ("attribute:colour", "梨"): [1],
        ("attribute:fat", "1.5"): [0],
        ("attribute:size", "5"): [0, 1],
        ("attribute:tags", "a"): [1],
        ("attribute:tags", "b"): [1],
        ("attribute:vegan", "true"): [0],
    }


def test_an_attribute_of_too_many_values_is_free_text_and_told() -> None:
    many = items(*(f'{{"text": "t{row}", "kind": "k"}}' for row in range(MAX_ATTRIBUTE_VALUES + 1)))
    facets, left_out = item_facets(many, sales())
    assert list(facets) == [("attribute:kind", "k")]
    assert left_out == ["text"]
    facets, left_out = item_facets(many.head(MAX_ATTRIBUTE_VALUES), sales())
    assert (len(facets), left_out) == (MAX_ATTRIBUTE_VALUES + 1, [])


def test_demand_is_the_own_forecast_else_the_last_four_weeks_else_unknown() -> None:
    days = [AS_OF + timedelta(days=ahead) for ahead in range(2)]
    rows = [("item", "i0", day, mean, 0.0, 9.0, "m") for day, mean in zip(days, (2.0, 3.0), strict=True)]
    rows += [("category", "i1", days[0], 99.0, 0.0, 9.0, "m"), ("item", "gone", days[0], 9.0, 0.0, 9.0, "m")]
    forecasts = pl.LazyFrame(rows, schema=FORECAST_DAILY, orient="row")
    sold = sales((0, 1, "", "", 50.0, 1), (1, 28, "", "", 10.0, 1), (1, 5, "", "", 4.0, 1),
                 (1, 29, "", "", 99.0, 1), (2, 60, "", "", 5.0, 1), (3, 60, "", "", 5.0, 1),
                 (3, 2, "", "", -2.0, 0))  # fmt: skip
    demand = daily_demand(items(*["{}"] * 5), forecasts, sold, as_of=AS_OF)
    assert demand.dtype == np.float32
    assert demand.tolist() == pytest.approx([2.5, 0.5, 0.0, 0.0, float("nan")], nan_ok=True)
