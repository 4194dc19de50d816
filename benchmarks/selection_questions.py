"""Asks the four questions of a selection at past origins, of the learned outcomes and of every plain rule.

    python benchmarks/selection_questions.py RUN_FOLDER [--first-week 20] [--step-days 28] [--keep-days 84]

Walks forward: at each origin only days whose answers had ended by then have taught.  Prints, for each
question, every rule's mean over origins with its 95% bootstrap interval and the model's ratio to it (paired;
for the drop list a small figure is good), then reliability tables, expected against realised value, and how
early the alarm for hits is.  Needs a run whose stage `prepare` is done.  What each question means stands in
`selection/outcomes/questions.py`.
"""

from __future__ import annotations

import argparse
import math
import resource
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from recdata.artefacts import read_artefact, scan_artefact
from recdata.training_artefacts import FORECAST_TOTALS
from selection.history import Tables
from selection.outcomes.alarm import lead_times
from selection.outcomes.config import OutcomesConfig
from selection.outcomes.facts import Facts, facts_of
from selection.outcomes.figures import CHANCES, calibration, picks_value
from selection.outcomes.labels import top_of_group
from selection.outcomes.quality import calibration_error
from selection.outcomes.questions import (
    CATEGORY_LEAST,
    MODEL,
    QUESTIONS,
    ask,
    question_days,
    strongest,
    summarise,
)
from selection.outcomes.walk import Outlook, Walked, walk

#: The questions about `keep_days` have fewer origins, so these stand closer.
LONG_STEP_SHARE = 2
LEAST_DAY = 28
#: Futures drawn to tell luck from knowledge.
FUTURES = 20


def main() -> None:
    """Walks forward and prints every table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a run folder, home/runs/<run_id>")
    parser.add_argument("--first-week", type=int, default=20, help="no origin before this week of the data")
    parser.add_argument("--step-days", type=int, default=28, help="days between two origins")
    parser.add_argument("--keep-days", type=int, default=84, help="horizon of new items and of the drop list")
    parser.add_argument("--category-depth", type=int, default=2)
    given = parser.parse_args()
    console = Console(width=110)
    config = OutcomesConfig(keep_days=given.keep_days)
    facts = facts_of(tables_of(given.run), category_depth=given.category_depth)
    if facts is None:
        raise SystemExit(f"{given.run}: nothing was sold, so there is nothing to ask")
    learned = ("hit", "top", "keep", "value")
    for questions, lessons, step in (
        (QUESTIONS[:2], learned, given.step_days),
        (QUESTIONS[2:], ("keep", "fresh"), max(given.step_days // LONG_STEP_SHARE, 7)),
    ):
        days = question_days(questions[0], config)
        origins = origins_of(facts, step=step, first=given.first_week * 7, days=days)
        if not origins:
            console.print(f"{' and '.join(questions)}: no origin whose {days} days are over")
            continue
        walked = walk(facts, origins, config, wanted=lessons)
        for question in questions:
            console.print(table_of(question, facts, walked, origins, config))
        if questions == QUESTIONS[:2]:
            found = np.mean([known_rates(facts, walked.outlooks[origin], config) for origin in origins])
            console.print(f"top of category in drawn futures, by who knows the true rates: {found:.3f}")
            print_quality(console, facts, walked, origins, config)
    used = resource.getrusage(resource.RUSAGE_SELF)
    console.print(
        f"{used.ru_utime + used.ru_stime:.0f} s of processor time, {used.ru_maxrss / 1024:.0f} MB at the peak"
    )


def tables_of(run: Path) -> Tables:
    """Returns a run's tables without forecasts, which no outcome needs; the run ends on its last sale."""
    sales = scan_artefact(run / "daily_sales.parquet", "daily_sales")
    last = sales.select(pl.col("day").max()).collect().item()
    if last is None:
        raise SystemExit(f"{run}: nothing was sold, so there is nothing to ask")
    return Tables(
        items=read_artefact(run / "items.parquet", "items"),
        purchases=scan_artefact(run / "purchases.parquet", "purchases"),
        daily_sales=sales,
        promoted_days=scan_artefact(run / "promoted_days.parquet", "promoted_days"),
        forecast_totals=pl.DataFrame(schema=FORECAST_TOTALS),
        as_of=last + timedelta(days=1),
    )


def origins_of(facts: Facts, *, step: int, first: int, days: int) -> list[int]:
    """Returns day numbers, rising: steps back from the end, not before `first`, with `days` after them."""
    found = range(facts.n_days, max(first, LEAST_DAY) - 1, -step)
    return sorted(origin for origin in found if origin + days <= facts.n_days)


