"""Owns what every worker has in memory when it is forked; imported by the fork server, and for that alone."""

from __future__ import annotations

import gc

import recsvc.worker  # noqa: F401 - the import is what is wanted
from recdata.foldin import intake
from recdata.snapshot.heads import heads_compiled
from recsvc.fusing import fuser, gatherer

for made in (intake, gatherer, fuser, heads_compiled):
    made()
# The collector must not touch these objects again: a page that it writes to is no longer shared.
gc.collect()
gc.freeze()
