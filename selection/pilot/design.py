"""Owns the design of the test: matched pairs of regions, how small a rise they show, the draw. Pure NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from selection.pilot.config import PilotConfig

Floats = NDArray[np.float64]
Pairs = NDArray[np.intp]
MIN_PAIRS = 3
DRAWS = 500
LEAST = 0.1  # of a region's mean week: what it is scaled by at least
WEEKS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 26, 39, 52)


@dataclass(frozen=True, slots=True)
class Noise:
    """What chance does to a pair in a test of some weeks, from past weeks in which nothing was tried.

    Attributes:
        weeks: length of the test.
        differences: (windows, pairs) float64, first region less second, as shares of a region's usual
            sales, after each is corrected by its own weeks before (CUPED).
        raw_sd: standard deviation of the same without that correction.
        theta: how much of the weeks before carries over.
    """

    weeks: int
    differences: Floats
    raw_sd: float
    theta: float

    @property
    def sd(self) -> float:
        """Returns the standard deviation of a pair's difference, what one window has in common apart."""
        return _spread(self.differences)


def match(unlike: Floats, allowed: NDArray[np.bool_]) -> Pairs:
    """Returns pairs of allowed regions, (k, 2) positions, the most alike first; none stands in two pairs."""
    rows = np.flatnonzero(allowed)
    one, two = np.triu_indices(len(rows), 1)
    order = np.argsort(unlike[rows[one], rows[two]], kind="stable")
    taken = np.zeros(len(unlike), np.bool_)
    pairs = []
    for number in order:
        first, second = rows[one[number]], rows[two[number]]
        if not (taken[first] or taken[second]):
            taken[[first, second]] = True
            pairs.append((first, second))
    return np.array(pairs, np.intp).reshape(-1, 2)


def noise(sales: Floats, pairs: Pairs, weeks: int, weeks_before: int) -> Noise | None:
    """Returns the noise of a test of so many weeks; None where the history is too short for two windows.

    The past is cut into windows as long as the test, each with the weeks before it. With u a region's mean
    week of the window and z that of the weeks just before, both over its mean week of all that was before the
    window, the outcome is u - theta z, theta by least squares inside windows (Deng et al. 2013, "Improving
    the sensitivity of online controlled experiments by utilizing pre-experiment data", eq. 4).
    """
    total = sales.shape[1]
    # The later half first: the real test will have as long a past to be scaled by.
    for earliest in (max(weeks_before, total // 2), weeks_before):
        starts = range(total - weeks, earliest - 1, -weeks)
        if len(starts) >= 2:
            break
    if len(starts) < 2 or len(pairs) == 0:
        return None
    used = sales[pairs.ravel()]
    usual = [np.maximum(used[:, :at].mean(axis=1), LEAST * used.mean(axis=1)) for at in starts]
    windows = list(zip(starts, usual, strict=True))
    during = np.stack([used[:, at : at + weeks].mean(axis=1) / scale for at, scale in windows])
    before = np.stack([used[:, at - weeks_before : at].mean(axis=1) / scale for at, scale in windows])
    z = before - before.mean(axis=1, keepdims=True)
    variance = float(np.square(z).sum())
    theta = float((z * during).sum()) / variance if variance > 0 else 0.0
    raw = during[:, 0::2] - during[:, 1::2]
    corrected = raw - theta * (before[:, 0::2] - before[:, 1::2])
    return Noise(weeks, corrected, _spread(raw), theta)


def detectable(sd: float, pairs: int, config: PilotConfig) -> float:
    """Returns the least rise that so many pairs find with the power asked for; infinity below two pairs."""
    if pairs < 2:
        return float("inf")
    freedom = pairs - 1
    reach = stats.t.ppf(1 - config.false_alarm / 2, freedom) + stats.t.ppf(config.power, freedom)
    return float(reach * sd / np.sqrt(pairs))


def pairs_needed(sd: float, config: PilotConfig, most: int) -> int | None:
    """Returns the fewest pairs that find `effect`; None where `most` do not."""
    for pairs in range(MIN_PAIRS, most + 1):
        if detectable(sd, pairs, config) <= config.effect:
            return pairs
    return None


def draw(pairs: Pairs, traits: Floats, seed: int) -> tuple[Pairs, Floats]:
    """Returns the pairs with the region to try in first, and how far the two sides differ, (t,) float64.

    Which of a pair it is is drawn by lot; of `DRAWS` lots the one whose worst trait is best balanced is
    kept. Differences are in standard deviations of the trait over the regions that take part.

    Args:
        pairs: (k, 2) positions.
        traits: (n, t) float64 of all regions.
        seed: of the lots.
    """
    rng = np.random.default_rng(seed)
    spread = traits[pairs.ravel()].std(axis=0)
    gap = (traits[pairs[:, 0]] - traits[pairs[:, 1]]) / np.where(spread > 0, spread, 1.0)
    signs = np.where(rng.random((DRAWS, len(pairs))) < 0.5, 1.0, -1.0)
    balance = signs @ gap / len(pairs)
    best = int(np.argmin(np.abs(balance).max(axis=1))) if gap.shape[1] else 0
    flipped = np.where(signs[best][:, None] > 0, pairs, pairs[:, ::-1])
    return flipped, balance[best]


def rehearse(found: Noise, pairs: int, config: PilotConfig) -> tuple[float, float]:
    """Returns how often past weeks would have raised a false alarm, and how often found the effect, 0..1.

    Every past window is a test in which nothing was tried, evaluated as the real one will be, with sides
    drawn by lot many times; then again with `effect` added to the side that is tried.
    """
    differences = found.differences[:, :pairs]
    rng = np.random.default_rng(config.seed)
    signs = np.where(rng.random((DRAWS, 1, pairs)) < 0.5, 1.0, -1.0)
    outcomes = signs * differences
    limit = stats.t.ppf(1 - config.false_alarm / 2, pairs - 1)

    def told(values: Floats) -> float:
        error = values.std(axis=2, ddof=1) / np.sqrt(pairs)
        return float((np.abs(values.mean(axis=2)) > limit * np.maximum(error, 1e-12)).mean())

    return told(outcomes), told(outcomes + config.effect)


def lengths(most: int) -> Sequence[int]:
    """Returns the lengths in weeks that are weighed against each other, at most `most`."""
    return sorted({*(weeks for weeks in WEEKS if weeks <= most), most})


def _spread(differences: Floats) -> float:
    centred = differences - differences.mean(axis=1, keepdims=True)
    freedom = differences.size - differences.shape[0]
    return float(np.sqrt(np.square(centred).sum() / freedom)) if freedom > 0 else float("nan")