def table_of(
    question: str, facts: Facts, walked: Walked, origins: list[int], config: OutcomesConfig
) -> Table:
    """Returns a question's table, the best rule first; the strongest plain rule is marked."""
    by_origin = [ask(question, facts, walked.outlooks[origin], config) for origin in origins]
    answers = summarise(by_origin)
    best = strongest(question, answers)
    table = Table(
        title=f"{question}: {sum(map(bool, by_origin))} origins", title_justify="left", min_width=76
    )
    for column in ("rule", "mean", "95%", "model / rule", "95%"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for answer in sorted(answers, key=lambda answer: -answer.value):
        known = answer.rule != MODEL and math.isfinite(answer.ratio)
        span = f"{answer.ratio_low:.2f} .. {answer.ratio_high:.2f}"
        ratio = (f"{answer.ratio:.2f}", span) if known else ("", "")
        table.add_row(
            answer.rule + (" *" if best is not None and answer.rule == best.rule else ""),
            f"{answer.value:.3f}",
            f"{answer.low:.3f} .. {answer.high:.3f}",
            *ratio,
            style="bold" if answer.rule == MODEL else None,
        )
    return table


def known_rates(facts: Facts, outlook: Outlook, config: OutcomesConfig) -> float:
    """Returns the share of the top of each category that is found by who knows every item's true rate.

    Futures are drawn from the model's own values with Poisson orders: what is missed then is luck, and no
    rule can have it.
    """
    panel = outlook.panel
    group = facts.group[panel.rows]
    size = np.nan_to_num(panel.columns["price"] * panel.columns["units_per_order"]).astype(np.float64)
    orders = np.where(size > 0, outlook.value / np.where(size > 0, size, 1.0), 0.0)
    sold = panel.columns["units_84"] > 0
    eligible = (np.bincount(group[sold], minlength=int(group.max()) + 1) >= CATEGORY_LEAST)[group]
    picked = top_of_group(outlook.value, eligible, group, config.category_top_k)
    rng = np.random.default_rng([config.seed, panel.origin])
    shares = []
    for _ in range(FUTURES):
        best = top_of_group(rng.poisson(orders) * size, eligible, group, config.category_top_k)
        shares.append(float((picked & best).sum()) / max(float(best.sum()), 1.0))
    return float(np.mean(shares))


def print_quality(
    console: Console, facts: Facts, walked: Walked, origins: list[int], config: OutcomesConfig
) -> None:
    """Prints calibration, expected against realised value of picks, and the alarm's lead."""
    for name in CHANCES:
        lines = calibration(facts, walked, origins, name, config)
        table = Table(
            title=f"chance of {name}: calibration error {calibration_error(lines):.4f}, "
            f"above 10% {calibration_error(lines, above=0.1):.4f}",
            title_justify="left",
            min_width=76,
        )
        for column in ("from", "items", "said", "came"):
            table.add_column(column, justify="right")
        for line in lines:
            table.add_row(f"{line.low:.2f}", f"{line.items:,}", f"{line.said:.3f}", f"{line.came:.3f}")
        if lines:
            console.print(table)
    table = Table(
        title="expected / realised value of picks by expected value", title_justify="left", min_width=76
    )
    for column in ("picks", "ratio", "95%", "uncorrected", "80% interval held"):
        table.add_column(column, justify="right")
    for scope in ("shop", "category"):
        value = picks_value(facts, walked, origins, config, scope=scope)
        if value is not None:
            table.add_row(
                scope,
                f"{value.ratio:.3f}",
                f"{value.ratio_low:.3f} .. {value.ratio_high:.3f}",
                f"{value.uncorrected / max(value.realised, 1e-9):.3f}",
                f"{value.coverage:.0%}",
            )
    console.print(table)
    table = Table(title="alarm for later hits, against cumulative sales", title_justify="left", min_width=76)
    for column in (
        "threshold",
        "precision",
        "rule",
        "recall",
        "rule",
        "days to alarm",
        "rule",
        "hits",
        "both",
    ):
        table.add_column(column, justify="right")
    for threshold in (None, 0.05, 0.1, 0.2, config.alarm_probability):
        lead = lead_times(facts, walked.weekly, config, threshold=threshold)
        if lead is not None:
            table.add_row(
                f"{lead.threshold:.2f}" + ("" if threshold is not None else " (equal precision)"),
                f"{lead.precision:.3f}",
                f"{lead.rule_precision:.3f}",
                f"{lead.recall:.3f}",
                f"{lead.rule_recall:.3f}",
                f"{lead.days:.1f}",
                f"{lead.rule_days:.1f}",
                f"{lead.hits:,}",
                f"{lead.both:,}",
            )
    console.print(table)


if __name__ == "__main__":
    main()
