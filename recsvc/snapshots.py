"""Owns SnapshotService's ListSnapshots and ActivateSnapshot: what is published, and which of it serves."""

from __future__ import annotations

from google.type.date_pb2 import Date

from recdata.errors import PublishError, SnapshotError, SnapshotNotFoundError
from recdata.snapshot.reader import read_manifest
from recsvc import paging
from recsvc.errors import InvalidFieldError, UnknownNameError, UnusableSnapshotError, quoted
from recsvc.serving import Serving
from recsvc.state import snapshot_message
from recsvc.v1.snapshot_service_pb2 import (
    ActivateSnapshotRequest,
    ActivateSnapshotResponse,
    ListSnapshotsRequest,
    ListSnapshotsResponse,
    PublishedSnapshot,
)


def list_snapshots(serving: Serving, request: ListSnapshotsRequest) -> bytes:
    """Returns a serialised ListSnapshotsResponse, the latest published first.

    Raises:
        InvalidFieldError: a bad page size or token.
    """
    limit = paging.page_size(request.page_size)
    # The list is of the home folder, not of one snapshot.
    start = paging.page_start(request, request.page_token, "")
    ids = serving.releases.ids()[::-1]
    mapped, active = set(serving.mapped_ids()), serving.published_id()
    failure = serving.failure
    answer = ListSnapshotsResponse()
    for snapshot_id in ids[start : start + limit]:
        message = answer.results.add(
            snapshot_id=snapshot_id, active=snapshot_id == active, mapped=snapshot_id in mapped
        )
        _describe(message, serving)
        if failure is not None and failure.snapshot_id == snapshot_id:
            message.problem = failure.message
    if start + limit < len(ids):
        answer.next_page_token = paging.next_token(request, "", start + limit)
    return answer.SerializeToString()


def activate_snapshot(serving: Serving, request: ActivateSnapshotRequest) -> bytes:
    """Returns a serialised ActivateSnapshotResponse, once the snapshot serves here.

    Raises:
        InvalidFieldError: no id is given.
        UnknownNameError: no snapshot has that id.
        UnusableSnapshotError: it cannot be used, or the pointer cannot be moved; the serving one goes on.
    """
    snapshot_id = request.snapshot_id
    if not snapshot_id:
        raise InvalidFieldError("snapshot_id", "snapshot_id is empty; ListSnapshots names those there are")
    try:
        generation, replaced = serving.activate(snapshot_id)
    except SnapshotNotFoundError as error:
        raise UnknownNameError(
            f"no snapshot has the id {quoted(snapshot_id)}; ListSnapshots names those there are",
            reason="SNAPSHOT_NOT_FOUND",
            field="snapshot_id",
            metadata={"snapshot_id": snapshot_id},
        ) from error
    except (SnapshotError, PublishError) as error:
        raise UnusableSnapshotError(snapshot_id, str(error)) from error
    return ActivateSnapshotResponse(
        snapshot=snapshot_message(generation), replaced_snapshot_id=replaced
    ).SerializeToString()


def _describe(message: PublishedSnapshot, serving: Serving) -> None:
    """Adds what the snapshot's manifest says, or why it cannot be read."""
    try:
        manifest = read_manifest(serving.releases.root / message.snapshot_id)
    except (SnapshotError, OSError) as error:
        message.problem = str(error)
        return
    day = manifest.as_of
    message.as_of.CopyFrom(Date(year=day.year, month=day.month, day=day.day))
    message.create_time.FromDatetime(manifest.created_at)
    message.file_bytes = manifest.file_bytes
