"""Owns `[selection]`: every key that decides features, score, action, back-test and report."""

from __future__ import annotations

import math

from recdata.config import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig, Share
from selection.assortment.config import AssortmentConfig
from selection.launches.config import LaunchesConfig
from selection.outcomes.config import OutcomesConfig
from selection.pilot.config import PilotConfig
from selection.prices.config import PricesConfig
from selection.words import Days


class FeaturesConfig(RoomConfig, frozen=True):
    """`[selection.features]`: the windows that look back from an origin, and how thin figures are shrunk."""

    # Days of the recent window: recent sales, and the newer side of the trend; 1 or more.
    recent_days: PositiveInt = 28
    # Days of the base window: buyers, order value, promotion share; 1 or more.
    base_days: PositiveInt = 84
    # Days of the long window: repurchase and yearly sales; 1 or more.
    long_days: PositiveInt = 365
    # Orders added on both sides of the trend's ratio, so that few orders make no big trend; above 0.
    trend_prior_orders: PositiveFloat = 5.0
    # Days an item must have been on sale before the recent window to have a trend; 1 or more.
    trend_min_days: PositiveInt = 14
    # A buyer counts as coming back when the same item is bought again within so many days; 1 or more.
    repurchase_days: PositiveInt = 56
    # Buyers' worth of weight that the category's repurchase rate has in an item's; 0 or more.
    repurchase_prior_buyers: NonNegativeFloat = 20.0
    # Orders' worth of weight that the shop's order value has in an item's; 0 or more.
    order_value_prior_orders: NonNegativeFloat = 10.0
    # Ratings' worth of weight that the shop's mean rating has in an item's; 0 or more.
    rating_prior: NonNegativeFloat = 10.0
    # High-value customers are this share of the customers, those who spent most in the long window; 0 to 1.
    high_value_share: Share = 0.2
    # Buyers' worth of weight that the shop's share of high-value buyers has in an item's; 0 or more.
    tier_prior_buyers: NonNegativeFloat = 10.0
    # So many items of a category, those with most revenue, may cannibalise the others; 1 or more.
    overlap_leaders: PositiveInt = 20
    # Buyers added to an item's when the share that it has in common with another is taken; 0 or more.
    overlap_prior_buyers: NonNegativeFloat = 5.0
    # Path depth of the category inside which items are compared ("A > B" is 2); 1 or more.
    category_depth: PositiveInt = 2
    # An item is of the value band up to this price quantile of its category; 0 to 1.
    band_value_quantile: Share = 0.25
    # Of the high band from this quantile on (between the two it is mid); 0 to 1.
    band_high_quantile: Share = 0.60
    # Of the premium band from this quantile on; 0 to 1.
    band_premium_quantile: Share = 0.85
    # Categories with fewer priced items than this have one band, mid; 1 or more.
    band_min_items: PositiveInt = 5

    def days(self) -> Days:
        """Returns the lengths of the windows as the words for people name them."""
        return Days(recent=self.recent_days, base=self.base_days, long=self.long_days)

    def __post_init__(self) -> None:
        """Refuses price quantiles out of order."""
        if not self.band_value_quantile <= self.band_high_quantile <= self.band_premium_quantile:
            raise ValueError("band quantiles must rise: value <= high <= premium")


class LifecycleConfig(RoomConfig, frozen=True):
    """`[selection.lifecycle]`: where one stage of an item's life ends and the next begins."""

    # An item younger than this many days is in its launch; 1 or more.
    launch_days: PositiveInt = 56
    # An item without a sale for this many days is dead; 1 or more.
    dead_days: PositiveInt = 84
    # Growth or decline needs at least this change of the order rate (0.15 = 15%); 0 or more.
    min_change: NonNegativeFloat = 0.15
    # and at least this many standard errors of it; 0 or more.
    min_z: NonNegativeFloat = 1.64
    # A breakout's orders of the recent window are, promotions and the shop's change allowed for, such a rise
    # over the item's own base window that chance alone brings it with at most this probability; 0 to 1.
    breakout_level: Share = 0.01
    # and at least this many times what was to be expected; 0 or more.
    breakout_ratio: NonNegativeFloat = 1.5
    # Seasonal: the coming weeks sold at least this many times the yearly average a year ago; above 1.
    season_ratio: PositiveFloat = 2.5
    # and had at least this many orders then; 1 or more.
    season_min_orders: PositiveInt = 15


