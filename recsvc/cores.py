"""Owns the core that a worker keeps to.

Python runs one thread of a process at a time. Where its threads lie on several cores, each handover wakes
another core, whose caches hold nothing of the call; on one core a call costs a quarter less, and calls wait
less for each other.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Literal

from recsvc.log import log

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")

#: Whether workers keep to a core each: "auto" where no quota says that cores are shared with others.
Keeping = Literal["auto", "always", "never"]


#: The cores that this process might run on before it kept to one; empty where it keeps to none.
_before: set[int] = set()


def keep_to_core(worker: int, port: int, keeping: Keeping) -> int | None:
    """Lets this process, and the threads that it starts from now on, run on one core alone.

    Workers of one server take the allowed cores in turn. Where they begin differs by host name and port, so
    that servers that share a machine do not all crowd its first core.

    Args:
        worker: which of the server's workers this is, from 0.
        port: that the server listens on.
        keeping: whether to.

    Returns:
        The core's number, or None where nothing was changed.
    """
    if sys.platform != "linux" or keeping == "never" or (keeping == "auto" and has_quota()):
        return None
    cores = sorted(os.sched_getaffinity(0))
    _before.update(cores)
    first = zlib.crc32(f"{socket.gethostname()}:{port}".encode())
    core = cores[(first + worker) % len(cores)]
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:  # a sandbox may forbid it
        log(logging.WARNING, "cannot keep to one core", core=core, reason=str(error))
        return None
    log(logging.INFO, "keeps to one core", core=core)
    return core


def leave_core() -> None:
    """Lets the calling thread run where its process might before: for long work that calls go on beside."""
    if _before:
        with suppress(OSError):  # a sandbox may forbid it
            os.sched_setaffinity(0, _before)


def has_quota(groups: Path = CGROUPS, own: Path = OWN_CGROUP) -> bool:
    """Returns whether this process, or a group of processes around it, has a quota of processor time.

    It has in most containers. Cores are then shared with others whom we do not see and who may keep to the
    same one. Quotas of control groups of version 1 are not found.

    Args:
        groups: where control groups of version 2 are mounted.
        own: the file that names the process's own.
    """
    try:
        line = next(line for line in own.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return False
    group = groups / line.removeprefix("0::").strip().lstrip("/")
    for each in (group, *group.parents):
        try:
            if not (each / "cpu.max").read_text().startswith("max"):
                return True
        except OSError:
            pass  # the root group has no such file
        if each == groups:
            break
    return False
