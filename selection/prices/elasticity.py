"""Owns elasticities: one weighted Poisson regression an item, all at once, then shrunk to the category's.

    log E[units] = a + b log(price) + c promoted + d season + e time

fitted by iterated least squares on the item's own weeks (quasi-Poisson: the variance is phi times the mean,
phi estimated, at least 1). Counts, not their logarithms: weeks that sell nothing stay in, and a thin item's
noise does not pull b towards 0. Nuisance terms have a weak normal prior, so that an item that was never
promoted, say, needs no case of its own; the price term has none.

Estimates are then shrunk in two steps (random effects, method of moments: DerSimonian and Laird 1986, eq. 8):
items to their category, categories to the shop. What passes for identified is decided by the item's own
standard error, never by the estimate: asking for a significant one would keep the exaggerated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selection.prices.panel import Floats, Panel

Z90 = 1.6449  # half-width of a 90% interval in standard deviations
STEPS = 25
REACH = 20.0  # no week is expected further from the item's mean, as a natural logarithm
PRIOR_SD = np.array([1e3, 1e3, 1.0, 2.0, 1.0])  # intercept, price, promoted, season, time (whole span)


@dataclass(frozen=True, slots=True)
class Estimates:
    """Own estimates, before anything is shrunk; arrays of (n_items,) float64.

    Attributes:
        slope: percent of units for a percent of price.
        error: its standard error.
    """

    slope: Floats
    error: Floats


@dataclass(frozen=True, slots=True)
class Pooled:
    """Shrunk elasticities with their standard deviations, float64.

    Attributes:
        item: (n_items,) mean of the posterior.
        item_sd: (n_items,) its standard deviation.
        group: (n_groups,) the categories' means.
        group_sd: (n_groups,) their standard deviations.
        counts: (n_groups,) int64, items that speak for each.
        shop: the shop's mean; nan without any item.
        within_sd: how much items differ inside a category.
        between_sd: how much categories differ.
    """

    item: Floats
    item_sd: Floats
    group: Floats
    group_sd: Floats
    counts: NDArray[np.int64]
    shop: float
    within_sd: float
    between_sd: float


def own_estimates(panel: Panel) -> Estimates:
    """Returns every panel item's elasticity from its own weeks alone."""
    n, weeks = panel.units.shape
    if n == 0:
        return Estimates(np.zeros(0), np.zeros(0))
    used = panel.on_sale.astype(np.float64)
    count = used.sum(axis=1, keepdims=True)

    def centred(values: Floats) -> Floats:
        out: Floats = (values - (values * used).sum(axis=1, keepdims=True) / count) * used
        return out

    time = np.broadcast_to(np.arange(weeks) / max(weeks - 1, 1), (n, weeks))
    columns = [used, *map(centred, (panel.log_price, panel.promoted, panel.season, time))]
    design = np.stack(columns, axis=2)
    units = panel.units * used
    prior = np.diag(1.0 / np.square(PRIOR_SD))
    beta = np.zeros((n, len(columns)))
    mean_units = units.sum(axis=1) / count[:, 0]
    beta[:, 0] = np.log(mean_units)
    centre = beta[:, 0].copy()

    def expected() -> Floats:
        told = np.einsum("nwk,nk->nw", design, beta) - centre[:, None]
        mean: Floats = np.exp(np.clip(told, -REACH, REACH) + centre[:, None]) * used
        return mean

    for _ in range(STEPS):
        mean = expected()
        information = np.einsum("nwk,nw,nwl->nkl", design, mean, design) + prior
        pull = beta.copy()
        pull[:, 0] -= centre
        gradient = np.einsum("nwk,nw->nk", design, units - mean) - pull @ prior
        step = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
        beta += np.clip(step, -1.0, 1.0)
    mean = expected()
    information = np.einsum("nwk,nw,nwl->nkl", design, mean, design) + prior
    variance = np.linalg.inv(information)[:, 1, 1]
    pearson = np.where(used > 0, np.square(units - mean) / np.maximum(mean, 1e-9), 0.0).sum(axis=1)
    spread = np.maximum(pearson / np.maximum(count[:, 0] - len(columns), 1), 1.0)
    return Estimates(beta[:, 1], np.sqrt(variance * spread))


def pool(estimates: Estimates, group: NDArray[np.int64], n_groups: int) -> Pooled:
    """Returns elasticities shrunk to the category's, and those to the shop's.

    Args:
        estimates: the items' own.
        group: (n_items,) the category's number, 0..n_groups - 1.
        n_groups: how many categories there are, with items or without.
    """
    slope, variance = estimates.slope, np.square(estimates.error)
    counts = np.bincount(group, minlength=n_groups)
    if len(slope) == 0:
        nothing = np.full(n_groups, np.nan)
        return Pooled(slope, slope, nothing, nothing, counts, float("nan"), 0.0, 0.0)
    within = _between_variance(slope, variance, group, n_groups)
    weight = np.bincount(group, 1 / (variance + within), minlength=n_groups)
    some = weight > 0
    raw = np.bincount(group, slope / (variance + within), minlength=n_groups)[some] / weight[some]
    raw_variance = 1 / weight[some]
    between = _between_variance(raw, raw_variance, np.zeros(len(raw), np.int64), 1)
    shop_weight = 1 / (raw_variance + between)
    shop = float((raw * shop_weight).sum() / shop_weight.sum())
    shop_variance = 1 / shop_weight.sum()
    mean, sd = np.full(n_groups, shop), np.full(n_groups, np.sqrt(between + shop_variance))
    kept = between / (between + raw_variance)
    mean[some] = kept * raw + (1 - kept) * shop
    sd[some] = np.sqrt(kept * raw_variance + np.square(1 - kept) * shop_variance)
    own = within / (within + variance)
    item = own * slope + (1 - own) * mean[group]
    item_sd = np.sqrt(own * variance + np.square((1 - own) * sd[group]))
    return Pooled(item, item_sd, mean, sd, counts, shop, float(np.sqrt(within)), float(np.sqrt(between)))


def _between_variance(values: Floats, variance: Floats, group: NDArray[np.int64], n_groups: int) -> float:
    """Returns how much true values vary inside groups (0 or more), by the moments of weighted squares."""
    weight = 1 / variance
    total = np.bincount(group, weight, minlength=n_groups)
    some = total > 0
    mean = np.bincount(group, weight * values, minlength=n_groups) / np.where(some, total, 1.0)
    squares = float((weight * np.square(values - mean[group])).sum())
    freedom = len(values) - int(some.sum())
    scale = float(total.sum() - (np.bincount(group, weight**2, minlength=n_groups)[some] / total[some]).sum())
    return max(0.0, (squares - freedom) / scale) if scale > 0 and freedom > 0 else 0.0
