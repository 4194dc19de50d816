"""Prints how well and how fast the forecasts are, beside seasonal naive, AutoETS and Prophet's defaults.

    python benchmarks/forecast_quality.py --home var [--country US]
    python benchmarks/forecast_quality.py --daily FILE --columns series,day,value [--country JP]

With `--home` the newest run's prepared tables are taken: weeks of its categories, and of a seeded sample of
the items with most revenue (a loop of default Prophet over all items would take days).  With `--daily` a
Parquet file of daily series (a seeded sample of `--items` of them is judged): each is an item of one
category, days without a row sold nothing.  All methods
forecast the same series at the same origins, the last ones four weeks apart; ours as the nightly stage does,
with its older origins to learn from.  The others get each series from its first sale on, weekly series as
weeks.  WAPE = sum |error| / sum sold; RMSSE against the one-season naive error of the history, mean over
series; inside: share of what was sold inside our 80% interval (days of `--daily`, totals of four weeks of
`--home`).
Series per second count CPU seconds of all processes; for ours with imports and all series at all origins.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import resource
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from recdata.artefacts import write_artefact
from recdata.training_artefacts import DAILY_SALES, ITEMS, PROMOTED_DAYS
from training.forecast.assemble import walk
from training.forecast.calibration import scale_of_total
from training.forecast.config import ForecastConfig
from training.forecast.fleet import fit_fleet
from training.forecast.history import History, load_history
from training.forecast.intervals import item_bounds, series_bounds

HORIZON, WEEK = 28, 7
OURS = "ours"
SAMPLE_SEED = 20180101
RULES = ("seasonal naive", "AutoETS", "Prophet, defaults")


@dataclass
class Case:
    """Forecasts of one kind of series: a table of what was sold, and by method and origin what was said."""

    name: str
    level: str
    rows: np.ndarray
    units: np.ndarray
    first: date
    bucket: int
    origins: list[int]
    said: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    inside: list[np.ndarray] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    fits: dict[str, int] = field(default_factory=dict)

    def past(self, origin: int) -> tuple[np.ndarray, date]:
        """Returns the history before an origin in buckets that end there, and its first day."""
        skipped = origin % self.bucket
        values = np.maximum(self.units[:, skipped:origin], 0.0)
        return values.reshape(len(values), -1, self.bucket).sum(axis=2), self.first + timedelta(days=skipped)

    def sold(self, origin: int) -> np.ndarray:
        """Returns what was sold in the buckets of the horizon."""
        return buckets(np.maximum(self.units[:, origin : origin + HORIZON], 0.0), self.bucket)


def buckets(days: np.ndarray, bucket: int) -> np.ndarray:
    """Returns the sums of so many days each, whole buckets only."""
    return days[:, :HORIZON].reshape(len(days), -1, bucket).sum(axis=2)


def main() -> None:
    """Forecasts, judges, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--home", type=Path, help="home folder with a run")
    parser.add_argument("--daily", type=Path, help="Parquet file of daily series")
    parser.add_argument("--columns", default="series,day,value", help="its columns: series, day, value")
    parser.add_argument("--country", default="", help="whose events count")
    parser.add_argument("--origins", type=int, default=3, help="the last so many are judged")
    parser.add_argument("--items", type=int, default=200, help="items or daily series that are judged")
    parser.add_argument("--of", type=int, default=2000, help="drawn from so many with most revenue")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only-ours", action="store_true", help="leave the other methods out")
    parser.add_argument("--config", default="{}", help="keys of [training.forecast] as JSON")
    given = parser.parse_args()
    settings = {"country": given.country, "processes": given.processes, **msgspec.json.decode(given.config)}
    config = msgspec.convert(settings, ForecastConfig)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if given.daily:
            history = one_category(given.daily, given.columns.split(","), place, config)
        else:
            runs = [
                path for path in (given.home / "runs").iterdir() if (path / "daily_sales.parquet").exists()
            ]
            history = of_run(max(runs, key=lambda path: path.name), config)
        origins = [history.n_days - HORIZON * number for number in range(given.origins, 0, -1)]
        cases = cases_of(history, origins, given)
        forecast(history, cases, config, place, daily=bool(given.daily))
        if not given.only_ours:
            for case in cases:
                beside(case, given.processes)
        for case in cases:
            show(case)


def of_run(run: Path, config: ForecastConfig) -> History:
    """Returns the history of a run folder."""
    record = msgspec.json.decode((run / "stages" / "prepare.json").read_bytes())
    print(f"run {run.name}, prepared in {record.get('seconds', 0):.0f} s")
    paths = {name: run / f"{name}.parquet" for name in ("items", "daily_sales", "promoted_days")}
    last = pl.scan_parquet(paths["daily_sales"]).select(pl.col("day").max()).collect().item()
    return load_history(**paths, as_of=last + timedelta(days=1), config=config)


