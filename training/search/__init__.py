"""Searches the collaborative model's settings on a validation period that the test never sees."""

from training.search.config import SearchConfig

__all__ = ["SearchConfig"]
