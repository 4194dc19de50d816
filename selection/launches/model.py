"""Owns what the finished launches of an origin teach, and what it says of items at any age of their life."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from selection.launches.bands import ErrorBands, fit_bands
from selection.launches.buyers import (
    JUDGED_DAYS,
    NO_FACTOR,
    BuyerFactor,
    BuyerHistory,
    buyer_history,
    fit_factor,
)
from selection.launches.cohort import EARLY_DAYS, Bools, Cohort, Floats, Ints
from selection.launches.config import LaunchesConfig
from selection.launches.curve import LaunchCurve, fit_curve
from selection.launches.level import (
    best_category_items,
    capped,
    category_means,
    kernel_means,
    mixed,
    poisson_deviance,
    price_bands,
)
from selection.launches.lookalikes import LookAlikes, Similarity, find_look_alikes, similarity_at
from selection.launches.traits import Traits, category_codes
from selection.launches.updating import Life, Prior, fit_prior

#: Days of life at which earlier launches are looked back on; the errors at one serve up to the next.
AGES = (1, 3, 7, 14, 28, 42)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A cohort with all that can be said of its items, whichever the origin.

    Attributes:
        cohort: the items.
        traits: what they are.
        depths: category numbers by depth, coarsest first: 1, 2, ... and the whole path.
    """

    cohort: Cohort
    traits: Traits
    depths: tuple[Ints, ...]


@dataclass(frozen=True, slots=True)
class Levels:
    """Units expected before any sale, (n,) each: of the launch day, and of the horizon's other days."""

    first: Floats
    rest: Floats


@dataclass(frozen=True, slots=True)
class LaunchModel:
    """What the launches whose horizon was over at an origin teach.

    Attributes:
        known: items and traits.
        config: the stage's.
        origin: day number.
        horizon: days.
        launches: positions of the finished launches, rising.
        similarity: how alike items are.
        steps: groups that category means go through, coarsest first.
        first: units of each launch on its first day, capped, (n_launches,).
        rest: units of each launch on the horizon's other days, capped, (n_launches,).
        category_items: weight of the category's mean beside the look-alikes, in items, by first and rest.
        curve: when it is sold.
        first_buyers: usual buyers on the day of the launch.
        buyers_a_unit: buyers for each unit sold later.
        prior: how fast own sales count.
        history: who bought launches early and what became of those.
        factor: what the quality of early buyers multiplies; `NO_FACTOR` where it adds nothing.
        buyer_gain: by which share it lowered the error on later launches than those it was fitted on.
        before: errors before any sale.
        errors: errors by age, for each of `AGES`.
    """

    known: Knowledge
    config: LaunchesConfig
    origin: int
    horizon: int
    launches: Ints
    similarity: Similarity
    steps: tuple[Ints, ...]
    first: Floats
    rest: Floats
    category_items: tuple[float, float]
    curve: LaunchCurve
    first_buyers: float
    buyers_a_unit: float
    prior: Prior
    history: BuyerHistory
    factor: BuyerFactor
    buyer_gain: float
    before: ErrorBands
    errors: tuple[ErrorBands, ...]

    def look_alikes(self, rows: Ints) -> LookAlikes:
        """Returns the finished launches most like some items."""
        return find_look_alikes(
            self.similarity,
            rows,
            self.launches,
            levels=self.known.depths[::-1],
            latest_first=self.known.cohort.launched,
        )

    def levels(self, rows: Ints, found: LookAlikes) -> Levels:
        """Returns what items are expected to sell before they do; a launch's own sales are left out."""
        parts = []
        for values, items in zip((self.first, self.rest), self.category_items, strict=True):
            near, number = kernel_means(values, self.launches, found, self.config.similarity_power)
            category = category_means(
                values,
                self.launches,
                rows,
                steps=self.steps,
                prior_items=self.config.category_prior_items,
            )
            parts.append(mixed(near, number, category, items))
        return Levels(*parts)

    def life(self, rows: Ints, levels: Levels, ages: Ints) -> Life:
        """Returns what is known of some items at an age of at least 1 day."""
        cohort = self.known.cohort
        first = cohort.buyers[rows, 1]
        share = self.curve.by(rows, ages)
        return Life(
            first=first,
            first_expected=np.full(len(rows), self.first_buyers),
            bought=np.maximum(cohort.buyers[rows, ages] - first, 0.0),
            expected=levels.rest * self.buyers_a_unit * share,
            ahead=levels.rest * (self.curve.by(rows, ages + self.horizon) - share),
        )

    def scores(self, rows: Ints, ages: Ints) -> Floats:
        """Returns the quality of some items' first buyers, 0..1, nan where nothing is known of them."""
        return self.history.scores(self.known.cohort, rows, ages, self.config.buyer_prior_purchases)


