"""Owns vectors for items that few have bought yet: what their attributes say, learned from those that sell.

A ridge regression from an item's traits (the path of its category, brand, price band, words of its title,
attributes) to its vector in the collaborative model, so that a new item stands in lists of similar items and
can be found from its first day.  Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start
Recommendations" (2010), by conjugate gradient over all factors at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from recdata.tables import CATEGORY_SEPARATOR

Traits = sparse.csr_array[np.float32, tuple[int, int]]
Factors = NDArray[np.float32]

PRICE_BANDS = 20  # of equally many items each
PENALTY = 2.0  # on the squared coefficients, in items of full weight
STEPS = 30  # of conjugate gradient
FEW_BUYERS = 1.0  # with so many buyers a vector counts half in the regression
TRUSTED_BUYERS = 7.0  # with so many it counts as much as what its traits speak for
MIN_ITEMS = 2  # that share a trait; what only one item has says nothing of another
_WORDS = re.compile(r"[a-z0-9]+|[\u3400-\u9fff]+")


def item_traits(items: pl.DataFrame) -> Traits:
    """Returns which item has which trait, `(n_items, n_traits)` float32, each row of length 1.

    One trait is everybody's.  Traits that fewer than two items share are left out.

    Args:
        items: the `items` artefact.
    """
    bands = items["price"].rank() * PRICE_BANDS / max(items["price"].count(), 1)
    columns = ("category", "brand", "title", "attributes")
    known: dict[str, int] = {}
    places: list[int] = []
    starts = [0]
    for band, row in zip(bands, items.select(columns).iter_rows(), strict=True):
        names = dict.fromkeys(_traits(*row))
        names["all"] = None
        if band is not None:
            names[f"price {np.ceil(band):.0f}"] = None
        places += [known.setdefault(name, len(known)) for name in names]
        starts.append(len(places))
    owners = np.repeat(np.arange(items.height), np.diff(starts))
    held = np.array(places, np.int64)
    shared = np.bincount(held, minlength=len(known)) >= MIN_ITEMS
    column = np.cumsum(shared) - 1
    kept = shared[held] if held.size else np.zeros(0, bool)
    owners, held = owners[kept], column[held[kept]]
    length = np.sqrt(np.bincount(owners, minlength=items.height))
    values = (1.0 / length[owners]).astype(np.float32)
    return sparse.csr_array((values, (owners, held)), shape=(items.height, int(shared.sum())))


def new_items(items: pl.DataFrame, *, as_of: date, days: int) -> NDArray[np.bool_]:
    """Returns which rows of the `items` artefact were launched in the `days` before `as_of`, `(n_items,)`."""
    launched = pl.col("launched_on")
    inside = (launched >= as_of - timedelta(days=days)) & (launched < as_of)
    return items.select(inside.fill_null(value=False)).to_series().to_numpy()


def content_vectors(traits: Traits, vectors: Factors, buyers: NDArray[np.integer]) -> Factors:
    """Returns the vector that each item's traits speak for, `(n_items, f)` float32.

    Minimises the squared difference to the known vectors, each weighted by buyers / (buyers + 1), plus
    `PENALTY` times the squared coefficients.  Equal input gives equal vectors.

    Args:
        traits: `(n_items, n_traits)`.
        vectors: `(n_items, f)`; zeros are not learned from.
        buyers: `(n_items,)` distinct buyers.
    """
    weight = np.where(vectors.any(axis=1), buyers / (buyers + FEW_BUYERS), 0.0).astype(np.float32)
    learned = np.flatnonzero(weight)
    known = traits[learned]
    weighted = sparse.csr_array(known.multiply(weight[learned, None]))
    transposed = sparse.csr_array(weighted.T)
    coefficients = np.zeros((traits.shape[1], vectors.shape[1]), np.float32)
    residual = np.asarray(transposed @ vectors[learned])
    direction = residual.copy()
    squares = np.einsum("tf,tf->f", residual, residual)
    for _ in range(STEPS):
        curved = transposed @ (known @ direction) + PENALTY * direction
        bent = np.einsum("tf,tf->f", direction, curved)
        step = np.divide(squares, bent, out=np.zeros_like(squares), where=bent > 0)
        coefficients += step * direction
        residual -= step * curved
        after = np.einsum("tf,tf->f", residual, residual)
        turn = np.divide(after, squares, out=np.zeros_like(after), where=squares > 0)
        direction = residual + turn * direction
        squares = after
    return np.asarray(traits @ coefficients, np.float32)


def with_content(traits: Traits, vectors: Factors, buyers: NDArray[np.integer]) -> Factors:
    """Returns directions, `(n_items, f)` float32 of length 1 or 0, to compare all items by.

    An item without a vector has the direction that its traits speak for; one of n buyers has the mean of its
    own, counted n times, and that of its traits, counted `TRUSTED_BUYERS` times.  Without any vector all are
    zeros.

    Args:
        traits: `(n_items, n_traits)`.
        vectors: `(n_items, f)`, zeros where unknown.
        buyers: `(n_items,)` distinct buyers.
    """
    trust = (buyers / (buyers + TRUSTED_BUYERS)).astype(np.float32)[:, None]
    speak = _units(content_vectors(traits, vectors, buyers))
    return _units(trust * _units(vectors) + (1.0 - trust) * speak)


def _units(vectors: Factors) -> Factors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), np.float32)


def _traits(
    category: str | None, brand: str | None, title: str | None, attributes: str | None
) -> Iterator[str]:
    path = category.split(CATEGORY_SEPARATOR) if category else []
    for depth in range(1, len(path) + 1):
        yield "category " + CATEGORY_SEPARATOR.join(path[:depth])
    if brand:
        yield f"brand {brand}"
    for word in _WORDS.findall((title or "").lower()):
        if word.isascii():
            yield f"word {word}"
        else:  # no spaces between words: pairs of signs
            yield from (f"word {word[at : at + 2]}" for at in range(max(len(word) - 1, 1)))
    given = msgspec.json.decode(attributes) if attributes else {}
    if isinstance(given, dict):
        for name, value in given.items():
            if isinstance(value, str | int | bool):
                yield f"{name}={value}"
