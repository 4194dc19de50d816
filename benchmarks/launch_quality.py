"""Judges forecasts of launches that the model has not seen, beside plain rules, and what each part adds.

    python benchmarks/launch_quality.py --home HOME [--origins 8] [--horizon 28] [--parts [NAME]]

Every 28 days a model is fitted on what was known that morning. It foretells the next 28 days of the items
that are launched, or become 7 or 28 days old, in the 28 days after: what they sold was not there when it was
fitted, and at an age it is told what they sold up to it. Then all young items of the run's own past origins,
and those of each age, beside the forecast that the run made for them, and the mean of both, which the
selection expects of them.

WAPE is least for a forecast of the median, which is nothing where most items sell nothing; the deviance
(Poisson, forecasts of 0 count as 0.01) is least for the mean. "top 5%" is the share of all units that the 5%
of the items with the highest forecasts sold, "hits of 50" the share of the 50 highest forecasts of an origin
that were among the best 5% of its items. With --parts, the same for the model without each of its parts.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from recdata.runs import RunFolder
from selection.history import Tables, tables_of
from selection.launches.buyers import fit_factor
from selection.launches.cohort import Floats, Ints, read_cohort
from selection.launches.config import LaunchesConfig
from selection.launches.curve import LaunchCurve
from selection.launches.model import Knowledge, LaunchModel, fit_launches, know, learned, life_days
from selection.launches.predict import predict
from selection.launches.traits import read_traits

STEP = 28
AGES = (0, 7, 28)
#: First and last day of life, of the young items at the run's origins.
BANDS = ((1, 55), (1, 7), (8, 14), (15, 28), (29, 55))
FLOOR_DAYS, HALF_LIFE = 112, 42.0  # of the top-down forecast
LEAST = 0.01
PICKS = 50
WITHOUT = {
    "without look-alikes": {},
    "without the category's mean": {},
    "without titles": {"title_weight": 0.0},
    "without brand": {"brand_weight": 0.0},
    "without attributes": {"attributes_weight": 0.0},
    "without prices": {"price_weight": 0.0},
    "flat curve": {},
    "without own sales": {},
    "early buyers never": {"buyer_min_gain": 1.0},
    "early buyers always": {},
}


@dataclass(frozen=True, slots=True)
class Judged:
    """Forecasts of one rule with what was sold; the interval is nan where the rule has none."""

    mean: Floats
    sold: Floats
    low: Floats
    high: Floats


def main() -> None:
    """Fits at each origin, foretells, prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="home folder with a run")
    parser.add_argument(
        "--origins", type=int, default=8, help="how many 28-day steps back from the run's day"
    )
    parser.add_argument("--horizon", type=int, default=28, help="days foretold")
    parser.add_argument(
        "--parts", nargs="?", const="", metavar="NAME", help="also the model without its parts (named so)"
    )
    given = parser.parse_args()
    folder = max((given.home / "runs").iterdir())
    as_of = date.fromisoformat(folder.name[:8])
    tables = tables_of(RunFolder(given.home, folder.name, as_of))
    config = LaunchesConfig()
    started = time.process_time()
    cohort = read_cohort(tables, life_days=life_days(config, given.horizon))
    known = know(cohort, read_traits(cohort.items))
    origins = [cohort.today - STEP * step for step in range(given.origins, 0, -1)]
    kept: dict[tuple[int, str], list[Judged]] = {}
    for origin in origins:
        model = fit_launches(known, origin=origin, horizon=given.horizon, config=config)
        if model is None:
            print(f"{cohort.day_of(origin)}: fewer than {config.min_launches} finished launches")
            continue
        print(said(model), flush=True)
        for age in AGES:
            for name, judged in rules(model, age):
                kept.setdefault((age, name), []).append(judged)
        for name, changed in parts(model, given.parts) if given.parts is not None else ():
            for age in AGES:
                kept.setdefault((age, name), []).append(asked(changed, age))
    console = Console(width=130)
    for age in AGES:
        days = f"{given.horizon} days"
        title = f"the next {days}, after {age} days of life" if age else f"the first {days}, before any sale"
        show(console, title, {name: judged for (of, name), judged in kept.items() if of == age})
    at_origins(console, tables, known, config, given.horizon)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{time.process_time() - started:.1f} s of processor time, peak {peak:.0f} MB")


def said(model: LaunchModel) -> str:
    """Returns what a model has learned, in a line."""
    buyers = "used" if len(model.factor.score) else "not used"
    return (
        f"{model.known.cohort.day_of(model.origin)}: {len(model.launches)} finished launches, category as "
        f"{model.category_items[1]:g} look-alikes, prior of {model.prior.strength:g} buyers, first day "
        f"counts {model.prior.first_day_weight:g}, early buyers {buyers} (gain {model.buyer_gain:+.1%})"
    )


