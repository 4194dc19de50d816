"""Owns the names that the harness, its callers and the server under test share."""

from __future__ import annotations

RECOMMEND = "/recsvc.v1.RecommendationService/Recommend"
BATCH = "/recsvc.v1.RecommendationService/BatchRecommend"
RECORD = "/recsvc.v1.EventService/RecordEvents"
STATE = "/recsvc.v1.SnapshotService/GetServingState"
LIST_CANDIDATES = "/recsvc.v1.SelectionService/ListCandidates"
GET_CANDIDATE = "/recsvc.v1.SelectionService/GetCandidate"
RESCORE_CANDIDATES = "/recsvc.v1.SelectionService/RescoreCandidates"

NOOP_SERVICE = "benchmark.Noop"
NOOP = f"/{NOOP_SERVICE}/Call"
#: In the home folder: how many bytes the no-op answers. It is written once the real answers are known.
SIZE_FILE = "noop-bytes"