def one_category(file: Path, columns: list[str], place: Path, config: ForecastConfig) -> History:
    """Returns the history of a shop whose items are the series of a file."""
    series, day, value = columns
    frame = pl.read_parquet(file).select(
        pl.col(series).cast(pl.String).alias("item_id"),
        pl.col(day).alias("day"),
        pl.col(value).alias("quantity"),
    )
    first_sale = frame.filter(pl.col("quantity") > 0).group_by("item_id").agg(launched_on=pl.col("day").min())
    items = first_sale.sort("item_id").with_row_index("item_row").with_columns(category=pl.lit("all"))
    sales = frame.join(items.select("item_id", "item_row"), on="item_id").with_columns(
        revenue=pl.col("quantity"), buyers=1, orders=1, channel=pl.lit(""), region=pl.lit("")
    )
    missing = [pl.lit(None).alias(name) for name in ITEMS if name not in items.columns]
    paths = {name: place / f"{name}.parquet" for name in ("items", "daily_sales", "promoted_days")}
    write_artefact(items.with_columns(missing).select(list(ITEMS)).cast(ITEMS), paths["items"], "items")
    sales = sales.select(list(DAILY_SALES)).cast(DAILY_SALES).sort("item_row", "day")
    write_artefact(sales, paths["daily_sales"], "daily_sales")
    write_artefact(pl.DataFrame(schema=PROMOTED_DAYS), paths["promoted_days"], "promoted_days")
    return load_history(**paths, as_of=frame["day"].max() + timedelta(days=1), config=config)


def cases_of(history: History, origins: list[int], given: argparse.Namespace) -> list[Case]:
    """Returns the series to judge, those that had sold before the first origin."""
    items = np.arange(len(history.item_ids))
    rng = np.random.default_rng(SAMPLE_SEED)
    if given.daily:
        rows = np.sort(rng.choice(items, min(given.items, len(items)), replace=False))
        units = history.units[rows].toarray()
        return [Case("daily series", "item", rows, units, history.first, 1, origins)]
    revenue = np.asarray(history.revenue[:, : origins[0]].sum(axis=1)).ravel()
    top = np.lexsort((np.arange(len(revenue)), -revenue))[: given.of]
    rows = np.sort(rng.choice(top, min(given.items, len(top)), replace=False))
    name, units = f"weeks of {len(rows)} items", history.units[rows].toarray()
    categories = history.category_units()
    every = np.arange(len(categories))
    return [
        Case("weeks of categories", "category", every, categories, history.first, WEEK, origins),
        Case(name, "item", rows, units, history.first, WEEK, origins),
    ]


def forecast(
    history: History, cases: list[Case], config: ForecastConfig, place: Path, *, daily: bool
) -> None:
    """Adds our forecasts and intervals to the cases."""
    before = cpu()
    fleet = fit_fleet(history, config, folder=place, begin=lambda _: lambda _: None)
    done = forecasts = 0
    for outcome, calibration, _ in walk(history, fleet.level, fleet.standings, fleet.fits, config):
        done += 1
        forecasts += int(outcome.known.sum()) + len(fleet.level.names)
        if outcome.origin not in cases[0].origins:
            continue
        categories = slice(1, 1 + len(history.categories))
        for case in cases:
            whole = case.level == "category"
            days = outcome.series.days[categories] if whole else outcome.items.days[case.rows]
            case.said[OURS, outcome.origin] = buckets(days, case.bucket)
            sold = np.maximum(case.units[:, outcome.origin : outcome.origin + HORIZON], 0.0)
            if daily:
                low, high = (b.reshape(days.shape) for b in item_bounds(calibration.item_days, days.ravel()))
            elif whole:
                points = calibration.points(calibration.totals, "category")
                sigma = outcome.sigma[categories]
                scale = np.array([scale_of_total(d, s) for d, s in zip(days, sigma, strict=True)])
                sold, days = sold.sum(axis=1), days.sum(axis=1)
                low, high = series_bounds(days, scale, points)
            else:
                sold, days = sold.sum(axis=1), days.sum(axis=1)
                low, high = item_bounds(calibration.items, days)
            case.inside.append(((sold >= low) & (sold <= high))[days > 0].ravel())
    seconds = cpu() - before
    print(
        f"ours: {seconds:.0f} CPU s for {done} origins, {forecasts} forecasts of a series, {fleet.asked} fits"
    )
    for case in cases:
        case.seconds[OURS] = seconds / forecasts


def cpu() -> float:
    """Returns the CPU seconds of this process and of those that it has waited for."""
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)