def test_rows(model: LaunchModel, age: int) -> Ints:
    """Returns the launches that become `age` days old in the step after the origin, their horizon over."""
    cohort = model.known.cohort
    at = cohort.launched + age
    settled = cohort.settled(model.origin, model.config.settle_days)
    inside = (at >= model.origin) & (at < model.origin + STEP) & (at + model.horizon <= cohort.today)
    return np.flatnonzero(settled & inside)


def asked(model: LaunchModel, age: int) -> Judged:
    """Returns what a model foretells of the test launches."""
    rows = test_rows(model, age)
    said = predict(model, rows, np.full(len(rows), age))
    return Judged(said.mean, model.known.cohort.sums(rows, age, age + model.horizon), said.low, said.high)


def rules(model: LaunchModel, age: int) -> Iterator[tuple[str, Judged]]:
    """Yields the model and the plain rules, each with the test launches."""
    cohort, rows = model.known.cohort, test_rows(model, age)
    sold = cohort.sums(rows, age, age + model.horizon)
    none = np.full(len(rows), np.nan)
    finished = model.launches[cohort.launched[model.launches] + age + model.horizon <= model.origin]
    before = cohort.sums(finished, age, age + model.horizon)
    for name, statistic in (("category median", np.median), ("category mean", np.mean)):
        yield name, Judged(by_category(model.known, finished, before, rows, statistic), sold, none, none)
    if age:
        own = cohort.sums(rows, 0, age)
        yield "own rate since launch", Judged(own / age * model.horizon, sold, none, none)
        later = cohort.sums(rows, 1, age) / max(age - 1, 1) * model.horizon
        yield "own rate after the first day", Judged(later, sold, none, none)
        days = 0.5 ** (np.arange(FLOOR_DAYS) / HALF_LIFE)
        yield "own rate with a floor", Judged(own / days.sum() * model.horizon, sold, none, none)
    answer = predict(model, rows, np.full(len(rows), age))
    yield "this model, its median", Judged(answer.median, sold, none, none)
    yield "this model", Judged(answer.mean, sold, answer.low, answer.high)


def by_category(known: Knowledge, launches: Ints, values: Floats, rows: Ints, statistic: object) -> Floats:
    """Returns a statistic of the launches of the deepest category that has 5 of them."""
    answer = np.full(len(rows), statistic(values) if len(values) else 0.0)  # type: ignore[operator]
    for codes in known.depths:
        frame = pl.DataFrame({"code": codes[launches], "value": values})
        for (code,), part in frame.group_by("code"):
            if part.height >= 5:
                answer[codes[rows] == code] = statistic(part["value"].to_numpy())  # type: ignore[operator]
    return answer


def parts(model: LaunchModel, named: str) -> Iterator[tuple[str, LaunchModel]]:
    """Yields the model without each of its parts, everything after that part learned again."""
    found = model.look_alikes(model.launches)
    for name, changes in WITHOUT.items():
        if named not in name:
            continue
        if changes and name != "early buyers never":
            config = replace_config(model.config, changes)
            changed = fit_launches(model.known, origin=model.origin, horizon=model.horizon, config=config)
            if changed is not None:
                yield name, changed
            continue
        if name == "without look-alikes":
            yield name, learned(replace(model, category_items=(1e9, 1e9)), found)
        elif name == "without the category's mean":
            yield name, learned(replace(model, category_items=(0.0, 0.0)), found)
        elif name == "flat curve":
            days = np.maximum(np.arange(model.curve.shares.shape[1]) - 1.0, 0.0) / (model.horizon - 1)
            flat = np.repeat(days[None, :], len(model.curve.shares), axis=0)
            yield name, learned(replace(model, curve=LaunchCurve(flat, model.curve.group)), found)
        elif name == "without own sales":
            yield name, replace(model, prior=replace(model.prior, strength=1e12))
        elif name == "early buyers never":
            config = replace_config(model.config, {"buyer_min_gain": 1.0})
            yield name, learned(replace(model, config=config), found)
        else:
            config = replace_config(model.config, {"buyer_min_gain": 0.0})
            forced = learned(replace(model, config=config), found)
            yield name, forced if len(forced.factor.score) else with_buyers(forced)


def replace_config(config: LaunchesConfig, changes: dict[str, float]) -> LaunchesConfig:
    """Returns the config with some keys changed."""
    return LaunchesConfig(**{name: getattr(config, name) for name in config.__struct_fields__} | changes)


