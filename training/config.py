"""Owns the `[training]` table: one sub-table a stage."""

from __future__ import annotations

from msgspec import field

from recdata.config import RoomConfig
from training.als import AlsConfig
from training.baskets import BasketsConfig
from training.evaluate import EvaluateConfig
from training.forecast import ForecastConfig
from training.gate.config import GateConfig
from training.interactions import InteractionsConfig
from training.places.config import PlacesConfig
from training.popularity import PopularityConfig
from training.ranking import RankingConfig
from training.search.config import SearchConfig
from training.similar import SimilarConfig


class TrainingConfig(RoomConfig, frozen=True):
    """`[training]`: what the offline job does, stage by stage."""

    interactions: InteractionsConfig = field(default_factory=InteractionsConfig)
    als: AlsConfig = field(default_factory=AlsConfig)
    similar: SimilarConfig = field(default_factory=SimilarConfig)
    baskets: BasketsConfig = field(default_factory=BasketsConfig)
    popularity: PopularityConfig = field(default_factory=PopularityConfig)
    ranking: RankingConfig = field(default_factory=RankingConfig)
    forecast: ForecastConfig = field(default_factory=ForecastConfig)
    places: PlacesConfig = field(default_factory=PlacesConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
