"""Prices: elasticities are found where the data hold them, and nowhere else; discounts keep the margin."""

import json
from datetime import date, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from recdata.artefacts import read_artefact
from recdata.selection_artefacts import PRICES
from selection.config import SelectionConfig
from selection.prices.check import check_elasticities
from selection.prices.config import PricesConfig
from selection.prices.discount import Shelf, advise, deepest_discount
from selection.prices.elasticity import Z90, Estimates, own_estimates, pool
from selection.prices.panel import Panel, weekly_panel
from selection.prices.stage import price_items, prices_stage
from tests.selection.test_stages import write_run

TODAY = date(2024, 6, 3)
NAN = float("nan")


def made_panel(slopes, *, level=12.0, weeks=52, seed=7):
    """Returns Poisson weeks of items whose elasticity is known; a third of the cuts come with promotion."""
    rng = np.random.default_rng(seed)
    n = len(slopes)
    cut = rng.random((n, weeks)) < 0.3
    log_price = np.where(cut, -rng.uniform(0.1, 0.4, (n, weeks)), 0.0)
    promoted = (cut & (rng.random((n, weeks)) < 0.33)).astype(np.float64)
    season = np.tile(0.3 * np.sin(np.arange(weeks) / 8), (n, 1))
    mean = level * np.exp(np.asarray(slopes)[:, None] * log_price + 0.5 * promoted + season)
    return Panel(
        item_row=np.arange(n, dtype=np.int32),
        on_sale=np.ones((n, weeks), np.bool_),
        units=rng.poisson(mean).astype(np.float64),
        log_price=log_price,
        promoted=promoted,
        season=season,
    )


def one(**changes):
    usual = {"price": 10.0, "unit_cost": NAN, "supply": NAN, "demand": 10.0, "elasticity": -2.0}
    return Shelf(**{name: np.array([value]) for name, value in (usual | changes).items()})


def test_own_estimates_find_what_the_weeks_were_made_with_and_intervals_hold_it():
    slopes = np.random.default_rng(1).normal(-1.8, 0.5, 400)
    own = own_estimates(made_panel(slopes))
    assert abs((own.slope - slopes).mean()) < 0.05
    held = np.abs(own.slope - slopes) <= Z90 * own.error
    assert 0.86 <= held.mean() <= 0.95


def test_thin_items_are_not_pulled_towards_zero():
    slopes = np.full(400, -2.0)
    own = own_estimates(made_panel(slopes, level=1.5))
    weight = 1 / np.square(own.error)
    assert (own.slope * weight).sum() / weight.sum() == pytest.approx(-2.0, abs=0.15)


def test_units_may_be_grams():
    weeks = made_panel([-2.0], level=1e9)
    own = own_estimates(weeks)
    assert own.slope == pytest.approx([-2.0], abs=0.01)
    assert own.error[0] < 0.01


def test_a_price_that_never_moved_says_nothing_and_weighs_nothing():
    steady, moving = made_panel([-2.0]), made_panel([-2.0] * 20, seed=8)
    both = Panel(
        *(np.concatenate([getattr(each, name) for each in (steady, moving)]) for name in Panel.__slots__)
    )
    both.log_price[0] = np.log(10.0)
    own = own_estimates(both)
    assert own.error[0] > 100
    pooled = pool(own, np.zeros(21, np.int64), 1)
    assert pooled.shop == pytest.approx(-2.0, abs=0.2)
    assert pooled.item[0] == pytest.approx(pooled.group[0])


@pytest.mark.parametrize("step", [0.0, 1e-9, 1.0])
def test_a_step_of_discounts_is_one_that_can_be_tried(step):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"discount_step": step}, PricesConfig)


def test_shrinking_comes_nearer_to_the_truth_than_either_side_alone():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(8), 30)
    slopes = rng.normal(-1.5, 0.6, 8)[group] + rng.normal(0, 0.4, 240)
    own = own_estimates(made_panel(slopes, level=4.0))
    pooled = pool(own, group, 8)

    def distance(guess):
        return float(np.sqrt(np.square(guess - slopes).mean()))

    assert distance(pooled.item) < min(distance(own.slope), distance(pooled.group[group]))
    assert np.mean(np.abs(pooled.item - slopes) <= Z90 * pooled.item_sd) == pytest.approx(0.9, abs=0.06)


