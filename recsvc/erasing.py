"""Owns CustomerService: removing a person, and saying what is left of them where."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from recdata.errors import SnapshotError
from recdata.releases import Releases
from recsvc.call import Call
from recsvc.checks import check_length
from recsvc.errors import InvalidFieldError
from recsvc.log import log
from recsvc.v1.customer_service_pb2 import EraseCustomerRequest, EraseCustomerResponse, ErasedStore

UNTIL_PRUNED = (
    "not used any more: every worker takes the person for unknown; the next nightly job publishes a snapshot "
    "without them, then `recsvc snapshots prune --keep 1` deletes this file"
)
TABLES_NOTE = (
    "not read by the server: the next nightly job leaves out what lies before the erasure; delete the person "
    "in the retailer's own files, import again, and `recsvc erasures check` shows what is still there"
)


def erase_customer(call: Call, request: EraseCustomerRequest) -> bytes:
    """Returns a serialised EraseCustomerResponse, once the person is out of the live store and of serving.

    Raises:
        InvalidFieldError: no user_id, or one that is too long to be one.
        LiveStoreError: the live store cannot be written; nothing is erased.
    """
    user_id = request.user_id
    if not user_id:
        raise InvalidFieldError("user_id", "user_id is empty; send the retailer's id of the person")
    check_length("user_id", user_id)
    erasure = call.store.erase(user_id, now=call.now)
    stores = [ErasedStore(name=name, removed_count=count) for name, count in erasure.removed.items()]
    served = call.generation.snapshot
    hidden = served.user(user_id) is not None and served.manifest.erasures_applied < erasure.number
    stores.append(ErasedStore(name="serving", removed_count=int(hidden)))
    stores += _on_disk(call, user_id)
    stores.append(ErasedStore(name="tables", note=TABLES_NOTE))
    response = EraseCustomerResponse(erasure_number=erasure.number, stores=stores)
    response.erase_time.FromDatetime(erasure.time)
    # The log outlives the erasure, so it must not name the person.
    events = erasure.removed["live/events"]
    log(logging.INFO, "customer erased", erasure_number=erasure.number, events=events, hidden=hidden)
    return response.SerializeToString()


def _on_disk(call: Call, user_id: str) -> Iterator[ErasedStore]:
    """Yields what each snapshot in the home folder holds of the person; none where nothing."""
    for snapshot_id in Releases(call.home).ids():
        name = f"snapshot {snapshot_id}"
        try:
            with call.reading(snapshot_id) as snapshot:
                there = snapshot.user(user_id) is not None
        except SnapshotError as error:
            yield ErasedStore(name=name, note=f"cannot be read ({error}); delete it if you do not need it")
            continue
        if there:
            yield ErasedStore(name=name, remaining_count=1, note=UNTIL_PRUNED)
