"""Owns the fits of all origins: what stands at each, which series are fitted, by which processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from training.forecast.config import ForecastConfig
from training.forecast.fits import SeriesForecast, forecast_series, method_of, warm_up
from training.forecast.history import History
from training.forecast.plan import plan_origins, plan_series
from training.forecast.pool import Failure, run_tasks
from training.forecast.standing import Level, Standing, calendar_phases, levels_of, standing_at

#: Stan stops itself first; a process that goes on is killed after this many seconds more.
GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """What all origins are forecast from.

    Attributes:
        level: the series above the items.
        standings: what is known at each origin, oldest first.
        fits: by origin, then by level and key.
        asked: how many fits were tried.
        failed: how many failed, by kind.
    """

    level: Level
    standings: list[Standing]
    fits: dict[int, dict[tuple[str, str], SeriesForecast]]
    asked: int
    failed: dict[str, int]


def fit_fleet(
    history: History, config: ForecastConfig, *, folder: Path, begin: Callable[[int], Callable[[int], None]]
) -> Fleet:
    """Returns the fits of every origin.

    Args:
        history: all sales before `as_of`.
        config: origins, methods, processes and time limits.
        folder: temporary files go below it and are removed.
        begin: told the number of fits; what it returns is called with 1 after each.
    """
    level = levels_of(history)
    far = max(config.horizon_days, config.daily_horizon_days)
    phases = calendar_phases(history, far, config)
    standings = [
        standing_at(
            history,
            level,
            phases,
            origin=origin,
            horizon=far if origin == history.n_days else config.horizon_days,
        )
        for origin in plan_origins(history, config)
    ]
    planned = plan_series(history, level, standings, config)
    answers = run_tasks(
        forecast_series,
        [series.task for series in planned],
        warm_up=partial(warm_up, frozenset(method_of(series.task) for series in planned)),
        processes=config.processes,
        seconds=config.fit_seconds + GRACE_SECONDS,
        folder=folder,
        advance=begin(len(planned)),
    )
    fits: dict[int, dict[tuple[str, str], SeriesForecast]] = {}
    for series, answer in zip(planned, answers, strict=True):
        # A series whose fit failed is left to the methods that need none.
        if isinstance(answer, SeriesForecast):
            fits.setdefault(series.origin, {})[series.level, series.key] = answer
    failed = Counter(answer.kind for answer in answers if isinstance(answer, Failure))
    return Fleet(level, standings, fits, len(planned), dict(sorted(failed.items())))