def test_a_category_without_an_estimate_stands_with_the_shop_and_less_surely():
    own = Estimates(np.array([-1.0, -1.4, -2.0, -2.6]), np.full(4, 0.2))
    pooled = pool(own, np.array([0, 0, 1, 1]), 3)
    assert pooled.group[2] == pytest.approx(pooled.shop)
    assert pooled.group_sd[2] > pooled.group_sd[:2].max()
    nothing = pool(Estimates(np.zeros(0), np.zeros(0)), np.zeros(0, np.int64), 2)
    assert np.isnan(nothing.shop)
    assert np.isnan(nothing.group).all()


def weekly_shop(make_tables, *, cheap_every=3, **items):
    """Returns a shop of one year: item -> (units at the full price, units at 20% off), a sale each week."""
    purchases = [
        (name, TODAY - timedelta(days=7 * week), week % 9, float(low if cheap else full), price * units)
        for number, (name, (full, low)) in enumerate(items.items())
        for week in range(1, 53)
        for cheap in [cheap_every > 0 and (week + week // 10 * number) % cheap_every == 0]
        for units, price in [(low if cheap else full, 8.0 if cheap else 10.0)]
    ]
    return make_tables(purchases, as_of=TODAY)


def prices_of(tables, **config):
    made = price_items(tables, SelectionConfig(prices=PricesConfig(**config)))
    assert dict(made.frame.schema) == PRICES
    rows = {row["item_row"]: row for row in made.frame.iter_rows(named=True)}
    return rows, msgspec.structs.asdict(made.summary)


def test_an_elasticity_is_identified_only_where_prices_moved_and_weeks_are_enough(make_tables):
    found, summary = prices_of(weekly_shop(make_tables, a=(20, 32), b=(30, 45)))
    assert summary["identified"] == 2
    for row in found.values():
        assert row["elasticity_low"] < row["elasticity"] < row["elasticity_high"]
        assert row["elasticity"] == pytest.approx(-2.0, abs=0.5)
    steady, summary = prices_of(weekly_shop(make_tables, cheap_every=0, a=(20, 20), b=(30, 30)))
    assert (summary["tried"], summary["identified"]) == (0, 0)
    assert [row["elasticity"] for row in steady.values()] == [None, None]
    assert prices_of(weekly_shop(make_tables, a=(20, 32)), min_weeks=53)[1]["tried"] == 0


def test_one_odd_basket_does_not_make_a_price(make_tables):
    days = [TODAY - timedelta(days=7 * week + 1 + day) for week in range(30) for day in range(3)]
    cheap = dict.fromkeys(days[::9], 5.0)
    tables = make_tables([("a", day, 0, 1.0, cheap.get(day, 10.0)) for day in days], as_of=TODAY)
    assert weekly_panel(tables, PricesConfig()).item_row.size == 0


def test_places_and_bands_stand_inside_the_category(make_tables):
    items = {f"i{n}": {"price": float(10 + n)} for n in range(10)} | {"same": {"price": 19.0}, "none": {}}
    found, summary = prices_of(make_tables(items=items, as_of=TODAY))
    assert [found[row]["price_place"] for row in (0, 4)] == [pytest.approx(1 / 11), pytest.approx(5 / 11)]
    assert [found[row]["price_place"] for row in (9, 11)] == [1.0, 1.0]
    assert (found[10]["price_place"], found[10]["price_band"]) == (None, "")
    assert (summary["items"], summary["priced"]) == (12, 11)


def test_a_discount_is_the_least_step_that_clears_the_excess():
    config = PricesConfig()
    # 10 units a horizon at full price; at 20% off 10 x 0.8^-2 = 15.6, at 15% off 13.8.
    assert advise(one(supply=15.0), config) == pytest.approx([0.2])
    assert advise(one(supply=13.0), config) == pytest.approx([0.15])
    assert advise(one(supply=500.0), config) == pytest.approx([0.3])  # the cap of an unknown cost
    assert np.isnan(advise(one(supply=9.0), config)).all()


def test_the_margin_bounds_the_discount_and_a_negative_margin_allows_none():
    shelf = one(unit_cost=8.0, supply=500.0)
    assert deepest_discount(shelf, PricesConfig()) == pytest.approx([0.2])
    assert advise(shelf, PricesConfig()) == pytest.approx([0.2])
    assert deepest_discount(shelf, PricesConfig(min_margin=0.1)) == pytest.approx([1 - 8 / 9])
    below = one(unit_cost=11.0, supply=500.0)
    assert deepest_discount(below, PricesConfig()) == [0.0]
    assert np.isnan(advise(below, PricesConfig())).all()


def test_without_an_excess_the_discount_is_what_earns_most_over_cost():
    # Demand 10 (1 - x)^-4, price 10, cost 5: the best price is 5 * 4 / 3 = 6.67, a third off.
    assert advise(one(unit_cost=5.0, elasticity=-4.0), PricesConfig()) == pytest.approx([0.35])
    assert np.isnan(advise(one(unit_cost=7.6, elasticity=-4.0), PricesConfig())).all()
    # Ten at hand sell at the full price already: any cut only gives money away.
    assert np.isnan(advise(one(unit_cost=1.0, elasticity=-4.0, supply=10.0), PricesConfig())).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"price": NAN},
        {"price": 0.0, "unit_cost": 3.0},
        {"price": 0.0, "unit_cost": 0.0},
        {"demand": 0.0},
        {"elasticity": NAN},
        {"elasticity": 0.4},
    ],
)
def test_no_discount_where_nothing_is_known_of_its_effect(changes):
    assert np.isnan(advise(one(**({"supply": 50.0} | changes)), PricesConfig())).all()