def beside(case: Case, processes: int) -> None:
    """Adds the other methods' forecasts to a case."""
    steps = HORIZON // case.bucket
    season = WEEK if case.bucket == 1 else 1
    # A forked child of a process with threads may hang.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for origin in case.origins:
            values, first = case.past(origin)
            jobs = [(rule, row, first, case.bucket, steps, season) for row in values for rule in RULES]
            answers = list(pool.map(by_rule, jobs, chunksize=30))
            for number, rule in enumerate(RULES):
                found = answers[number :: len(RULES)]
                case.said[rule, origin] = np.array([mean for mean, _ in found])
                case.seconds[rule] = case.seconds.get(rule, 0.0) + sum(seconds for _, seconds in found)
                case.fits[rule] = case.fits.get(rule, 0) + len(found)
    for rule in RULES:
        case.seconds[rule] /= case.fits[rule]


def by_rule(job: tuple[str, np.ndarray, date, int, int, int]) -> tuple[np.ndarray, float]:
    """Returns one series' forecast by a method, its mean where it is too short, and the CPU seconds."""
    rule, values, first, bucket, steps, season = job
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    import prophet  # noqa: F401 - takes seconds, once a process, which the clock should not count
    import statsforecast.models  # noqa: F401

    sold = np.flatnonzero(values > 0)
    if not len(sold):
        return np.zeros(steps), 0.0
    values, first = values[sold[0] :], first + timedelta(days=int(sold[0]) * bucket)
    started = time.process_time()
    if len(values) < max(4, 2 * season):
        mean = np.full(steps, values.mean())
    elif rule == RULES[0]:
        mean = np.resize(values[-season:], steps)
    elif rule == RULES[1]:
        mean = by_ets(values, steps, season)
    else:
        mean = by_prophet(values, steps, first, bucket)
    return np.maximum(mean, 0.0), time.process_time() - started


def by_ets(values: np.ndarray, steps: int, season: int) -> np.ndarray:
    """Returns AutoETS's forecast; the seasonal naive one where it finds no model."""
    from statsforecast.models import AutoETS

    try:
        return np.asarray(AutoETS(season_length=season).forecast(values, h=steps)["mean"])
    except Exception as error:
        print(f"AutoETS: {error}", file=sys.stderr)
        return np.resize(values[-season:], steps)


def by_prophet(values: np.ndarray, steps: int, first: date, bucket: int) -> np.ndarray:
    """Returns Prophet's forecast with all settings at their defaults."""
    import pandas as pd
    from prophet import Prophet

    days = pd.date_range(first, periods=len(values) + steps, freq=f"{bucket}D")
    model = Prophet()
    model.fit(pd.DataFrame({"ds": days[: len(values)], "y": values}))
    return model.predict(pd.DataFrame({"ds": days[len(values) :]}))["yhat"].to_numpy()


def show(case: Case) -> None:
    """Prints a case's table."""
    days = ", ".join(str(case.first + timedelta(days=origin)) for origin in case.origins)
    print(f"\n{case.name}: {len(case.units)} series, origins {days}")
    methods = [name for name in (OURS, *RULES) if (name, case.origins[0]) in case.said]
    figures = {name: judged(case, name) for name in methods}
    print(f"{'':20}{'WAPE':>8}{'RMSSE':>8}{'bias':>8}{'series/CPU s':>14}")
    for name, (wape, rmsse, bias) in figures.items():
        print(f"{name:20}{wape:8.4f}{rmsse:8.4f}{bias:+8.3f}{1 / case.seconds[name]:14.1f}")
    print(f"inside the 80% interval: {np.concatenate(case.inside).mean():.1%}")
    if len(methods) > 1:
        best = [min(figures[name][part] for name in methods[1:]) for part in (0, 1)]
        print(
            f"ours / best of the others: WAPE {figures[OURS][0] / best[0]:.3f}, "
            f"RMSSE {figures[OURS][1] / best[1]:.3f}; series per CPU second "
            f"{case.seconds[RULES[2]] / case.seconds[OURS]:.0f} x default Prophet's"
        )


def judged(case: Case, method: str) -> tuple[float, float, float]:
    """Returns WAPE, RMSSE and bias over all origins."""
    error = sold = signed = 0.0
    scaled = []
    season = WEEK if case.bucket == 1 else 1
    for origin in case.origins:
        actual, said = case.sold(origin), case.said[method, origin]
        past, _ = case.past(origin)
        error += float(np.abs(said - actual).sum())
        signed += float((said - actual).sum())
        sold += float(actual.sum())
        for row, values in enumerate(past):
            first = np.flatnonzero(values > 0)
            values = values[first[0] :] if len(first) else values[:0]
            steps = values[season:] - values[:-season]
            if len(steps) and (scale := float(np.mean(steps**2))) > 0:
                scaled.append(np.sqrt(np.mean((said[row] - actual[row]) ** 2) / scale))
    return error / sold, float(np.mean(scaled)), signed / sold


if __name__ == "__main__":
    main()
