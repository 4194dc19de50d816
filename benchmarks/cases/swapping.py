"""Measures what callers notice of a new snapshot: calls that fail, and how slow the swap's second is."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec
import numpy as np
from load import asking
from load.figures import Figure, figure
from load.names import RECOMMEND
from load.rig import CannotMeasureError, Rig, Round, read_through, run_home, shop_home

from cases.plan import Plan
from recdata.releases import CURRENT_FILE, Releases
from recdata.runs import write_atomic
from recdata.snapshot import Manifest
from recdata.snapshot.writer import MANIFEST_FILE

SHARE = 0.5
CONNECTIONS = 8
CALM_SECONDS = 3.0
#: How long a snapshot of a size is given to come into service, and some calm after it.
WAIT_SECONDS = {"1M": 25.0}


def swapping(size: str, plan: Plan) -> list[Figure]:
    """Returns swap_failed, swap_p99_ratio, and what the loading before it costs."""
    requests = asking.recommends(asking.users(size, plan.requests, seed=10))
    ratios, loading, failed, took = [], [], [], []
    with run_home(size) as home:
        ids = [Releases(home).current_id() or "", _other(size, home)]
        for snapshot_id in ids:
            read_through(home / "snapshots" / snapshot_id)
        with Rig(home) as rig, rig.pacer(CONNECTIONS) as pacer:
            pacer.keep("recommend", requests)
            for _ in range(2):
                full = pacer.go(RECOMMEND, "recommend", window=8, seconds=2 * plan.seconds)
            for number in range(plan.swaps):
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
                done = pacer.hear(errors_allowed=10**9)
                parts = _parts(done, moved_ns)
                ratios.append(parts[0] / parts[2])
                loading.append(parts[1] / parts[2])
                took.append(parts[3])
                failed.append(float(done.errors))
    what = f"{SHARE:.0%} of saturating load"
    return [
        figure("swap_failed", size, what, [max(failed)], "calls", swaps=plan.swaps),
        figure("swap_p99_ratio", size, what, ratios, calls_a_second=SHARE * full.rate),
        figure("swap_loading_p99_ratio", size, what, loading),
        figure("swap_seconds", size, "from the pointer to the first answer", took, "s"),
    ]


def _other(size: str, home: Path) -> str:
    """Puts a second snapshot with the first one's content and another id beside it; returns the id."""
    first = Releases(home).current_id() or ""
    name = f"{first}-b"
    kept = shop_home(size) / "snapshots" / name
    if not (kept / MANIFEST_FILE).exists():
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(home / "snapshots" / first, kept, ignore=shutil.ignore_patterns(MANIFEST_FILE))
        content = (home / "snapshots" / first / MANIFEST_FILE).read_bytes()
        manifest = msgspec.structs.replace(msgspec.json.decode(content, type=Manifest), snapshot_id=name)
        (kept / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    (home / "snapshots" / name).symlink_to(kept)
    return name


def _parts(done: Round, moved_ns: int) -> tuple[float, float, float, float]:
    """Returns the p99 of the swap's second, of loading's worst second, of the calm; and the wait in s."""
    due = np.array(done.raw["due_ns"])
    latencies = np.array(done.raw["latencies_ns"])
    found = np.array(done.raw["found"], bool)
    if not found.any():
        raise CannotMeasureError("the new snapshot did not come into service in time; give it longer")
    swapped_ns = int(due[found].min())
    half = 500_000_000
    swap = np.abs(due - swapped_ns) <= half
    calm = (due < moved_ns) | (due > swapped_ns + 3 * half)
    seconds = [
        (due >= start) & (due < start + 2 * half) for start in range(moved_ns, swapped_ns - half, 2 * half)
    ]
    worst = max(
        (_p99(latencies[each]) for each in seconds if each.sum() > 100), default=_p99(latencies[swap])
    )
    return _p99(latencies[swap]), worst, _p99(latencies[calm]), (swapped_ns - moved_ns) / 1e9


def _p99(latencies: np.ndarray) -> float:
    return float(np.percentile(latencies, 99))
