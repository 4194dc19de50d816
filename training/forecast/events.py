"""Owns the calendar of recurring events: runs of public holidays, shopping festivals, swap days."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from recdata.errors import ConfigError

#: A holiday recurs when this share of the years around the history have it.
RECURRING_SHARE = 0.8
#: Years looked at on either side of the history.
YEARS_AROUND = 4
#: Marks of entries in the holidays library that belong to a single year.
ONE_OFF_MARKS = ("substitut", "observed", "in lieu")
#: A weekend day that is worked to make up for a golden week; it comes every year, on other dates.
SWAP_WORKDAY = "swap working day"
#: Shopping festivals of fixed date, by country: month, day, name.
FESTIVALS = {"CN": ((6, 18, "618"), (11, 11, "Double 11"), (12, 12, "Double 12"))}
SATURDAY, WEEKEND = 5, 2
MID_AUTUMN, QIXI = "Mid-Autumn", "Qixi"
#: Qixi, the 7th day of the 7th lunar month, is so many days before Mid-Autumn, or one less in the years
#: whose 7th month is short. Beyond 2030 it may be a day off.
QIXI_DAYS = 38
QIXI_SHORT_YEARS = frozenset({2016, 2017, 2019, 2020, 2022, 2026, 2029})


@dataclass(frozen=True, slots=True)
class Event:
    """One occurrence of a recurring event: its first day and how many days in a row it lasts."""

    name: str
    first: date
    days: int = 1


def recurring_events(country: str, first: date, last: date) -> tuple[Event, ...]:
    """Returns the country's recurring events that begin from first to last, sorted; none for "".

    Public holidays and the days off beside them make one run, named by its most frequent recurring holiday
    (a golden week is one event of seven days, in some years eight). A run without a recurring holiday, or
    a day off of one year only, is no event.

    Raises:
        ConfigError: the country is not one that the holidays library knows.
    """
    if not country:
        return ()
    calendar = _calendar(country, range(first.year - YEARS_AROUND, last.year + YEARS_AROUND + 1))
    events = _runs(calendar, last.year - first.year + 1 + 2 * YEARS_AROUND)
    years = range(first.year, last.year + 1)
    events += [Event(name, date(y, m, d)) for y in years for m, d, name in FESTIVALS.get(country.upper(), ())]
    if country.upper() == "CN":
        events += _qixi(calendar)
    events += [Event(SWAP_WORKDAY, day) for day in sorted(getattr(calendar, "weekend_workdays", ()))]
    return tuple(
        sorted({event for event in events if first <= event.first <= last}, key=lambda e: (e.first, e.name))
    )


def _calendar(country: str, years: range) -> Any:  # noqa: ANN401 - the library has no types
    import holidays

    try:
        return holidays.country_holidays(country, years=years, language="en_US")
    except NotImplementedError as error:
        raise ConfigError(
            f"training.forecast.country = {country!r}: no such country; use an ISO 3166 code such as CN, or "
            'leave it "" for none'
        ) from error


def _runs(calendar: Any, n_years: int) -> list[Event]:  # noqa: ANN401
    def lasting(name: str) -> bool:
        return not any(mark in name.lower() for mark in ONE_OFF_MARKS)

    named = {(day.year, name) for day in calendar for name in calendar.get_list(day) if lasting(name)}
    years_of = Counter(name for _, name in named)
    recurring = {name for name, seen in years_of.items() if seen >= RECURRING_SHARE * n_years}
    worked: set[date] = getattr(calendar, "weekend_workdays", set())
    runs: list[list[date]] = []
    for day in sorted(calendar):
        if runs and _only_weekend_between(runs[-1][-1], day, worked):
            runs[-1].append(day)
        else:
            runs.append([day])
    events = []
    for run in runs:
        counts = Counter(name for day in run for name in calendar.get_list(day) if name in recurring)
        if counts:
            name = min(counts, key=lambda name: (-counts[name], name))
            events.append(Event(name, run[0], (run[-1] - run[0]).days + 1))
    return events


def _only_weekend_between(day: date, later: date, worked: set[date]) -> bool:
    between = [day + timedelta(days=step) for step in range(1, (later - day).days)]
    return len(between) <= WEEKEND and all(d.weekday() >= SATURDAY and d not in worked for d in between)


def _qixi(calendar: Any) -> list[Event]:  # noqa: ANN401
    return [
        Event(QIXI, day - timedelta(days=QIXI_DAYS - (day.year in QIXI_SHORT_YEARS)))
        for day in sorted(calendar)
        if any(MID_AUTUMN in name and "substitut" not in name for name in calendar.get_list(day))
    ]
