"""Owns reading what the stages of the evaluation left: any figure by model, target, segment and period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from recdata.artefacts import read_artefact
from recdata.runs import RunFolder
from training.evaluate.headline import Headline, read_headline
from training.evaluate.stage import period_files

SEGMENT_METRIC = "ndcg"
_KINDS = ("activity", "spend", "channel", "region", "customers", "popularity")
_LEVELS = ("none", "low", "middle", "high", "head", "torso", "tail")


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure and the bounds of its interval, None where it has none."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """One model's mean against another's; `ratio` is None where it has no meaning."""

    difference: Cell
    ratio: Cell | None
    p_value: float


class Evaluation:
    """The test periods of one run, the last one first.

    Attributes:
        headlines: one a period.
        frame: the `evaluation` artefacts of all periods.
    """

    def __init__(self, headlines: Sequence[Headline], frame: pl.DataFrame, pairs: pl.DataFrame) -> None:
        """Prepares what the figures are looked up in; `pairs` are the `evaluation_pairs` of all periods."""
        self.headlines, self.frame = headlines, frame
        names = ("period", "model", "target", "segment", "metric", "value", "low", "high", "n_users")
        self._cells: dict[tuple[date, str, str, str, str], tuple[Cell, int]] = {
            (day, model, target, segment, metric): (Cell(value, low, high), users)
            for day, model, target, segment, metric, value, low, high, users in frame.filter(k=self.k)
            .select(names)
            .iter_rows()
        }
        self._pairs = {
            (row["period"], row["target"], row["metric"], row["model"], row["against"]): Pair(
                Cell(row["difference"], row["low"], row["high"]),
                None if row["ratio"] is None else Cell(row["ratio"], row["ratio_low"], row["ratio_high"]),
                row["p_value"],
            )
            for row in pairs.iter_rows(named=True)
        }

    @property
    def k(self) -> int:
        """Returns the length of the judged lists."""
        return self.headlines[0].k

    @property
    def last(self) -> date:
        """Returns the first day of the last test period."""
        return self.headlines[0].test_start

    @property
    def judged(self) -> list[Headline]:
        """Returns the periods in which there was something to judge, the last one first."""
        return [headline for headline in self.headlines if not headline.reason]

    def cell(
        self,
        model: str,
        metric: str,
        *,
        target: str = "all",
        segment: str = "all",
        period: date | None = None,
    ) -> Cell | None:
        """Returns a mean, of the last period unless another is named; None where it was not measured."""
        found = self._cells.get((period or self.last, model, target, segment, metric))
        return found[0] if found else None

    def pair(
        self, model: str, against: str, metric: str, *, target: str = "all", period: date | None = None
    ) -> Pair | None:
        """Returns one model against another; None where they were not compared."""
        return self._pairs.get((period or self.last, target, metric, model, against))

    def users(self, metric: str = SEGMENT_METRIC, *, target: str = "all", segment: str = "all") -> int:
        """Returns how many shoppers count for a metric of a segment in the last period."""
        day = self.last
        counts = [
            n for at, (_, n) in self._cells.items() if at[0] == day and at[2:] == (target, segment, metric)
        ]
        return max(counts, default=0)

    def segments(self, target: str) -> list[str]:
        """Returns the parts of a target: shoppers' before items', levels in their order, values by size."""
        found = {at[3] for at in self._cells if at[0] == self.last and at[2] == target} - {"all", "known"}
        return sorted(found, key=lambda name: self._order(target, name))

    def curve(self, model: str, metric: str, *, target: str = "all") -> list[float]:
        """Returns the last period's means of lists cut at 1, 2, ... places."""
        rows = self.frame.filter(
            period=self.last, model=model, target=target, segment="all", metric=metric
        ).sort("k")
        return rows["value"].to_list()

    def _order(self, target: str, segment: str) -> tuple[int, str, int, int, str]:
        kind, _, value = segment.partition(":")
        place = _KINDS.index(kind.partition(".")[0])
        level = _LEVELS.index(value) if value in _LEVELS else len(_LEVELS) + (value == "other")
        return place, kind, level, -self.users(target=target, segment=segment), value


def read_evaluation(run: RunFolder, periods: int) -> Evaluation:
    """Returns what the stages of a run's evaluation left.

    Raises:
        RunError: one of them has not been done.
    """
    files = [[run.resolve(name) for name in period_files(back)] for back in range(periods)]
    return Evaluation(
        [read_headline(headline) for _, _, headline in files],
        pl.concat([read_artefact(means, "evaluation") for means, _, _ in files]),
        pl.concat([read_artefact(pairs, "evaluation_pairs") for _, pairs, _ in files]),
    )
