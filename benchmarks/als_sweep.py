"""Prints what a sweep of the collaborative model costs, beside implicit's own solver on the same pairs.

    python benchmarks/als_sweep.py [--users 1000000] [--items 100000] [--pairs 20000000] [--factors 96]

The pairs are made, with popular items and busy shoppers.  CPU seconds are those of all threads together.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
from implicit.cpu import _als
from scipy import sparse
from threadpoolctl import threadpool_limits

from training.als import STEPS
from training.solver import improve_rows, solve_rows, squared_error
from training.weights import penalties_of


def main() -> None:
    """Makes the pairs, sweeps with both solvers, and prints the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=20_000_000)
    parser.add_argument("--factors", type=int, default=96)
    parser.add_argument("--threads", type=int, default=0, help="0 means every core")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    confidences = made_pairs(given.users, given.items, given.pairs, rng)
    transposed = sparse.csr_array(confidences.T)
    users = rng.random((given.users, given.factors), dtype=np.float32) * np.float32(0.01)
    items = rng.random((given.items, given.factors), dtype=np.float32) * np.float32(0.01)
    penalties = penalties_of(confidences, regularization=1.0, frequency_scaling=0.5)
    threads = given.threads
    print(f"{confidences.nnz} pairs, {given.users} shoppers, {given.items} items, {given.factors} factors")
    warm_up(confidences, items, penalties.users)
    with threadpool_limits(limits=1, user_api="blas"):
        for side, rows, others in ((confidences, users, items), (transposed, items, users)):
            name = "shoppers" if side is confidences else "items"
            own = penalties.users if side is confidences else penalties.items
            counted, start = sparse.csr_matrix(side), rows.copy()
            clocked(
                f"implicit, {name}",
                lambda counted=counted, start=start, others=others: _als.least_squares_cg(
                    counted, start, others, 1.0, num_threads=threads, cg_steps=STEPS
                ),
            )
            clocked(
                f"ours, {name}",
                lambda side=side, rows=rows, others=others, own=own: improve_rows(
                    side, rows, others, penalties=own, steps=STEPS, threads=threads
                ),
            )
        clocked("loss", lambda: squared_error(confidences, users, items, threads=threads))
        clocked(
            "shoppers, exactly",
            lambda: solve_rows(confidences, items, penalties=penalties.users, threads=threads),
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


def made_pairs(
    users: int, items: int, pairs: int, rng: np.random.Generator
) -> sparse.csr_array[np.float32, tuple[int, int]]:
    """Returns about so many pairs with a confidence of 2; repeats are one pair with more."""
    rows = (rng.random(pairs) ** 1.5 * users).astype(np.int32)
    columns = (rng.random(pairs) ** 3 * items).astype(np.int32)
    made = sparse.csr_array((np.full(pairs, 2, np.float32), (rows, columns)), shape=(users, items))
    made.sum_duplicates()
    made.indices, made.indptr = made.indices.astype(np.int32), made.indptr.astype(np.int32)
    return made


def warm_up(confidences: sparse.csr_array, items: np.ndarray, penalties: np.ndarray) -> None:
    """Compiles, so that the clock does not count it."""
    few = sparse.csr_array(confidences[:100])
    rows = np.zeros((100, items.shape[1]), np.float32)
    improve_rows(few, rows, items, penalties=penalties[:100], steps=1)
    solve_rows(few, items, penalties=penalties[:100])
    squared_error(few, rows, items)


def clocked(name: str, work: Callable[[], object]) -> None:
    """Runs and prints how long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    print(f"{name:20} {time.perf_counter() - wall:7.1f} s {time.process_time() - cpu:7.1f} CPU s", flush=True)


if __name__ == "__main__":
    main()