def fit_launches(
    known: Knowledge, *, origin: int, horizon: int, config: LaunchesConfig
) -> LaunchModel | None:
    """Returns what was known of launches at an origin, or None where too few were finished.

    Every figure of a launch that enters another's forecast, its own left out, is from days before the origin.

    Args:
        known: items and traits; what happened from the origin on is not looked at.
        origin: day number.
        horizon: days to foretell.
        config: the stage's.
    """
    cohort = known.cohort
    settled = cohort.settled(origin, config.settle_days)
    launches = np.flatnonzero(settled & (cohort.launched + max(horizon, 2) <= origin))
    if len(launches) < config.min_launches:
        return None
    price = cohort.price(origin)
    similarity = similarity_at(known.traits, price, _there(cohort, origin), config)
    group = known.depths[min(1, len(known.depths) - 1)]
    bands = price_bands(similarity.log_price, group, launches)
    steps = [*known.depths[:2], group * 8 + bands, *known.depths[2:]]
    # A horizon of a day still needs a day after the first to know how launches go on.
    span = max(horizon, 2)
    first, rest = cohort.sums(launches, 0, 1), cohort.sums(launches, 1, span)
    curve = fit_curve(
        cohort,
        np.flatnonzero(settled & (cohort.launched < origin)),
        origin=origin,
        horizon=horizon,
        group=known.depths[0],
        prior_items=config.curve_prior_items,
    )
    first_buyers = cohort.buyers[launches, 1]
    rest_buyers = np.maximum(cohort.buyers[launches, span] - first_buyers, 0.0)
    model = LaunchModel(
        known=known,
        config=config,
        origin=origin,
        horizon=horizon,
        launches=launches,
        similarity=similarity,
        steps=tuple(steps),
        first=capped(first, config),
        rest=capped(rest, config),
        category_items=(1.0, 1.0),
        curve=curve,
        first_buyers=float(first_buyers.mean()),
        buyers_a_unit=float(rest_buyers.sum() / max(rest.sum(), 1.0)),
        prior=Prior(1.0, 0.0),
        history=buyer_history(cohort, np.flatnonzero(settled), origin=origin),
        factor=NO_FACTOR,
        buyer_gain=0.0,
        before=fit_bands(np.zeros(0), np.zeros(0), config),
        errors=(),
    )
    found = model.look_alikes(launches)
    return learned(replace(model, category_items=_category_items(model, found, first, rest)), found)


def _there(cohort: Cohort, origin: int) -> Bools:
    """Returns which items the catalogue had at an origin, as far as that can be known."""
    return cohort.launched < origin if origin < cohort.today else np.ones(len(cohort.launched), bool)


def _category_items(
    model: LaunchModel, found: LookAlikes, first: Floats, rest: Floats
) -> tuple[float, float]:
    best = []
    for values, sold in ((model.first, first), (model.rest, rest)):
        near, number = kernel_means(values, model.launches, found, model.config.similarity_power)
        category = category_means(
            values,
            model.launches,
            model.launches,
            steps=model.steps,
            prior_items=model.config.category_prior_items,
        )
        best.append(best_category_items(near, number, category, sold))
    return best[0], best[1]


def learned(model: LaunchModel, found: LookAlikes) -> LaunchModel:
    """Returns the model with prior, early buyers and errors, all from launches that know not themselves.

    Args:
        model: whose level and curve stand.
        found: look-alikes of each of its launches.
    """
    cohort, launches, horizon = model.known.cohort, model.launches, model.horizon
    levels = model.levels(launches, found)
    lives, scores, launched = [], [], []
    for age in AGES:
        at = np.flatnonzero(cohort.launched[launches] + age + horizon <= model.origin)
        rows, ages = launches[at], np.full(len(at), age)
        life = model.life(rows, Levels(levels.first[at], levels.rest[at]), ages)
        lives.append((life, cohort.sums(rows, ages, ages + horizon)))
        scores.append(model.scores(rows, ages))
        launched.append(cohort.launched[rows])
    model = replace(model, prior=fit_prior(lives))
    means = [model.prior.posterior(life) for life, _ in lives]
    sold = [units for _, units in lives]
    gain = _buyer_gain(scores, means, sold, launched)
    if gain >= model.config.buyer_min_gain:
        factor = fit_factor(np.concatenate(scores), np.concatenate(means), np.concatenate(sold))
        means = [mean * factor.of(score) for mean, score in zip(means, scores, strict=True)]
        model = replace(model, factor=factor)
    before = levels.first + levels.rest
    return replace(
        model,
        buyer_gain=gain,
        before=fit_bands(before, cohort.sums(launches, 0, horizon), model.config),
        errors=_errors(means, sold, model.config),
    )


def _errors(means: list[Floats], sold: list[Floats], config: LaunchesConfig) -> tuple[ErrorBands, ...]:
    """Returns the errors by age; an age that too few launches have reached has those of the age before it."""
    errors: list[ErrorBands] = []
    for mean, units in zip(means, sold, strict=True):
        enough = not errors or len(mean) >= config.min_launches
        errors.append(fit_bands(mean, units, config) if enough else errors[-1])
    return tuple(errors)


def _buyer_gain(scores: list[Floats], means: list[Floats], sold: list[Floats], launched: list[Ints]) -> float:
    """Returns by which share a factor fitted on earlier launches lowers the deviance on later ones."""
    score, mean, units = np.concatenate(scores), np.concatenate(means), np.concatenate(sold)
    day = np.concatenate(launched)
    if not len(day):
        return 0.0
    later = day > np.median(day)
    factor = fit_factor(score[~later], mean[~later], units[~later])
    without = poisson_deviance(units[later], mean[later])
    with_it = poisson_deviance(units[later], mean[later] * factor.of(score[later]))
    return 1.0 - with_it / without if without > 0 else 0.0


def life_days(config: LaunchesConfig, horizon: int) -> int:
    """Returns how many days of life a cohort must hold for forecasts of a horizon."""
    return max(max(config.young_days, AGES[-1]) + horizon, EARLY_DAYS + JUDGED_DAYS) + 1


def know(cohort: Cohort, traits: Traits) -> Knowledge:
    """Returns a cohort with its traits and category numbers."""
    categories = cohort.items["category"]
    depths = (category_codes(categories, 1), category_codes(categories, 2), category_codes(categories, 0))
    return Knowledge(cohort, traits, depths)
