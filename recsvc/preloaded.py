"""Owns what every worker has in memory when it is forked; imported by the fork server, and for that alone."""

from __future__ import annotations

import gc

import recsvc.worker  # noqa: F401 - the import is what is wanted
from recsvc.machine_code import load_machine_code

load_machine_code()
# The collector must not touch these objects again: a page that it writes to is no longer shared.
gc.collect()
gc.freeze()
