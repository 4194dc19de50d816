"""Owns SnapshotService: what serves at this moment."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version

from google.protobuf.duration_pb2 import Duration
from google.type.date_pb2 import Date

from recsvc.serving import Generation, Serving
from recsvc.v1.snapshot_service_pb2 import (
    GetServingStateResponse,
    ListWindow,
    LoadFailure,
    Metric,
    ServingSnapshot,
)


def serving_state(serving: Serving, generation: Generation) -> bytes:
    """Returns a serialised GetServingStateResponse."""
    answer = GetServingStateResponse(
        snapshot=_snapshot_message(generation),
        published_snapshot_id=serving.published_id(),
        server_version=_version(),
    )
    answer.start_time.FromDatetime(serving.started_at)
    failure = serving.failure
    if failure is not None:
        answer.load_failure.CopyFrom(LoadFailure(snapshot_id=failure.snapshot_id, message=failure.message))
        answer.load_failure.fail_time.FromDatetime(failure.failed_at)
    return answer.SerializeToString()


def _snapshot_message(generation: Generation) -> ServingSnapshot:
    manifest = generation.snapshot.manifest
    message = ServingSnapshot(
        snapshot_id=manifest.snapshot_id,
        as_of=Date(year=manifest.as_of.year, month=manifest.as_of.month, day=manifest.as_of.day),
        format_version=manifest.format_version,
        currency=manifest.currency,
        item_count=manifest.counts.get("items", 0),
        user_count=manifest.counts.get("users", 0),
        category_count=manifest.counts.get("categories", 0),
        candidate_count=manifest.counts.get("candidates", 0),
        forecast_count=manifest.counts.get("forecasts", 0),
        metrics=[Metric(name=name, value=value) for name, value in sorted(manifest.metrics.items())],
    )
    message.create_time.FromDatetime(manifest.created_at)
    message.load_time.FromDatetime(generation.loaded_at)
    for kind, windows in sorted(manifest.windows.items()):
        for days in windows:
            window = Duration()
            window.FromTimedelta(timedelta(days=days))
            message.windows.append(ListWindow(kind=kind, window=window))
    return message


def _version() -> str:
    try:
        return version("recsvc")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return ""
