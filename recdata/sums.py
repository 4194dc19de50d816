"""Owns sums that are the same to the last digit in every run: a group's rows are added in their own order.

A Polars group_by adds a group's floats in whatever order its threads come to them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl


def group_sums(frame: pl.DataFrame, by: Sequence[str], values: Sequence[str]) -> pl.DataFrame:
    """Returns one row a group, sorted by `by`, with the sum of each value column as Float64.

    Args:
        frame: rows in a fixed order, without nulls in the value columns.
        by: columns that make a group, at least one; null is a value like any other.
        values: numeric columns that are summed.
    """
    ordered = frame.select(*by, *values).sort(by, maintain_order=True)
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in by)
    starts = ordered.select((differs | (pl.int_range(pl.len()) == 0)).arg_true()).to_series()
    sums = {name: _sums(ordered[name], starts) for name in values}
    return ordered.select(pl.col(by).gather(starts)).with_columns(**sums)


def _sums(column: pl.Series, starts: pl.Series) -> pl.Series:
    if not len(starts):
        return pl.Series(dtype=pl.Float64)
    return pl.Series(np.add.reduceat(column.cast(pl.Float64).to_numpy(), starts.to_numpy().astype(np.intp)))
