"""Every check of the gate by itself: that it holds where nothing changed, and that it can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from recdata.snapshot import Manifest, Snapshot, SnapshotWriter
from recdata.snapshot.reader import read_manifest
from tests.recdata.conftest import LONG_ID, write_small
from training.evaluate import EvaluateConfig
from training.gate import GateConfig
from training.gate.checks import Check, at_least, at_most
from training.gate.measures import Measures, measure, overlap, sample_of
from training.gate.quality import COMPARED, recipe_checks
from training.gate.sanity import Sight, sanity_checks

CONFIG = GateConfig(max_short_share=0.5)
GOOD = Measures(
    sellable=100,
    zero_items=0.2,
    shoppers=4,
    empty=0.01,
    short=0.1,
    covered=0.98,
    zero_users=0.0,
    catalogue=0.3,
    heads={"ann": frozenset("abcde"), "ben": frozenset("fghij")},
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("made") / "snapshot"
    with SnapshotWriter(folder) as writer:
        write_small(writer)
    counts = {"items": 200, "users": 1000, "orders": 5000, "forecasts": 50}
    return msgspec.structs.replace(read_manifest(folder), counts=counts, file_bytes=50_000_000)


def failing(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.held]


def counted(name: str, count: int) -> Callable[[Manifest], Manifest]:
    return lambda manifest: msgspec.structs.replace(manifest, counts=manifest.counts | {name: count})


def sized(file_bytes: int) -> Callable[[Manifest], Manifest]:
    return lambda manifest: msgspec.structs.replace(manifest, file_bytes=file_bytes)


def asked_alone(manifest: Manifest, seen: Measures) -> list[str]:
    return failing(sanity_checks(None, Sight(manifest, seen), CONFIG))


def asked_against(live: Manifest, manifest: Manifest, seen: Measures) -> list[str]:
    return failing(sanity_checks(Sight(live, GOOD), Sight(manifest, seen), CONFIG))


def test_an_equal_snapshot_passes_every_check(manifest: Manifest) -> None:
    same = Sight(manifest, GOOD)
    assert len(sanity_checks(None, same, CONFIG)) == 9
    assert len(sanity_checks(same, same, CONFIG)) == 9 + 5
    assert failing([*sanity_checks(None, same, CONFIG), *sanity_checks(same, same, CONFIG)]) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (counted("items", 0), "items"),
        (counted("users", 0), "shoppers"),
        (counted("forecasts", 0), "forecasts"),
    ],
)
def test_an_empty_section_fails_by_itself(
    manifest: Manifest, change: Callable[[Manifest], Manifest], name: str
) -> None:
    assert asked_alone(change(manifest), GOOD) == [name]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"sellable": 0}, "items that can be sold"),
        ({"empty": 0.06}, "lists that are empty"),
        ({"short": 0.51}, "lists that are short"),
        ({"covered": 0.89}, "user coverage"),
        ({"catalogue": 0.0009}, "catalogue coverage"),
        ({"zero_users": 0.02}, "shoppers without a vector"),
    ],
)
def test_a_share_beyond_its_limit_fails_by_itself(
    manifest: Manifest, change: dict[str, float], name: str
) -> None:
    assert asked_alone(manifest, replace(GOOD, **change)) == [name]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (counted("items", 159), "items"),
        (counted("users", 899), "shoppers"),
        (counted("orders", 4499), "orders"),
        (counted("forecasts", 34), "forecasts"),
        (sized(24_000_000), "file, MB"),
        (sized(151_000_000), "file, MB"),
        (
            lambda each: msgspec.structs.replace(each, as_of=each.as_of - timedelta(1)),
            "days behind the live data",
        ),
    ],
)
def test_a_section_that_shrank_fails_against_the_live_one(
    manifest: Manifest, change: Callable[[Manifest], Manifest], name: str
) -> None:
    assert asked_against(manifest, change(manifest), GOOD) == [name]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"sellable": 69}, "items that can be sold"),
        ({"zero_items": 0.31}, "items without a vector"),
        ({"empty": 0.021}, "lists that are empty"),
        ({"short": 0.151}, "lists that are short"),
        ({"covered": 0.959}, "user coverage"),
        ({"catalogue": 0.149}, "catalogue coverage"),
        (
            {"heads": {"ann": frozenset("avwxy"), "ben": frozenset("vwxyz")}},
            "overlap of the same shopper's lists",
        ),
        ({"heads": {"eve": frozenset("abcde")}}, "overlap of the same shopper's lists"),
    ],
)
def test_lists_that_became_worse_fail_against_the_live_ones(
    manifest: Manifest, change: dict[str, object], name: str
) -> None:
    assert asked_against(manifest, manifest, replace(GOOD, **change)) == [name]


def test_what_is_just_within_its_tolerance_holds(manifest: Manifest) -> None:
    assert asked_against(manifest, counted("orders", 4500)(manifest), GOOD) == []
    assert at_least("share", 0.3 - 0.1, 0.2).held
    assert at_most("share", 0.1 + 0.2, 0.3).held


def test_people_who_were_erased_are_no_loss_and_their_orders_none(manifest: Manifest) -> None:
    fewer = counted("orders", 4000)(counted("users", 800)(manifest))
    assert asked_against(manifest, fewer, GOOD) == ["shoppers", "orders"]
    assert asked_against(manifest, msgspec.structs.replace(fewer, erasures_applied=200), GOOD) == []
    assert asked_against(manifest, msgspec.structs.replace(fewer, erasures_applied=50), GOOD) == [
        "shoppers",
        "orders",
    ]


def test_a_live_snapshot_that_was_forced_does_not_lower_the_limits(manifest: Manifest) -> None:
    poor = replace(GOOD, empty=0.2, covered=0.7)
    checks = sanity_checks(Sight(manifest, poor), Sight(manifest, poor), CONFIG)
    assert failing(checks) == ["lists that are empty", "user coverage"]


def test_a_shop_without_orders_may_get_its_first_shoppers(manifest: Manifest) -> None:
    nobody = replace(GOOD, shoppers=0, heads={})
    empty = counted("orders", 0)(manifest)
    assert failing(sanity_checks(Sight(empty, nobody), Sight(manifest, GOOD), CONFIG)) == []
    checks = sanity_checks(Sight(manifest, nobody), Sight(manifest, GOOD), CONFIG)
    assert failing(checks) == ["overlap of the same shopper's lists"]


def test_the_overlap_is_of_the_shoppers_known_to_both_who_had_a_list() -> None:
    live = replace(GOOD, heads={"ann": frozenset("abcd"), "ben": frozenset("ab"), "cyd": frozenset()})
    new = replace(GOOD, heads={"ann": frozenset("abcx"), "cyd": frozenset("ab"), "dan": frozenset("ab")})
    assert overlap(live, new) == 0.75


def test_a_snapshot_is_seen_as_it_will_be_served(tmp_path: Path) -> None:
    """Both shoppers' lists are [the pot, which is sold out; tea, of a source of its own]."""
    with SnapshotWriter(tmp_path / "made") as writer:
        write_small(writer)
    snapshot = Snapshot.open(tmp_path / "made")
    seen = measure(snapshot, ["nobody", "u1", "用户"], length=20)
    assert seen == Measures(
        sellable=1, zero_items=0.0, shoppers=2, empty=0.0, short=0.0, covered=1.0, zero_users=0.0,
        catalogue=1.0, heads={"u1": frozenset("a"), "用户": frozenset("a")},
    )  # fmt: skip
    snapshot.close()
    with SnapshotWriter(tmp_path / "none") as writer:
        write_small(
            writer,
            sellable=np.array([False, True]),
            item_factors=np.array([[0, 0, 0], [1, 0, 0]], np.float32),
        )
    snapshot = Snapshot.open(tmp_path / "none")
    seen = measure(snapshot, ["u1"], length=20)
    assert (seen.heads, seen.zero_items, seen.empty) == ({"u1": frozenset([LONG_ID])}, 0.5, 0.0)
    snapshot.close()
    with SnapshotWriter(tmp_path / "out") as writer:
        write_small(writer, sellable=np.array([False, False]))
    snapshot = Snapshot.open(tmp_path / "out")
    seen = measure(snapshot, ["u1"], length=20)
    assert (seen.sellable, seen.empty, seen.covered, seen.catalogue) == (0, 1.0, 0.0, 0.0)
    snapshot.close()


