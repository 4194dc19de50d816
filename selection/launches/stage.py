"""Owns the stage `launches`: demand of young items at every origin, and how good it was at past ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import msgspec
import numpy as np
import polars as pl

from recdata.artefacts import write_artefact
from recdata.runs import Stage, StageContext
from recdata.selection_artefacts import LAUNCHES
from selection.history import TABLE_FILES, Tables, horizon_days, tables_of
from selection.launches.cohort import NEVER, Bools, Cohort, Floats, Ints, read_cohort
from selection.launches.config import LaunchesConfig
from selection.launches.lookalikes import LookAlikes
from selection.launches.model import LaunchModel, fit_launches, know, life_days
from selection.launches.predict import predict, predict_waiting, start_share
from selection.launches.traits import read_traits


@dataclass(frozen=True, slots=True)
class Candidates:
    """Whom the stage speaks of at an origin: positions in the cohort.

    Attributes:
        young: items in their first days.
        ages: their days of life, (n_young,); 0 on the day of the launch.
        waiting: items of the catalogue that have never sold and were not launched lately.
    """

    young: Ints
    ages: Ints
    waiting: Ints


def launches_stage(config: LaunchesConfig) -> Stage:
    """Returns the stage that writes launches.parquet and launches.json."""

    def work(ctx: StageContext) -> Mapping[str, object]:
        tables = tables_of(ctx.run)
        origins = origins_of(tables)
        with ctx.bar("origins", total=len(origins)) as advance:
            frames, figures = [], []
            for frame, figure in foretell(tables, origins, config):
                frames.append(frame)
                figures.append(figure)
                advance(1)
        whole = pl.concat([pl.DataFrame(schema=LAUNCHES), *frames])
        write_artefact(whole, ctx.target("launches.parquet"), "launches")
        found = {"young_days": config.young_days, "origins": figures}
        ctx.target("launches.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
        return {"rows": whole.height, **(figures[-1] if figures else {})}

    return Stage(
        name="launches",
        version=2,
        inputs=TABLE_FILES,
        outputs=("launches.parquet", "launches.json"),
        work=work,
        config=config,
    )


def origins_of(tables: Tables) -> list[date]:
    """Returns the origins of the run's forecasts and its own day, oldest first."""
    found = tables.forecast_totals.get_column("origin").unique().to_list()
    return sorted({*(day for day in found if day < tables.as_of), tables.as_of})


def foretell(
    tables: Tables, origins: Sequence[date], config: LaunchesConfig
) -> list[tuple[pl.DataFrame, dict[str, object]]]:
    """Returns the `LAUNCHES` rows of each origin, by item_row, and its figures.

    Args:
        tables: what the run knows at its own day.
        origins: rising; at each only what was known that morning enters.
        config: the stage's.
    """
    horizons = [horizon_days(tables.forecast_totals, origin) for origin in origins]
    cohort = read_cohort(tables, life_days=life_days(config, max(horizons)))
    known = know(cohort, read_traits(cohort.items))
    answers = []
    for origin, horizon in zip(origins, horizons, strict=True):
        number = cohort.day_number(origin)
        asked = candidates(cohort, number, config)
        figures: dict[str, object] = {
            "origin": origin,
            "young": len(asked.young),
            "waiting": len(asked.waiting),
        }
        model = fit_launches(known, origin=number, horizon=horizon, config=config)
        if model is None:
            figures["why_none"] = f"fewer than {config.min_launches} finished launches to learn from"
            answers.append((pl.DataFrame(schema=LAUNCHES), figures))
            continue
        frame, more = _answer(model, asked, origin)
        answers.append((frame, figures | more))
    return answers


