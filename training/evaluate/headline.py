"""Owns the figures of one evaluation that others read: the manifest, the gate, the list of nights."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import polars as pl

from recdata.errors import RunError

FILE_NAME = "evaluation.json"


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """`evaluation.json`: how one test period went, for all judged shoppers.

    Attributes:
        test_start: first day of the test period.
        test_end: the day after its last.
        k: length of the judged lists.
        users: judged shoppers.
        items: items sold before the test period.
        reason: why nothing was judged, else "".
        metrics: "TARGET.MODEL.METRIC" -> mean of shoppers, and "TARGET.MODEL.METRIC_vs_OTHER" -> the
            quotient of two models' means; "known.served.METRIC" is about all customers known at the origin.
    """

    test_start: date
    test_end: date
    k: int
    users: int
    items: int
    reason: str
    metrics: dict[str, float]

    def figure(self, metric: str, *, model: str = "served", target: str = "all") -> float | None:
        """Returns one figure, None where it was not measured."""
        return self.metrics.get(f"{target}.{model}.{metric}")


def headline_metrics(frame: pl.DataFrame, pairs: pl.DataFrame, k: int) -> dict[str, float]:
    """Returns `Headline.metrics` of one period's `evaluation` and `evaluation_pairs`."""
    means = frame.filter(pl.col("k") == k, pl.col("segment").is_in(["all", "known"]))
    metrics = {
        f"{target if segment == 'all' else segment}.{model}.{metric}": round(value, 6)
        for target, segment, model, metric, value in means.select(
            "target", "segment", "model", "metric", "value"
        ).iter_rows()
    }
    quotients = pairs.filter(pl.col("ratio").is_not_null())
    return metrics | {
        f"{target}.{model}.{metric}_vs_{against}": round(ratio, 6)
        for target, model, metric, against, ratio in quotients.select(
            "target", "model", "metric", "against", "ratio"
        ).iter_rows()
    }


def read_headline(path: Path) -> Headline:
    """Returns the headline that a run's evaluation left.

    Raises:
        RunError: the file is missing or not a headline.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Headline)
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"{path}: no evaluation ({error}); run `recsvc evaluate`") from error
