"""Owns judging the recommendations: time splits, four rivals, all shoppers and items, intervals."""

from training.evaluate.config import EvaluateConfig
from training.evaluate.headline import Headline, read_headline
from training.evaluate.stage import evaluate_stages
from training.evaluate.table import print_evaluation

__all__ = ["EvaluateConfig", "Headline", "evaluate_stages", "print_evaluation", "read_headline"]
