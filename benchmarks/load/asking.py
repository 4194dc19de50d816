"""Owns the requests that are sent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from load.pacer import MARKER
from load.synthetic import SIZES, item_id, user_id
from recsvc.v1.common_pb2 import ItemFilter
from recsvc.v1.event_service_pb2 import Event, EventType, RecordEventsRequest
from recsvc.v1.recommendation_service_pb2 import BatchRecommendRequest, RecommendRequest

PAGE = 20


def recommend(user: int, filter_: ItemFilter | None = None) -> RecommendRequest:
    """Returns a request for 20 items that can be bought and have not been."""
    return RecommendRequest(user_id=user_id(user), page_size=PAGE, exclude_purchased=True, filter=filter_)


def users(size: str, count: int, *, seed: int) -> list[int]:
    """Returns different shoppers' numbers, each as likely as the others."""
    n_users = SIZES[size].users
    chosen: list[int] = (
        np.random.default_rng(seed).choice(n_users, min(count, n_users), replace=False).tolist()
    )
    return chosen


def recommends(chosen: Sequence[int]) -> list[bytes]:
    """Returns one serialised request for each shopper."""
    return [recommend(user).SerializeToString() for user in chosen]


def batches(chosen: Sequence[int], length: int) -> list[bytes]:
    """Returns serialised BatchRecommendRequests of so many of the shoppers each."""
    return [
        BatchRecommendRequest(
            requests=[recommend(user) for user in chosen[start : start + length]]
        ).SerializeToString()
        for start in range(0, len(chosen) - length + 1, length)
    ]


def views(size: str, chosen: Sequence[int], *, seed: int) -> list[bytes]:
    """Returns, for each shopper, a serialised RecordEventsRequest with one view of an item."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, SIZES[size].items, len(chosen)).tolist()
    return [
        RecordEventsRequest(
            events=[
                Event(
                    event_id=f"view-{seed}-{user}-{row}",
                    user_id=user_id(user),
                    item_id=item_id(row),
                    event_type=EventType.EVENT_TYPE_VIEW,
                )
            ]
        ).SerializeToString()
        for user, row in zip(chosen, rows, strict=True)
    ]


def events(size: str, count: int, length: int, *, seed: int) -> list[bytes]:
    """Returns serialised RecordEventsRequests of so many events each, for a pacer to number anew.

    The shoppers are not those of the snapshot, so that what is recorded changes nobody's list.
    """
    rng = np.random.default_rng(seed)
    kinds = [EventType.EVENT_TYPE_VIEW, EventType.EVENT_TYPE_CLICK, EventType.EVENT_TYPE_ADD_TO_CART]
    made = []
    for _ in range(count):
        rows = rng.integers(0, SIZES[size].items, length).tolist()
        user, session = rng.integers(0, 10**6, 2).tolist()
        made.append(
            RecordEventsRequest(
                events=[
                    Event(
                        event_id=MARKER.decode(),
                        user_id=f"guest-{user:07d}",
                        session_id=f"session-{session:07d}",
                        item_id=item_id(row),
                        event_type=kinds[place % len(kinds)],
                        channel="app",
                    )
                    for place, row in enumerate(rows)
                ]
            ).SerializeToString()
        )
    return made
