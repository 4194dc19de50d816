"""Owns the holidays that Prophet is told: those that recur, not the swap days of a single year."""

from __future__ import annotations

from collections import Counter
from datetime import date

from recdata.errors import ConfigError

#: A holiday recurs when this share of the years around the history have it.
RECURRING_SHARE = 0.8
#: Years looked at on either side of the history.
YEARS_AROUND = 4
#: Marks of one-off entries in the names of the holidays library.
ONE_OFF_MARKS = ("substituted", "observed", "in lieu")


def recurring_holidays(country: str, first: date, last: date) -> tuple[tuple[date, str], ...]:
    """Returns day and English name of the country's recurring public holidays from first to last, sorted.

    Raises:
        ConfigError: the country is not one that the holidays library knows.
    """
    if not country:
        return ()
    import holidays

    years = range(first.year - YEARS_AROUND, last.year + YEARS_AROUND + 1)
    try:
        calendar = holidays.country_holidays(country, years=years, language="en_US")
    except NotImplementedError as error:
        raise ConfigError(
            f"training.forecast.country = {country!r}: no such country; use an ISO 3166 code such as CN, or "
            'leave it "" for none'
        ) from error
    named = [(day, name) for day in calendar for name in calendar.get_list(day)]
    named = [(day, name) for day, name in named if not any(mark in name.lower() for mark in ONE_OFF_MARKS)]
    seen = Counter(name for _, name in {(day.year, name) for day, name in named})
    return tuple(
        sorted(
            (day, name)
            for day, name in named
            if first <= day <= last and seen[name] >= RECURRING_SHARE * len(years)
        )
    )
