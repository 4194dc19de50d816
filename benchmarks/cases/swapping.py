"""Measures what callers notice of a new snapshot: calls that fail, and how slow the swap's second is."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
from load import asking
from load.figures import Figure, figure
from load.names import RECOMMEND
from load.rig import CannotMeasureError, Rig, Round, held_in_memory, run_home, shop_home

from cases.plan import Plan
from recdata.releases import CURRENT_FILE, Releases
from recdata.runs import write_atomic
from recdata.snapshot import Manifest
from recdata.snapshot.writer import MANIFEST_FILE
from recsvc.verifying import Verifier

SHARE = 0.5
CONNECTIONS = 8
CALM_SECONDS = 4.0
SECOND_NS = 1_000_000_000
#: Calls that a second must have for its slowest hundredth to mean something.
FEWEST = 100
#: How long a snapshot of a size is given to come into service, and some calm after it.
WAIT_SECONDS = {"1M": 25.0}


def swapping(size: str, plan: Plan) -> list[Figure]:
    """Returns swap_failed, swap_p99_ratio, and what the loading before it costs."""
    requests = asking.recommends(asking.users(size, plan.requests, seed=10))
    told: list[Seconds] = []
    failed: list[float] = []
    failed_at: list[float] = []
    with run_home(size) as home:
        ids = [Releases(home).current_id() or "", _other(size, home)]
        new = held_in_memory(home / "snapshots" / ids[1])  # as it is just after publishing
        verifier = Verifier(Releases(home), lambda *_: None, yields=True)  # as the supervisor's
        verifier.start()
        with new, Rig(home) as rig, rig.pacer(CONNECTIONS) as pacer:
            pacer.keep("recommend", requests)
            for _ in range(2):
                full = pacer.go(RECOMMEND, "recommend", window=8, seconds=2 * plan.seconds)
            for number in range(plan.swaps):
                rig.settle()
                target = ids[(number + 1) % 2]
                seconds = CALM_SECONDS + WAIT_SECONDS.get(size, 6.0)
                pacer.say(
                    RECOMMEND,
                    "recommend",
                    rate=SHARE * full.rate,
                    arrivals="even",
                    seconds=seconds,
                    find=target.encode().hex(),
                )
                time.sleep(CALM_SECONDS)
                moved_ns = time.monotonic_ns()
                write_atomic(home / "snapshots" / CURRENT_FILE, f"{target}\n".encode())
                verifier.want(target)
                done = pacer.hear(errors_allowed=10**9)
                told.append(_seconds(done, moved_ns))
                failed.append(float(done.errors))
                failed_at += [(each - moved_ns) / 1e9 for each in done.raw["failed_ns"]]
    what = f"{SHARE:.0%} of saturating load"
    return [
        figure(
            "swap_failed",
            size,
            what,
            [max(failed)],
            "calls",
            swaps=plan.swaps,
            seconds_after_the_pointer=failed_at,
        ),
        figure(
            "swap_p99_ratio",
            size,
            what,
            [each.swap / each.calm for each in told],
            calls_a_second=SHARE * full.rate,
            calm_p99_us=median(each.calm for each in told) / 1e3,
        ),
        figure("swap_loading_p99_ratio", size, what, [each.loading / each.calm for each in told]),
        figure("swap_checking_p99_ratio", size, what, [each.checking / each.calm for each in told]),
        figure(
            "swap_seconds", size, "from the pointer to the first answer", [each.took for each in told], "s"
        ),
    ]


def _other(size: str, home: Path) -> str:
    """Puts a second snapshot with the first one's content and another id beside it; returns the id."""
    first = Releases(home).current_id() or ""
    name = f"{first[:-1]}{'0' if first[-1] != '0' else '1'}"  # as long, so that answers are too
    kept = shop_home(size) / "snapshots" / name
    if not (kept / MANIFEST_FILE).exists():
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(home / "snapshots" / first, kept, ignore=shutil.ignore_patterns(MANIFEST_FILE))
        content = (home / "snapshots" / first / MANIFEST_FILE).read_bytes()
        manifest = msgspec.structs.replace(msgspec.json.decode(content, type=Manifest), snapshot_id=name)
        (kept / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
        os.sync()
    (home / "snapshots" / name).symlink_to(kept)
    return name


@dataclass(frozen=True, slots=True)
class Seconds:
    """Latencies in nanoseconds that one call of a hundred was above.

    Attributes:
        calm: before the pointer moved.
        loading: the worst second from then to the swap; the swap's where it took no second.
        swap: the second around the first answer from the new snapshot.
        checking: the worst second after it, in which the server checks the file.
        took: seconds from the pointer to that answer.
    """

    calm: float
    loading: float
    swap: float
    checking: float
    took: float


def _seconds(done: Round, moved_ns: int) -> Seconds:
    due = np.array(done.raw["due_ns"])
    latencies = np.array(done.raw["latencies_ns"])
    found = np.array(done.raw["found"], bool)
    if not found.any():
        raise CannotMeasureError("the new snapshot did not come into service in time; give it longer")
    swapped_ns = int(due[found].min())

    def p99(start_ns: int, end_ns: int) -> float:
        inside = latencies[(due >= start_ns) & (due < end_ns)]
        return float(np.percentile(inside, 99)) if inside.size >= FEWEST else 0.0

    def worst(start_ns: int, end_ns: int) -> float:
        starts = range(start_ns, end_ns - SECOND_NS + 1, SECOND_NS)
        return max((p99(start, start + SECOND_NS) for start in starts), default=0.0)

    start_ns, end_ns = swapped_ns - SECOND_NS // 2, swapped_ns + SECOND_NS // 2
    swap = p99(start_ns, end_ns)
    return Seconds(
        calm=p99(moved_ns - int(CALM_SECONDS * 1e9), moved_ns),
        loading=worst(moved_ns, start_ns) or swap,
        swap=swap,
        checking=worst(end_ns, int(due.max())),
        took=(swapped_ns - moved_ns) / 1e9,
    )