def with_buyers(model: LaunchModel) -> LaunchModel:
    """Returns the model with the factor of early buyers that it had left out, its error bands unchanged."""
    cohort = model.known.cohort
    scores, means, sold = [], [], []
    for age in (3, 7, 14, 28):
        rows = model.launches[cohort.launched[model.launches] + age + model.horizon <= model.origin]
        ages = np.full(len(rows), age)
        scores.append(model.scores(rows, ages))
        means.append(predict(model, rows, ages).mean)
        sold.append(cohort.sums(rows, age, age + model.horizon))
    return replace(
        model, factor=fit_factor(np.concatenate(scores), np.concatenate(means), np.concatenate(sold))
    )


def at_origins(
    console: Console, tables: Tables, known: Knowledge, config: LaunchesConfig, horizon: int
) -> None:
    """Prints forecasts of young items at the run's past origins: the model's, the run's own, their mean."""
    cohort = known.cohort
    totals = tables.forecast_totals.filter((pl.col("level") == "item") & (pl.col("horizon_days") == horizon))
    kept: dict[tuple[tuple[int, int], str], list[Judged]] = {}
    for (day,), part in totals.group_by("origin", maintain_order=True):
        origin = cohort.day_number(day)
        if origin + horizon > cohort.today or origin == cohort.today:
            continue
        model = fit_launches(known, origin=origin, horizon=horizon, config=config)
        if model is None:
            continue
        ages = origin - cohort.launched
        young = (ages > 0) & (ages < config.young_days) & cohort.settled(origin, config.settle_days)
        rows = np.flatnonzero(young)
        sold = cohort.sums(rows, ages[rows], ages[rows] + horizon)
        run = cohort.items[rows].join(
            part.select(pl.col("key").alias("item_id"), "mean", "q10", "q90"),
            on="item_id",
            how="left",
            maintain_order="left",
        )
        own = [run[name].fill_null(0.0).to_numpy() for name in ("mean", "q10", "q90")]
        answer = predict(model, rows, ages[rows])
        told = [answer.mean, answer.low, answer.high]
        both = [(one + other) / 2 for one, other in zip(own, told, strict=True)]
        for band in BANDS:
            of = (ages[rows] >= band[0]) & (ages[rows] <= band[1])
            for name, said in (("the run's forecast", own), ("this model", told), ("mean of both", both)):
                mean, low, high = (values[of] for values in said)
                kept.setdefault((band, name), []).append(Judged(mean, sold[of], low, high))
    for band in BANDS:
        title = f"young items at the run's past origins, {band[0]} to {band[1]} days old"
        show(console, title, {name: judged for (of, name), judged in kept.items() if of == band})


def hits(judged: Judged) -> float:
    """Returns the share of the `PICKS` highest forecasts that are in the best 5%; ties: lower row."""
    picks = np.argsort(-judged.mean, kind="stable")[:PICKS]
    best = np.argsort(-judged.sold, kind="stable")[: len(judged.sold) // 20]
    return len(np.intersect1d(picks, best)) / PICKS


def show(console: Console, title: str, kept: dict[str, list[Judged]]) -> None:
    """Prints one table, a rule a line."""
    table = Table(title=title, title_justify="left")
    for name in (
        "rule",
        "items",
        "WAPE",
        "log error",
        "deviance",
        "bias",
        "top 5%",
        "hits of 50",
        "inside",
        "below",
        "above",
    ):
        table.add_column(name, justify="left" if name == "rule" else "right")
    for name, judged in kept.items():
        mean, sold, low, high = (
            np.concatenate([getattr(part, field) for part in judged])
            for field in ("mean", "sold", "low", "high")
        )
        if not len(mean) or sold.sum() <= 0:
            continue
        safe = np.maximum(mean, LEAST)
        logs = np.where(sold > 0, sold * np.log(np.maximum(sold, LEAST) / safe), 0.0)
        best = np.argsort(-mean, kind="stable")[: max(1, len(mean) // 20)]
        found = [hits(part) for part in judged if len(part.mean) >= 20 * PICKS]
        figures = [
            f"{np.abs(sold - mean).sum() / sold.sum():.3f}",
            f"{np.abs(np.log1p(sold) - np.log1p(mean)).mean():.3f}",
            f"{2 * (logs - (sold - safe)).mean():.3f}",
            f"{mean.sum() / sold.sum() - 1:+.1%}",
            f"{sold[best].sum() / sold.sum():.1%}",
            f"{np.mean(found):.2f}" if found else "",
        ]
        if np.isnan(low).all():
            figures += ["", "", ""]
        else:
            below, above = sold < low - 1e-9, sold > high + 1e-9
            figures += [
                f"{share:.1%}" for share in (1 - below.mean() - above.mean(), below.mean(), above.mean())
            ]
        table.add_row(name, f"{len(mean):,}", *figures)
    console.print(table)


if __name__ == "__main__":
    main()