def candidates(cohort: Cohort, origin: int, config: LaunchesConfig) -> Candidates:
    """Returns who is young or waits to be sold on the morning of an origin.

    At a past origin nobody knows of an item without a launch day and without a sale.
    """
    today = origin >= cohort.today
    ages = origin - cohort.launched
    there = cohort.sellable if today else np.ones(len(ages), bool)
    first_age = 0 if today else 1
    young = cohort.settled(origin, config.settle_days) & (ages >= first_age) & (ages < config.young_days)
    rows = np.flatnonzero(there & young)
    unsold = (cohort.sold >= origin) & (ages >= config.young_days)
    waiting = unsold | ((cohort.launched == NEVER) & today)
    return Candidates(rows, ages[rows], np.flatnonzero(there & waiting))


def _answer(model: LaunchModel, asked: Candidates, origin: date) -> tuple[pl.DataFrame, dict[str, object]]:
    cohort = model.known.cohort
    young = predict(model, asked.young, asked.ages)
    share = start_share(model, asked.waiting)
    waiting = predict_waiting(model, asked.waiting, share)
    rows = np.concatenate([asked.young, asked.waiting])
    parts = {
        name: np.concatenate([getattr(young, name), getattr(waiting, name)])
        for name in ("mean", "low", "high", "scores")
    }
    names = [
        *look_alike_names(cohort, young.found, model.config.shown_look_alikes),
        *look_alike_names(cohort, waiting.found, model.config.shown_look_alikes),
    ]
    frame = pl.DataFrame(
        {
            "origin": pl.repeat(origin, len(rows), dtype=pl.Date, eager=True),
            "item_row": cohort.items["item_row"].gather(rows),
            "mean": parts["mean"],
            "q10": parts["low"],
            "q90": parts["high"],
            "early_buyers": pl.Series(parts["scores"]).fill_nan(None),
            "look_alikes": pl.Series(names, dtype=pl.String),
        }
    )
    figures = {
        "finished_launches": len(model.launches),
        "category_items": {"first_day": model.category_items[0], "later": model.category_items[1]},
        "curve_by_week": [round(float(value), 4) for value in model.curve.of_84_days()],
        "prior_strength_buyers": model.prior.strength,
        "first_day_weight": model.prior.first_day_weight,
        "early_buyers_gain": model.buyer_gain,
        "early_buyers_used": len(model.factor.score) > 0,
        "start_share": share,
        "young_units": float(young.mean.sum()),
        "waiting_units": float(waiting.mean.sum()),
    }
    if model.origin + model.horizon <= cohort.today:
        sold = cohort.sums(asked.young, asked.ages, asked.ages + model.horizon)
        figures["outcome"] = outcome(young.mean, young.low, young.high, sold)
    return frame.select(list(LAUNCHES)).sort("item_row"), figures


def outcome(mean: Floats, low: Floats, high: Floats, sold: Floats) -> dict[str, float | None]:
    """Returns how forecasts fared: WAPE, bias, mean difference of log(1 + units), share in the interval."""
    if not len(mean):
        return {"sold": 0.0, "wape": None, "bias": None, "log_error": None, "inside": None}
    total = float(sold.sum())
    inside: Bools = (sold >= low - 1e-9) & (sold <= high + 1e-9)
    return {
        "sold": total,
        "wape": float(np.abs(sold - mean).sum()) / total if total > 0 else None,
        "bias": float(mean.sum()) / total - 1.0 if total > 0 else None,
        "log_error": float(np.abs(np.log1p(sold) - np.log1p(mean)).mean()),
        "inside": float(inside.mean()),
    }


def look_alike_names(cohort: Cohort, found: LookAlikes, shown: int) -> list[str]:
    """Returns a JSON list of [item_id, similarity] an item, most alike first."""
    ids = cohort.items["item_id"].to_list()
    return [
        msgspec.json.encode(
            [
                (ids[row], round(similarity, 4))
                for row, similarity in zip(rows[:shown], similarities[:shown], strict=True)
                if row >= 0
            ]
        ).decode()
        for rows, similarities in zip(found.rows.tolist(), found.similarity.tolist(), strict=True)
    ]
