from __future__ import annotations

import os
import subprocess
import sys

import pytest

from recsvc.cores import has_quota

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="keeping to a core is Linux's")

KEEP = """
import os, sys
from recsvc.cores import keep_to_core
kept = keep_to_core(int(sys.argv[1]), 50051, sys.argv[2])
print(kept, sorted(os.sched_getaffinity(0)))
"""


def kept(worker: int, keeping: str) -> str:
    # In a process of its own: this one's tests need all cores.
    program = subprocess.run(
        [sys.executable, "-c", KEEP, str(worker), keeping], capture_output=True, text=True, check=True
    )
    return program.stdout.strip()


def test_workers_take_the_allowed_cores_in_turn():
    cores = sorted(os.sched_getaffinity(0))
    taken = [int(kept(worker, "always").split()[0]) for worker in range(3)]
    first = cores.index(taken[0])
    assert taken == [cores[(first + worker) % len(cores)] for worker in range(3)]
    assert kept(0, "always") == f"{taken[0]} [{taken[0]}]"


def test_a_worker_that_shall_not_keeps_to_none():
    assert kept(0, "never") == f"None {sorted(os.sched_getaffinity(0))}"


@pytest.mark.parametrize(
    ("quotas", "found"),
    [
        ({}, False),
        ({"": "max 100000\n"}, False),
        ({"": "200000 100000\n"}, True),
        ({"shop.slice": "50000 100000\n", "shop.slice/server": "max 100000\n"}, True),
        ({"shop.slice/server": "150000 100000\n"}, True),
        ({"other.slice": "50000 100000\n"}, False),
    ],
)
def test_a_quota_of_any_group_around_is_found(tmp_path, quotas, found):
    groups = tmp_path / "groups"
    (groups / "shop.slice" / "server").mkdir(parents=True)
    for group, content in quotas.items():
        (groups / group).mkdir(exist_ok=True)
        (groups / group / "cpu.max").write_text(content)
    own = tmp_path / "own"
    own.write_text("1:name=systemd:/elsewhere\n0::/shop.slice/server\n")
    assert has_quota(groups, own) is found


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert not has_quota(tmp_path, tmp_path / "none")