class WeightsConfig(RoomConfig, frozen=True):
    """`[selection.weights]`: what each component weighs in the score; only their proportions matter."""

    # Forecast demand of the horizon in money; 0 or more.
    demand: NonNegativeFloat = 0.60
    # Revenue expected from all that is known of the item; 0 or more.
    value: NonNegativeFloat = 0.25
    # Recent sales in money; 0 or more.
    sales: NonNegativeFloat = 0.05
    # Distinct buyers; 0 or more.
    buyers: NonNegativeFloat = 0.01
    # Growth of the order rate; 0 or more.
    trend: NonNegativeFloat = 0.01
    # Probability of becoming a hit; 0 or more.
    hit: NonNegativeFloat = 0.01
    # Share of buyers who come back for the item; 0 or more.
    repurchase: NonNegativeFloat = 0.01
    # Value of the orders that contain the item; 0 or more.
    order_value: NonNegativeFloat = 0.01
    # Share of the price that the item's cost leaves; 0 or more.
    margin: NonNegativeFloat = 0.01
    # Mean rating; 0 or more.
    satisfaction: NonNegativeFloat = 0.01
    # Share of high-value customers among its buyers; 0 or more.
    tier: NonNegativeFloat = 0.01
    # Share of its buyers whom no stronger item of its category has already; 0 or more.
    novelty: NonNegativeFloat = 0.01
    # How narrow the forecast is; 0 or more.
    safety: NonNegativeFloat = 0.01

    def __post_init__(self) -> None:
        """Refuses weights that cannot be normalised."""
        values = [getattr(self, name) for name in self.__struct_fields__]
        if not all(math.isfinite(value) and value >= 0 for value in values):
            raise ValueError(f"weights must be finite and 0 or more, found {values}")
        if sum(values) <= 0:
            raise ValueError("at least one weight must be above 0")

    def normalised(self) -> dict[str, float]:
        """Returns component name -> weight; the weights sum to 1."""
        total = math.fsum(getattr(self, name) for name in self.__struct_fields__)
        return {name: getattr(self, name) / total for name in self.__struct_fields__}


Range = tuple[Share, Share]


class WeightLimits(RoomConfig, frozen=True):
    """`[selection.weight_limits]`: least and greatest share of the score that a learned weight may have."""

    # Forecast demand; two shares of 1, the least and the greatest.
    demand: Range = (0.0, 1.0)
    # Expected value; two shares of 1.
    value: Range = (0.0, 1.0)
    # Recent sales; two shares of 1.
    sales: Range = (0.0, 1.0)
    # Distinct buyers; two shares of 1.
    buyers: Range = (0.0, 1.0)
    # Growth; two shares of 1.
    trend: Range = (0.0, 1.0)
    # Hit probability; two shares of 1.
    hit: Range = (0.0, 1.0)
    # Repurchase; two shares of 1.
    repurchase: Range = (0.0, 1.0)
    # Order value; two shares of 1.
    order_value: Range = (0.0, 1.0)
    # Margin; two shares of 1.
    margin: Range = (0.0, 1.0)
    # Satisfaction; two shares of 1.
    satisfaction: Range = (0.0, 1.0)
    # High-value buyers; two shares of 1.
    tier: Range = (0.0, 1.0)
    # Novelty; two shares of 1.
    novelty: Range = (0.0, 1.0)
    # Certainty; two shares of 1.
    safety: Range = (0.0, 1.0)

    def __post_init__(self) -> None:
        """Refuses limits that no weights can keep."""
        ranges = {name: getattr(self, name) for name in self.__struct_fields__}
        for name, (low, high) in ranges.items():
            if low > high:
                raise ValueError(f"{name} = [{low}, {high}]: the least share must come first")
        least = math.fsum(low for low, _ in ranges.values())
        most = math.fsum(high for _, high in ranges.values())
        if least > 1 or most < 1:
            raise ValueError(f"shares add up to 1: the least ones sum to {least:g}, the greatest to {most:g}")


class LearningConfig(RoomConfig, frozen=True):
    """`[selection.learning]`: whether past origins may move the weights."""

    # false: the weights of [selection.weights] hold as they are.
    enabled: bool = True
    # Learn from no fewer origins whose horizon is over; 1 or more.
    min_origins: PositiveInt = 2
    # The configured weights count as so many origins; 0 or more.
    prior_origins: NonNegativeFloat = 2.0


