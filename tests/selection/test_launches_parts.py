"""Each part of a launch's forecast gives what can be worked out by hand."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from selection.launches.bands import fit_bands
from selection.launches.buyers import BuyerFactor, buyer_history, fit_factor
from selection.launches.cohort import NEVER, read_cohort
from selection.launches.config import LaunchesConfig
from selection.launches.curve import fit_curve
from selection.launches.level import category_means, kernel_means, mixed, poisson_deviance, price_bands
from selection.launches.lookalikes import LookAlikes, find_look_alikes, similarity_at
from selection.launches.traits import category_codes, read_traits, title_grams
from selection.launches.updating import Life, Prior, fit_prior

START = date(2024, 1, 1)
CONFIG = LaunchesConfig()


def day(number):
    return START + timedelta(days=number)


def catalogue(*rows):
    names = ("item_id", "title", "category", "brand", "attributes")
    return pl.DataFrame(
        [dict(zip(names, row, strict=True)) for row in rows], schema=dict.fromkeys(names, pl.String)
    )


def similarity(items, price=None, config=CONFIG):
    prices = np.full(items.height, np.nan) if price is None else np.array(price, dtype=float)
    alike = similarity_at(read_traits(items), prices, np.ones(items.height, bool), config)
    rows = np.arange(items.height)
    return alike.between(rows, rows)


def test_what_is_told_of_two_items_decides_how_alike_they_are():
    items = catalogue(
        ("1", "Oat Milk, 1 L", "Food > Milk", "Alpha", '{"size": "1 L"}'),
        ("2", "oat milk 1 l", "Food > Milk", "Alpha", '{"size": "1 L"}'),
        ("3", "Oat Milk, 2 L", "Food > Milk", "Beta", '{"size": "2 L"}'),
        ("4", "Garden Hose", "Garden > Tools", "Gamma", '{"size": "9 m"}'),
    )
    sims = similarity(items, price=[2.0, 2.0, 3.0, 20.0])
    assert sims[0, 1] == pytest.approx(1.0, abs=1e-6)
    assert 1.0 > sims[0, 2] > 0.3 > sims[0, 3] >= 0.0
    np.testing.assert_allclose(sims, sims.T, atol=1e-6)


def test_chinese_titles_need_no_words_between_spaces():
    items = catalogue(
        ("1", "有机纯牛奶 250ml", None, None, None),
        ("2", "有机纯牛奶\uff08\uff12\uff15\uff10ＭＬ）", None, None, None),
        ("3", "有机酸牛奶 1L", None, None, None),
        ("4", "男士洗发水", None, None, None),
    )
    sims = similarity(items)
    assert sims[0, 1] == pytest.approx(1.0, abs=1e-6)
    assert sims[0, 1] > sims[0, 2] > sims[0, 3] == 0.0


def test_an_items_own_id_is_no_part_of_its_title():
    grams = title_grams(["Milk (1000050)", "Milk (2777719)", "Milk"], ["1000050", "2777719", "x"]).toarray()
    np.testing.assert_array_equal(grams[0], grams[1])
    np.testing.assert_array_equal(grams[0], grams[2])


def test_items_of_which_nothing_is_told_are_like_nothing():
    items = catalogue(
        ("1", "", None, None, None), ("2", None, "", "", "not json"), ("3", "??", None, "", "[1]")
    )
    np.testing.assert_array_equal(similarity(items), np.zeros((3, 3)))


def test_prices_that_differ_by_the_width_are_1_over_e_alike_and_unknown_ones_do_not_count():
    items = catalogue(*((str(n), "", "A", None, None) for n in range(3)))
    sims = similarity(items, price=[1.0, np.exp(0.5), np.nan])
    # Category and price weigh 1 each; the third item is asked about by its category alone.
    assert sims[0, 1] == pytest.approx((1 + np.exp(-1)) / 2, abs=1e-6)
    assert sims[2, 0] == pytest.approx(1.0, abs=1e-6)
    assert sims[0, 2] == pytest.approx(0.5, abs=1e-6)


def test_look_alikes_are_sought_in_the_deepest_category_with_enough_launches_and_never_are_the_item_itself():
    items = catalogue(
        *((f"a{n}", "same", "A > B", None, None) for n in range(4)),
        *((f"c{n}", "same", "A > C", None, None) for n in range(2)),
        ("z", "same", "Z", None, None),
    )
    config = LaunchesConfig(min_pool=4, look_alikes=3, max_pool=5)
    alike = similarity_at(read_traits(items), np.full(7, np.nan), np.ones(7, bool), config)
    levels = [category_codes(items["category"], depth) for depth in (0, 1)]
    launches = np.arange(6)
    found = find_look_alikes(alike, np.arange(7), launches, levels=levels, latest_first=np.arange(7))
    # A > B has 4 launches; A > C only 2, so it looks into A, there at the latest 5 of 6.
    assert found.rows[0].tolist() == [1, 2, 3]
    assert found.rows[4].tolist() == [5, 1, 2]
    assert found.rows[6].tolist() == [1, 2, 3]
    assert (np.diff(found.similarity, axis=1) <= 0).all()
    assert found.similarity[0, 0] == pytest.approx(1.0, abs=1e-6)


def test_a_launch_is_left_out_of_its_own_category_mean():
    launches, values = np.array([0, 1, 2]), np.array([2.0, 4.0, 9.0])
    group = np.array([0, 0, 1, 1])
    means = category_means(values, launches, np.arange(4), steps=[group], prior_items=2.0)
    # Of the shop without it: 6.5, 5.5, 3; with all: 5. Then the group's others and two items of the shop's.
    assert means.tolist() == pytest.approx([(4 + 13) / 3, (2 + 11) / 3, 3.0, (9 + 10) / 3])


def test_look_alikes_count_by_similarity_to_a_power():
    found = LookAlikes(np.array([[1, 0], [0, -1]]), np.array([[1.0, 0.5], [0.0, 0.0]]))
    mean, number = kernel_means(np.array([10.0, 0.0]), np.array([0, 1]), found, 1.0)
    assert mean.tolist() == pytest.approx([10 / 3, 10.0])
    assert number.tolist() == pytest.approx([1.5**2 / 1.25, 1.0])
    assert mixed(np.array([4.0]), np.array([1.0]), np.array([1.0]), 2.0).tolist() == [2.0]


def test_price_bands_are_quartiles_of_the_distance_to_the_groups_median():
    prices = np.log([1.0, 2.0, 4.0, 100.0, 200.0, 400.0, np.nan])
    bands = price_bands(prices, np.array([0, 0, 0, 1, 1, 1, 1]), np.arange(6))
    assert bands[:3].tolist() == bands[3:6].tolist()
    assert bands[0] < bands[1] < bands[2] < bands[6] == 4


def test_the_deviance_is_least_for_the_true_mean_and_nothing_for_no_items():
    sold = np.array([0.0, 3.0])
    assert poisson_deviance(sold, np.array([0.1, 2.9])) < poisson_deviance(sold, np.array([1.5, 1.5]))
    assert poisson_deviance(np.zeros(0), np.zeros(0)) == 0.0


def cohort_of(make_tables, purchases, **more):
    return read_cohort(make_tables(purchases, as_of=day(200), **more), life_days=85)


def test_a_first_sale_stands_in_for_a_launch_but_not_in_the_first_weeks(make_tables):
    cohort = cohort_of(
        make_tables,
        [("old", day(0), 1, 1.0, 9.0), ("early", day(50), 1, 1.0, 9.0), ("new", day(100), 2, 2.0, 9.0)],
        items={
            "announced": {"launched_on": day(190)},
            "unseen": {"launched_on": None},
            "gone": {"launched_on": day(150), "status": "discontinued"},
        },
    )
    ids = cohort.items["item_id"].to_list()
    settled = dict(zip(ids, cohort.settled(200, 84), strict=True))
    assert settled == {
        "announced": True, "early": False, "gone": True, "new": True, "old": False, "unseen": False,
    }  # fmt: skip
    assert dict(zip(ids, cohort.launched == NEVER, strict=True))["unseen"]
    # At day 120 a third of the history is 40 days, so the sale on day 50 is a launch.
    assert dict(zip(ids, cohort.settled(120, 84), strict=True))["early"]
    new = ids.index("new")
    assert cohort.sums(np.array([new]), 0, 28).tolist() == [2.0]
    assert cohort.price(101)[new] == 4.5
    assert np.isnan(cohort.price(100)[new])


def test_the_curve_is_what_each_week_sold_of_those_that_lived_through_it(make_tables):
    # Each of 4 items sells 1 on its launch day, 2 in its first week after it and 1 in its second.
    sales = [
        (f"i{n}", day(100 + shift), 1, float(units), 9.0)
        for n in range(4)
        for shift, units in ((0, 1), (3, 2), (10, 1))
    ]
    cohort = cohort_of(make_tables, [("old", day(0), 1, 1.0, 9.0), *sales])
    rows = np.flatnonzero(cohort.launched == 100)
    group = np.zeros(cohort.items.height, np.int64)
    curve = fit_curve(cohort, rows, origin=200, horizon=15, group=group, prior_items=1.0)
    one = rows[:1]
    assert curve.by(one, 1).tolist() == [0.0]
    assert curve.by(one, 8) == pytest.approx([2 / 3], rel=1e-2)
    assert curve.by(one, 15) == pytest.approx([1.0])
    # Seen from day 108 only the first week is over: it goes on like that.
    young = fit_curve(cohort, rows, origin=108, horizon=15, group=group, prior_items=1.0)
    assert young.by(one, 8) == pytest.approx([0.5])
    assert (np.diff(curve.shares[0]) >= 0).all()


def test_own_buyers_move_the_forecast_from_the_first_day():
    life = Life(
        first=np.array([1.0, 1.0, 1.0]),
        first_expected=np.ones(3),
        bought=np.array([0.0, 2.0, 8.0]),
        expected=np.full(3, 2.0),
        ahead=np.full(3, 10.0),
    )
    assert Prior(1.0, 0.0).posterior(life).tolist() == pytest.approx([10 / 3, 10.0, 30.0])
    assert Prior(1.0, 1.0).posterior(life).tolist() == pytest.approx([5.0, 10.0, 25.0])


def test_the_priors_strength_is_learned_from_how_much_items_differ():
    rng = np.random.default_rng(3)
    for spread, most in ((0.2, 1.0), (5.0, 10.0)):
        level = rng.gamma(spread, 1 / spread, 20_000)
        ones = np.ones(len(level))
        life = Life(ones, ones, rng.poisson(2 * level).astype(float), 2 * ones, 4 * ones)
        strength = fit_prior([(life, rng.poisson(4 * level).astype(float))]).strength
        assert spread / 3 <= strength <= max(most, spread * 3)


def test_bands_take_the_bias_off_and_hold_four_of_five():
    rng = np.random.default_rng(5)
    level = rng.lognormal(1.0, 1.0, 20_000)
    sold = rng.poisson(2 * level).astype(float)
    bands = fit_bands(level[:10_000], sold[:10_000], CONFIG)
    foretold, later = level[10_000:], sold[10_000:]
    assert bands.mean(foretold).sum() == pytest.approx(later.sum(), rel=0.03)
    low, high = bands.interval(foretold)
    assert ((low <= bands.mean(foretold)) & (bands.mean(foretold) <= high)).all()
    assert 0.77 < ((later >= low) & (later <= high)).mean() < 0.9
    assert (np.diff(bands.mean(np.sort(foretold))) >= -1e-9).all()


def test_without_errors_to_learn_from_bands_change_nothing():
    bands = fit_bands(np.zeros(0), np.zeros(0), CONFIG)
    assert bands.mean(np.array([3.0])).tolist() == [3.0]
    zeros = fit_bands(np.zeros(50), np.zeros(50), CONFIG)
    assert zeros.mean(np.zeros(2)).tolist() == [0.0, 0.0]
    assert [bound.tolist() for bound in zeros.interval(np.zeros(2))] == [[0.0, 0.0], [0.0, 0.0]]


def buyer_shop(make_tables):
    """Shopper 1 bought the flop early, shopper 2 the hit, shopper 3 nothing new; all meet the later items."""
    sales = [("old", day(0), 9, 1.0, 1.0), ("flop", day(100), 1, 1.0, 1.0), ("hit", day(100), 2, 1.0, 1.0)]
    sales += [("hit", day(130 + n), 9, 1.0, 1.0) for n in range(20)]
    sales += [(f"by{user}", day(170), user, 1.0, 1.0) for user in (1, 2, 3)]
    return cohort_of(make_tables, sales)


def test_buyers_of_earlier_hits_are_better_than_those_of_flops(make_tables):
    cohort = buyer_shop(make_tables)
    ids = cohort.items["item_id"].to_list()
    settled = np.flatnonzero(cohort.settled(190, 84))
    history = buyer_history(cohort, settled, origin=190)
    rows = np.array([ids.index(f"by{user}") for user in (1, 2, 3)])
    scores = history.scores(cohort, rows, np.full(3, 5), 1.0)
    # Places .25 and .75, usual .5: (.25 + .5) / 2 and (.75 + .5) / 2, against the usual half.
    assert scores[:2].tolist() == pytest.approx([0.375 / 0.875, 0.625 / 1.125])
    assert np.isnan(scores[2])


def test_an_outcome_counts_from_the_day_on_which_it_is_known(make_tables):
    cohort = buyer_shop(make_tables)
    settled = np.flatnonzero(cohort.settled(190, 84))
    row = np.array([cohort.items["item_id"].to_list().index("by1")])
    # The hit and the flop of day 100 are judged on day 156.
    assert not len(buyer_history(cohort, settled, origin=155).key)
    known = buyer_history(cohort, settled, origin=156)
    assert len(known.key) == 2
    assert np.isnan(known.scores(cohort, row, np.array([0]), 1.0)[0])
    assert not np.isnan(known.scores(cohort, row, np.array([1]), 1.0)[0])


def test_the_buyers_factor_rises_where_good_buyers_are_followed_by_sales():
    scores = np.linspace(0.4, 0.6, 1_000)
    mean = np.ones(1_000)
    factor = fit_factor(scores, mean, np.where(scores < 0.5, 0.5, 1.5))
    assert factor.of(np.array([0.4, np.nan, 0.6])).tolist() == pytest.approx([0.565, 1.0, 1.435], abs=1e-3)
    assert fit_factor(np.full(9, np.nan), np.ones(9), np.ones(9)).of(np.array([0.1])).tolist() == [1.0]
    assert BuyerFactor(np.array([0.5]), np.array([2.0])).of(np.array([0.9])).tolist() == [2.0]