def test_only_slow_or_overstocked_items_are_discounted(make_tables):
    tables = weekly_shop(make_tables, a=(20, 32), b=(30, 45))
    assert [row["discount"] for row in prices_of(tables)[0].values()] == [None, None]
    stocked = tables.items.with_columns(stock=pl.lit(500, pl.Int64), unit_cost=pl.Series([6.0, 12.0]))
    full = type(tables)(*(stocked if name == "items" else getattr(tables, name) for name in tables.__slots__))
    found, summary = prices_of(full, category_min_items=2)
    assert 0.3 <= found[0]["discount"] <= 0.4
    assert found[1]["discount"] is None
    assert summary["sold_below_cost"] == 1


def test_a_shop_of_one_item_and_one_of_zeros_have_prices_and_no_elasticity(make_tables):
    found, summary = prices_of(make_tables([("a", TODAY - timedelta(days=1), 0, 1.0, 9.0)], as_of=TODAY))
    assert (found[0]["price_place"], found[0]["elasticity"], summary["tried"]) == (1.0, None, 0)
    found, summary = prices_of(make_tables(items={"a": {}, "b": {"price": 0.0}}, as_of=TODAY))
    assert [row["discount"] for row in found.values()] == [None, None]
    assert summary["shop_elasticity"] is None
    free = make_tables([("a", TODAY - timedelta(days=d), 0, 1.0, 0.0) for d in range(1, 300)], as_of=TODAY)
    assert prices_of(free)[1]["tried"] == 0


def test_the_check_sees_that_the_earlier_half_foretells_the_later(make_tables):
    shop = weekly_shop(make_tables, **{f"i{n}": (20 + n, round((20 + n) * (1 + n / 10))) for n in range(10)})
    found = check_elasticities(shop, PricesConfig(), category_depth=2)
    assert found.items >= 8
    assert found.error["shrunk"] < found.error["the shop's"] < found.error["no effect"]


def test_the_stage_writes_its_table_and_its_summary(busy_shop, tmp_path):
    run = write_run(busy_shop, tmp_path)
    (record,) = run.execute([prices_stage(SelectionConfig())])
    assert read_artefact(run.resolve("prices.parquet"), "prices").height == 80
    assert json.loads(run.resolve("prices.json").read_text())["items"] == record.summary["items"] == 80