class ActionsConfig(RoomConfig, frozen=True):
    """`[selection.actions]`: which items are launched, pushed, kept, discounted, dropped."""

    # Push from this quantile of the score inside the category; 0 to 1.
    push_quantile: Share = 0.90
    # and only with a forecast of at least this many units over the horizon; 0 or more.
    push_min_units: NonNegativeFloat = 5.0
    # Push also what is at least this likely to become a hit and sells already; 0 to 1.
    push_hit_probability: Share = 0.50
    # An item in its launch is rolled out from this quantile of the score inside the category; 0 to 1.
    launch_quantile: Share = 0.50
    # and only with at least this many distinct buyers so far; 0 or more.
    launch_min_buyers: NonNegativeInt = 3
    # and not when its order rate already falls by more standard errors than this; usually below 0.
    launch_min_z: float = -1.64
    # A declining item below this quantile is dropped, above it discounted; 0 to 1.
    drop_quantile: Share = 0.25
    # Neither a dead nor a declining item is dropped that has at least this chance of selling something
    # worth keeping; 0 to 1.
    save_keep_probability: Share = 0.50
    # Drop what has at most this chance of selling something worth keeping; 0 to 1.
    drop_keep_probability: Share = 0.02
    # A slow item (no sale in the recent window) below this quantile is discounted; 0 to 1.
    slow_quantile: Share = 0.10


class BacktestConfig(RoomConfig, frozen=True):
    """`[selection.backtest]`: how past selections are scored against what was really sold."""

    # How many items are picked in the whole shop, at most a tenth of those that sell; 1 or more.
    top_k: PositiveInt = 50
    # How many are picked in each category; 1 or more.
    category_top_k: PositiveInt = 3
    # How many items that are no hit yet are listed as the next ones, at most a tenth of those that sell;
    # 1 or more.
    hits_top_k: PositiveInt = 100
    # Only categories with at least this many items that sold in the base window are picked in; 1 or more.
    category_min_items: PositiveInt = 30
    # An origin needs at least this many days of history; 1 or more.
    min_history_days: PositiveInt = 28
    # The headline is over this share of the origins, the latest ones: earlier ones may have tuned weights.
    held_out_share: Share = 0.5
    # Bootstrap samples of the interval; 100 or more.
    bootstrap_samples: PositiveInt = 10_000
    # Seed of the bootstrap and of the random picks.
    seed: NonNegativeInt = 20180101


class ReportConfig(RoomConfig, frozen=True):
    """`[selection.report]`: how much the page shows; selection.csv always has every row."""

    # Best picks shown of each category; 1 or more.
    picks_per_category: PositiveInt = 4
    # Items to discount or drop shown of each category, most money first; 0 or more.
    warnings_per_category: NonNegativeInt = 1
    # Categories shown, most forecast money first; 1 or more.
    max_categories: PositiveInt = 120
    # Rows of the list over all categories; 0 or more.
    overall_picks: NonNegativeInt = 20
    # Weeks of history in each chart; 1 or more.
    history_weeks: PositiveInt = 26


class SelectionConfig(RoomConfig, frozen=True):
    """`[selection]`: decisions on items and how they are shown."""

    # Windows and shrinkage.
    features: FeaturesConfig = FeaturesConfig()
    # Stages of an item's life.
    lifecycle: LifecycleConfig = LifecycleConfig()
    # Weights of the score, as people set them.
    weights: WeightsConfig = WeightsConfig()
    # What learning may make of them.
    weight_limits: WeightLimits = WeightLimits()
    # Learning from past origins.
    learning: LearningConfig = LearningConfig()
    # Thresholds of the actions.
    actions: ActionsConfig = ActionsConfig()
    # Items without a history.
    launches: LaunchesConfig = LaunchesConfig()
    # Chances of a hit, of the top, of being worth keeping.
    outcomes: OutcomesConfig = OutcomesConfig()
    # Price bands, elasticities and discounts.
    prices: PricesConfig = PricesConfig()
    # What to carry under a shop's limits.
    assortment: AssortmentConfig = AssortmentConfig()
    # Where the picks are tried first.
    pilot: PilotConfig = PilotConfig()
    # The back-test.
    backtest: BacktestConfig = BacktestConfig()
    # The report.
    report: ReportConfig = ReportConfig()
