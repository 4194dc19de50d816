"""Owns the demo source: the completejourney data as input tables, and what of them is left out."""

from __future__ import annotations

from recdata.demo_source.source import CURRENCY, TIMEZONE, DemoSummary, demo_data_folder, write_demo_source

__all__ = ["CURRENCY", "TIMEZONE", "DemoSummary", "demo_data_folder", "write_demo_source"]
