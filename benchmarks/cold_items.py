"""Judges the vectors that new items get from their traits: items are hidden from the model, then compared.

    python benchmarks/cold_items.py --home HOME [--as-of YYYY-MM-DD]

A tenth of the items with at least 20 buyers loses all its purchases, another tenth all but those of 3 buyers.
The collaborative model is fitted to the rest.  For each of these items every shopper is ordered by the score
of the item's vector, and the table says how well its hidden buyers stand: the chance that a buyer stands
before another shopper (AUC; half is chance), and the share of the buyers among the first 5% of shoppers.  The
cosine is with the vector solved exactly from all purchases for the same shoppers' vectors.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table
from scipy import sparse
from scipy.stats import rankdata

from recdata.training_artefacts import BEHAVIOUR
from training.als import AlsConfig, confidences_of, fit_als
from training.content import content_vectors, item_traits, with_content
from training.interactions import InteractionsConfig, build_interactions
from training.solver import solve_rows
from training.weights import penalties_of

FEW = 3
ENOUGH = 20
FIRST = 0.05


def main() -> None:
    """Hides items, fits the model, prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="home folder with a run")
    parser.add_argument("--as-of", type=date.fromisoformat, default=date(2017, 11, 27))
    given = parser.parse_args()
    run = max((given.home / "runs").iterdir())
    items = pl.read_parquet(run / "items.parquet")
    matrix = build_interactions(
        pl.scan_parquet(run / "purchases.parquet"),
        pl.LazyFrame(schema=BEHAVIOUR),
        pl.read_parquet(run / "users.parquet").height,
        items.height,
        as_of=given.as_of,
        config=InteractionsConfig(),
    )
    rng = np.random.default_rng(7)
    pairs = matrix.tocoo()
    users, rows = pairs.coords
    buyers = np.bincount(rows, minlength=items.height)
    enough = rng.permutation(np.flatnonzero(buyers >= ENOUGH))
    gone, few = enough[: enough.size // 10], enough[enough.size // 10 : enough.size // 5]
    order = rng.permutation(rows.size)
    place = np.empty(rows.size, np.int64)
    by_item = order[np.argsort(rows[order], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(buyers)])
    place[by_item] = np.arange(rows.size) - starts[rows[by_item]]
    kept = ~np.isin(rows, gone) & (~np.isin(rows, few) | (place < FEW))
    reduced = sparse.csr_array((pairs.data[kept], (users[kept], rows[kept])), shape=matrix.shape)
    config = AlsConfig()
    model = fit_als(reduced, config)
    whole = confidences_of(matrix, config)
    penalties = penalties_of(
        whole, regularization=config.regularization, frequency_scaling=config.frequency_scaling
    )
    exact = solve_rows(sparse.csr_array(whole.T), model.user_factors, penalties=penalties.items)
    left = np.bincount(rows[kept], minlength=items.height)
    traits = item_traits(items)
    content = content_vectors(traits, model.item_factors, left)
    mixed = with_content(traits, model.item_factors, left)
    paths, codes = np.unique(items["category"].fill_null("").to_numpy(), return_inverse=True)
    member = sparse.csr_array((np.ones(codes.size), (np.arange(codes.size), codes)), (codes.size, paths.size))
    known = model.item_factors.any(axis=1)
    counted = np.maximum(np.bincount(codes[known], minlength=paths.size), 1)[:, None]
    of_category = (member.T @ model.item_factors / counted)[codes]
    hidden = sparse.csr_array((np.ones((~kept).sum()), (rows[~kept], users[~kept])), shape=matrix.shape[::-1])
    seen = sparse.csr_array((np.ones(kept.sum()), (rows[kept], users[kept])), shape=matrix.shape[::-1])
    activity = np.tile(np.bincount(users[kept], minlength=matrix.shape[0]), (1, 1))

    table = Table("items", "vector", "AUC", f"buyers in first {FIRST:.0%}", "cosine", title="hidden buyers")
    for name, chosen in (("no purchases", gone), (f"{FEW} buyers", few)):
        vectors = {
            "busiest shoppers": None,
            "mean of category": of_category,
            "from traits": content,
            **({"collaborative": model.item_factors, "mixed": mixed} if chosen is few else {}),
            "of all purchases": exact,
        }
        for vector_name, vector in vectors.items():
            scores = activity if vector is None else vector[chosen] @ model.user_factors.T
            scores = np.broadcast_to(scores, (chosen.size, matrix.shape[0]))
            auc, share = judged(scores, hidden[chosen], seen[chosen])
            cosine = ""
            if vector is not None:
                cosine = f"{(unit(vector)[chosen] * unit(exact)[chosen]).sum(axis=1).mean():.3f}"
            table.add_row(f"{name} ({chosen.size})", vector_name, f"{auc:.3f}", f"{share:.3f}", cosine)
    Console().print(table)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Returns the rows scaled to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def judged(scores: np.ndarray, hidden: sparse.csr_array, seen: sparse.csr_array) -> tuple[float, float]:
    """Returns AUC and the share of hidden buyers among the first shoppers, the mean of items."""
    areas, shares = [], []
    for at, row in enumerate(scores):
        allowed = np.ones(row.size, bool)
        allowed[seen.indices[seen.indptr[at] : seen.indptr[at + 1]]] = False
        buyer = np.zeros(row.size, bool)
        buyer[hidden.indices[hidden.indptr[at] : hidden.indptr[at + 1]]] = True
        ranks, buyer = rankdata(row[allowed]), buyer[allowed]
        positive, others = buyer.sum(), (~buyer).sum()
        areas.append((ranks[buyer].sum() - positive * (positive + 1) / 2) / (positive * others))
        shares.append((ranks[buyer] > ranks.size * (1 - FIRST)).mean())
    return float(np.mean(areas)), float(np.mean(shares))


if __name__ == "__main__":
    main()
