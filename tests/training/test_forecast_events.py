from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from scipy import sparse

from recdata.errors import ConfigError
from training.forecast.config import ForecastConfig
from training.forecast.effects import event_factors, phases_of
from training.forecast.events import SWAP_WORKDAY, Event, recurring_events
from training.forecast.history import History
from training.forecast.outcome import Choices, forecast_origin
from training.forecast.standing import calendar_phases, levels_of, standing_at

FIRST = date(2023, 1, 1)


def named(country: str, first: date, last: date) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in recurring_events(country, first, last):
        found.setdefault(event.name, []).append(event)
    return found


def test_china_has_its_festivals_on_their_days_of_every_year() -> None:
    found = named("CN", FIRST, date(2025, 12, 31))
    assert [event.first for event in found["Double 11"]] == [
        date(year, 11, 11) for year in (2023, 2024, 2025)
    ]
    assert {"618", "Double 12"} <= set(found)
    assert [e.first for e in found["Qixi"]] == [date(2023, 8, 22), date(2024, 8, 10), date(2025, 8, 29)]
    new_year = [event for name in found if "Spring Festival" in name for event in found[name]]
    assert [event.first for event in new_year][:2] == [date(2023, 1, 22), date(2024, 2, 10)]


def test_a_golden_week_is_one_event_with_its_days_off_and_the_days_worked_for_it_another() -> None:
    found = named("CN", FIRST, date(2024, 12, 31))
    week = next(event for event in found["National Day"] if event.first.year == 2024)
    assert (week.first, week.days) == (date(2024, 10, 1), 7)
    assert date(2024, 10, 12) in {event.first for event in found[SWAP_WORKDAY]}


def test_a_day_off_of_one_year_is_no_event() -> None:
    assert not any("off" in event.name.lower() for event in recurring_events("CN", FIRST, date(2025, 12, 31)))


def test_no_country_has_no_events_and_an_unknown_one_is_refused() -> None:
    assert recurring_events("", FIRST, FIRST) == ()
    with pytest.raises(ConfigError, match=r"country = 'Atlantis'.*such as CN, or"):
        recurring_events("Atlantis", FIRST, FIRST)


def shop(n_series: int, days: int, seed: int = 3) -> np.ndarray:
    """Units by day with a weekly pattern and 20% noise."""
    rng = np.random.default_rng(seed)
    weekly = np.where(np.arange(days) % 7 >= 5, 30.0, 20.0)
    return weekly * rng.lognormal(0, 0.2, (n_series, days))


DOUBLE_11 = (Event("Double 11", date(2023, 11, 11)), Event("Double 11", date(2024, 11, 11)))
SEEN, NEXT = ((event.first - FIRST).days for event in DOUBLE_11)
ORIGIN = NEXT - 10


def test_one_year_of_an_event_carries_its_peak_and_its_dips_to_the_next_pooled_over_series() -> None:
    units = shop(12, ORIGIN)
    units[:, SEEN] *= 5.0
    units[:, SEEN - 3 : SEEN] *= 0.5
    units[:, SEEN + 1 : SEEN + 4] *= 0.6
    found = event_factors(units, phases_of(DOUBLE_11, FIRST, ORIGIN + 28), ORIGIN)
    assert found is not None
    # No series has more than one day to learn from, yet every one gets about the true effect.
    assert np.all((found[:, NEXT] > 3.5) & (found[:, NEXT] < 5.5))
    assert np.all(found[:, NEXT - 3 : NEXT] < 0.75)
    assert np.all(found[:, NEXT + 1 : NEXT + 4] < 0.8)
    assert np.all(found[:, ORIGIN + 20] == 1.0)


def test_a_category_that_moves_otherwise_than_the_others_keeps_its_own_effect() -> None:
    units = shop(12, ORIGIN)
    units[:, SEEN] *= np.where(np.arange(12) < 6, 8.0, 1.0)
    found = event_factors(units, phases_of(DOUBLE_11, FIRST, ORIGIN + 28), ORIGIN)
    assert found is not None
    assert found[:6, NEXT].min() > 1.5 * found[6:12, NEXT].max()


def test_an_event_that_changes_nothing_has_no_effect() -> None:
    found = event_factors(shop(12, ORIGIN), phases_of(DOUBLE_11, FIRST, ORIGIN + 28), ORIGIN)
    assert found is None or np.abs(found[:, NEXT] - 1).max() < 0.1


def test_nothing_after_the_origin_reaches_an_effect() -> None:
    units = shop(4, NEXT + 30)
    units[:, SEEN] *= 5.0
    later = units.copy()
    later[:, ORIGIN:] = 999.0
    phases = phases_of(DOUBLE_11, FIRST, ORIGIN + 28)
    here, there = (event_factors(table, phases, ORIGIN) for table in (units, later))
    assert here is not None
    assert there is not None
    np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("units", [np.zeros((2, 60)), np.zeros((0, 60)), np.ones((1, 5))])
def test_a_shop_that_sells_nothing_or_has_no_history_has_no_effects(units: np.ndarray) -> None:
    phases = phases_of((Event("a", FIRST + timedelta(days=30)),), FIRST, 90)
    found = event_factors(units, phases, units.shape[1])
    assert found is None or np.isfinite(found).all()


def test_last_years_double_11_stands_in_this_years_forecast_and_not_in_its_level() -> None:
    n_days = (date(2024, 11, 1) - FIRST).days
    units = np.random.default_rng(0).poisson(20, (40, n_days)).astype(np.float64)
    units[:, SEEN] *= 5
    table = sparse.csc_matrix(units)
    history = History(
        first=FIRST,
        as_of=FIRST + timedelta(days=n_days),
        n_days=n_days,
        item_ids=[str(row) for row in range(40)],
        item_category=np.arange(40) % 4,
        launched=np.zeros(40, dtype=np.int64),
        categories=["a", "b", "c", "d"],
        units=table,
        revenue=table,
        channels={},
        regions={},
        promoted={},
        plan_ends={},
    )
    config = ForecastConfig(country="CN")
    level = levels_of(history)
    phases = calendar_phases(history, 28, config)
    standing = standing_at(history, level, phases, origin=n_days, horizon=28)
    outcome = forecast_origin(history, level, standing, {}, Choices.fresh(), config)
    ratio = outcome.series.days[0] / 800
    assert ratio[10] == pytest.approx(5, rel=0.1)
    np.testing.assert_allclose(np.delete(ratio, 10), 1.0, rtol=0.1)
    # Every item's day is raised with it, so that they still add up.
    np.testing.assert_allclose(outcome.items.days.sum(axis=0), outcome.series.days[0])
    assert (outcome.items.days[:, 10] > 3.5 * outcome.items.days[:, 9]).all()
