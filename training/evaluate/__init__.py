"""Owns judging the recommendations: a time split, four rivals, all shoppers and items, intervals."""

from training.evaluate.config import EvaluateConfig
from training.evaluate.stage import evaluate_stage
from training.evaluate.table import print_evaluation

__all__ = ["EvaluateConfig", "evaluate_stage", "print_evaluation"]
