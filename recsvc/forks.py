"""Owns starting workers: forks of one process that has all of a worker's programs in memory already.

So a worker starts in a moment, machine code included, and the workers share that memory. The process is
`multiprocessing`'s fork server: it has one thread and opens nothing, which is what makes its forks safe.
"""

from __future__ import annotations

import os
import sys
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from recsvc.pipes import Start

#: What the fork server imports: the command line's modules too, since a worker's main module imports them.
PRELOADED = ["recdata.cli", "recsvc.preloaded"]
#: One BLAS thread a worker: the workers are the parallelism.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def start_worker(start: Start) -> tuple[ForkServerProcess, Connection]:
    """Starts a worker's process; returns it and our end of the pipe to it.

    The first one waits for the fork server, which takes seconds, and longer where there is no machine code
    on the disk yet.

    Args:
        start: what it is told.
    """
    os.environ.update(ONE_THREAD)
    # Like us, it finds modules in the folder that it stands in only where we do.
    if "" not in sys.path and os.getcwd() not in sys.path:  # noqa: PTH109 - as sys.path spells it
        os.environ["PYTHONSAFEPATH"] = "1"
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, start), daemon=True)
    with theirs:
        process.start()
    return process, ours


def _work(pipe: Connection, start: Start) -> None:
    from recsvc.worker import main  # the supervisor does without grpc

    main(pipe, start)
