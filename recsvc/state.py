"""Owns telling what serves at this moment: SnapshotService.GetServingState, and the message of a snapshot."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version

from google.protobuf.duration_pb2 import Duration
from google.type.date_pb2 import Date

from recdata.errors import LiveStoreError
from recsvc.call import Call
from recsvc.live import LiveHold
from recsvc.serving import Generation, Serving
from recsvc.v1.snapshot_service_pb2 import (
    GetServingStateResponse,
    ListWindow,
    LiveStoreState,
    LoadFailure,
    Metric,
    ServingSnapshot,
)


def serving_state(serving: Serving, call: Call) -> bytes:
    """Returns a serialised GetServingStateResponse."""
    answer = GetServingStateResponse(
        snapshot=snapshot_message(call.generation),
        published_snapshot_id=serving.published_id(),
        server_version=_version(),
        mapped_snapshot_ids=serving.mapped_ids(),
        live_store=live_store_message(call.live),
        worker=serving.worker,
    )
    answer.start_time.FromDatetime(serving.started_at)
    failure = serving.failure
    if failure is not None:
        answer.load_failure.CopyFrom(LoadFailure(snapshot_id=failure.snapshot_id, message=failure.message))
        answer.load_failure.fail_time.FromDatetime(failure.failed_at)
    return answer.SerializeToString()


def live_store_message(live: LiveHold) -> LiveStoreState:
    """Returns how the live store stands, as this process sees it."""
    store = live.store
    if store is None:
        return LiveStoreState(problem=live.problem)
    try:
        store.check_in_place()
        state = store.state()
    except LiveStoreError as error:
        return LiveStoreState(problem=str(error))
    return LiveStoreState(
        readable=store.readable,
        writable=store.writable,
        problem=store.problem,
        used_bytes=state.used_bytes,
        max_bytes=state.max_bytes,
        unexported_event_count=state.unexported,
    )


def snapshot_message(generation: Generation) -> ServingSnapshot:
    """Returns a serving snapshot as its message."""
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