def test_the_sample_is_of_those_with_an_event_and_the_same_each_time() -> None:
    users = pl.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(100)],
            "first_day": [None if n % 2 else date(2024, 1, 1) for n in range(100)],
        }
    )
    assert sample_of(users, 50, seed=1) == [f"u{n}" for n in range(0, 100, 2)]
    few = sample_of(users, 10, seed=1)
    assert few == sample_of(users, 10, seed=1)
    assert len(set(few)) == 10
    assert set(few) <= {f"u{n}" for n in range(0, 100, 2)}


@pytest.mark.parametrize(
    ("new", "held"),
    [
        ([0.5] * 40, True),  # the same
        ([0.6] * 40, True),  # better
        ([0.495] * 40, True),  # a certain loss of 1%, within the tolerance
        ([0.48] * 40, False),  # a certain loss of 4%
        ([0.0, 0.94] * 20, True),  # a loss of 6% that may be chance
    ],
)
def test_a_loss_is_refused_where_it_is_both_large_and_certain(new: list[float], *, held: bool) -> None:
    live = dict.fromkeys(COMPARED, np.full(40, 0.5))
    checks = recipe_checks(dict.fromkeys(COMPARED, np.array(new)), live, EvaluateConfig(), CONFIG)
    assert [check.held for check in checks] == [held] * 3
    assert [check.live for check in checks] == [0.5] * 3
    assert [check.new for check in checks] == pytest.approx([np.mean(new)] * 3)


def test_shoppers_who_do_not_count_are_left_out_of_both() -> None:
    live = np.array([0.5] * 30 + [np.nan, 0.9])
    new = np.array([0.5] * 30 + [0.1, np.nan])
    checks = recipe_checks(
        dict.fromkeys(COMPARED, new), dict.fromkeys(COMPARED, live), EvaluateConfig(), CONFIG
    )
    assert all(check.held for check in checks)
    assert [check.new for check in checks] == pytest.approx([0.5] * 3)
