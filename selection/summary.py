"""Owns what the back-test says in the end: means over origins with intervals, lifts, what added what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import polars as pl

from selection.config import BacktestConfig
from selection.score import Floats

METHODS = (
    "selection",
    "score",
    "equal",
    "value",
    "forecast",
    "bestsellers",
    "bestsellers_units",
    "bestsellers_base",
    "bestsellers_both",
    "bestsellers_long",
    "bestsellers_84",
    "average",
    "buyers",
    "last_year",
    "momentum",
    "random",
    "oracle",
)
#: Rules that need no model; the strongest of them is who must be beaten.
PLAIN = (
    "bestsellers",
    "bestsellers_units",
    "bestsellers_base",
    "bestsellers_both",
    "bestsellers_long",
    "bestsellers_84",
    "average",
    "buyers",
    "last_year",
    "momentum",
)
#: Begins the name of the selection's score without one component.
WITHOUT = "without:"
METRICS = ("precision", "capture")
#: Lists of picks by the score, and lists with a question of their own (`selection.backtest_lists`).
SCOPES = ("shop", "category")
LISTS = ("hits", "drops")
BASELINE = "bestsellers"
#: What the lists are held against: a hit is one of units.
BASELINES = {"hits": "bestsellers_units", "drops": "bestsellers_units"}
#: Metrics whose ratio to the baseline says something.
LIFTED = ("precision", "capture", "ndcg", "announced", "false_kills")
#: Metrics of which a small figure is good.
SMALL_IS_GOOD = frozenset({"regret", "turnover", "false_kills", "killed_value"})

#: Long form: one row an origin (null in a summary) x scope x segment x method x metric. part: "origin" for
#: one origin; "held_out" or "all" for a mean over origins. scope: shop, category, stage, hits or drops.
#: segment: "" for all of them, else the category or stage. metric: precision, capture, ndcg, regret (money),
#: turnover, expected_ratio (promised over realised revenue); of hits also announced and lead_days (days), of
#: drops false_kills and killed_value (money); and in summaries lift_ of those in `LIFTED`, the ratio to the
#: baseline's mean less 1. low and high bound the mean's 95% interval; null for one origin.
BACKTEST = {
    "part": pl.String,
    "origin": pl.Date,
    "scope": pl.String,
    "segment": pl.String,
    "method": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n_origins": pl.Int32,
}
KEY = ("scope", "segment", "metric")


def summarise(frame: pl.DataFrame, config: BacktestConfig) -> pl.DataFrame:
    """Returns the summary rows: means over origins with 95% bootstrap intervals, and lifts over baselines.

    Origins are drawn with replacement, the same draw for every method, so a lift's interval is paired.
    With few origins the interval is rough, and with one it is the value itself. A figure that not every
    origin has (a category that came later, a turnover) is summarised over those that have it.
    """
    origins = frame.get_column("origin").unique().sort().to_list()
    rows: list[dict[str, object]] = []
    for part, members in held_out_parts(origins, config).items():
        inside = frame.filter(pl.col("origin").is_in(members)).sort(*KEY, "method", "origin")
        for (scope, segment, metric), table in inside.group_by(*KEY, maintain_order=True):
            by_method = {
                str(method): dict(group.select("origin", "value").iter_rows())
                for (method,), group in table.group_by("method", maintain_order=True)
            }
            about = {"part": part, "scope": scope, "segment": segment}
            baseline = BASELINES.get(str(scope), BASELINE)
            rows += [about | row for row in _summary(str(metric), by_method, baseline, config)]
    return pl.DataFrame([{"origin": None, **row} for row in rows], schema=BACKTEST)


def _summary(
    metric: str, by_method: dict[str, dict[date, float]], baseline: str, config: BacktestConfig
) -> Iterator[dict[str, object]]:
    """Yields the mean of each method that has a figure at as many origins as any, and its lift."""
    days = max((sorted(found) for found in by_method.values()), key=len)
    n = len(days)
    draws = np.random.default_rng([config.seed, n]).integers(0, n, size=(config.bootstrap_samples, n))
    values = {
        method: np.array([found[day] for day in days])
        for method, found in by_method.items()
        if found.keys() >= set(days)
    }
    boot = {method: value[draws].mean(axis=1) for method, value in values.items()}
    against = float(values[baseline].mean()) if baseline in values else 0.0
    for method in sorted(values, key=_order):
        about = {"method": method, "n_origins": n}
        mean = float(values[method].mean())
        yield about | {"metric": metric} | _interval(mean, boot[method])
        if metric in LIFTED and method != baseline and against > 0 and (boot[baseline] > 0).all():
            yield (
                about
                | {"metric": f"lift_{metric}"}
                | _interval(mean / against - 1, boot[method] / boot[baseline] - 1)
            )


def _order(method: str) -> tuple[int, str]:
    return (METHODS.index(method) if method in METHODS else len(METHODS), method)


def held_out_parts(origins: Sequence[date], config: BacktestConfig) -> dict[str, list[date]]:
    """Returns part name -> its origins: "held_out", the latest share of them (at least one), and "all"."""
    if not origins:
        return {}
    n = max(1, round(len(origins) * config.held_out_share))
    return {"held_out": list(origins[-n:]), "all": list(origins)}


def _interval(value: float, samples: Floats) -> dict[str, float]:
    low, high = np.quantile(samples, [0.025, 0.975])
    return {"value": value, "low": float(low), "high": float(high)}


def headline(frame: pl.DataFrame, config: BacktestConfig) -> dict[str, object]:
    """Returns the JSON-able summary of a `BACKTEST` frame: what was asked, and the held-out figures.

    Keys: n_origins, held_out_origins, top_k, category_top_k, baseline, and `figures`: scope → method →
    metric → [value, low, high] over the held-out origins; `verdicts`: scope → metric → better, worse or
    even, the selection against the baseline.
    """
    origins = frame.filter(pl.col("part") == "origin").get_column("origin").unique().sort().to_list()
    held_out = held_out_parts(origins, config).get("held_out", [])
    figures: dict[str, dict[str, dict[str, list[float]]]] = {}
    verdicts: dict[str, dict[str, str]] = {}
    rows = frame.filter((pl.col("part") == "held_out") & (pl.col("segment") == ""))
    for row in rows.iter_rows(named=True):
        interval = [round(row[name], 6) for name in ("value", "low", "high")]
        figures.setdefault(row["scope"], {}).setdefault(row["method"], {})[row["metric"]] = interval
        if row["method"] == "selection" and row["metric"] in {"lift_precision", "lift_capture"}:
            metric = row["metric"].removeprefix("lift_")
            verdicts.setdefault(row["scope"], {})[metric] = verdict(row["low"], row["high"])
    return {
        "n_origins": len(origins),
        "held_out_origins": [origin.isoformat() for origin in held_out],
        "top_k": config.top_k,
        "category_top_k": config.category_top_k,
        "baseline": BASELINE,
        "figures": figures,
        "verdicts": verdicts,
    }


def verdict(low: float, high: float) -> str:
    """Returns better, worse, or even where the interval of a lift holds 0."""
    return "better" if low > 0 else "worse" if high < 0 else "even"


def strongest_plain(frame: pl.DataFrame, scope: str, metric: str) -> tuple[str, float] | None:
    """Returns the plain rule with the best mean over all origins of a `BACKTEST` frame, and that mean."""
    found = {method: value for method, value in means_of(frame, scope, metric).items() if method in PLAIN}
    best = min if metric in SMALL_IS_GOOD else max
    return best(found.items(), key=lambda pair: pair[1], default=None)


def added_by_component(frame: pl.DataFrame, scope: str, metric: str) -> dict[str, float]:
    """Returns component -> what the selection's mean over all origins loses without it, largest first."""
    means = means_of(frame, scope, metric)
    whole = means.get("selection", 0.0)
    lost = {name.removeprefix(WITHOUT): whole - value for name, value in means.items() if WITHOUT in name}
    return dict(sorted(lost.items(), key=lambda pair: (-pair[1], pair[0])))


def means_of(frame: pl.DataFrame, scope: str, metric: str) -> dict[str, float]:
    """Returns method -> its mean over all origins."""
    chosen = frame.filter(
        (pl.col("part") == "all")
        & (pl.col("segment") == "")
        & (pl.col("scope") == scope)
        & (pl.col("metric") == metric)
    )
    return dict(chosen.select("method", "value").iter_rows())
