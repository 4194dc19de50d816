"""Owns what can be said of an item before it sells: sparse blocks of traits, each row of length 1.

The weight of a trait is 1 + log((1 + n) / (1 + items that have it)), over the items there at the origin.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from recdata.tables import CATEGORY_SEPARATOR
from selection.launches.cohort import Bools, Ints

Matrix = sparse.csr_array[np.float32, tuple[int, int]]

#: Traits that more than this share of the items have are left out of titles: they cost much and tell little.
MAX_TITLE_SHARE = 0.5
FEW_ITEMS = 50  # so many may have it anyway
#: A shorter id may be a word or a size.
MIN_ID_LENGTH = 4
_SIGN = 21  # bits of a Unicode code point
_GAPS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Traits:
    """Which item has which trait, (n_items, n_traits) of 0 and 1, by block.

    Attributes:
        category: one column a category path of any depth.
        brand: one column a brand.
        title: one column a pair or triple of characters.
        attributes: one column a name=value.
    """

    category: Matrix
    brand: Matrix
    title: Matrix
    attributes: Matrix

    def weighted(self, weights: Sequence[float], there: Bools) -> tuple[Matrix, NDArray[np.float32]]:
        """Returns all blocks side by side, and the weight of the blocks that an item has, (n_items,).

        The product of two rows is the weighted sum of the blocks' cosines.

        Args:
            weights: of category, brand, title and attributes.
            there: the items that idf is counted over.
        """
        blocks, present = [], np.zeros(self.category.shape[0], np.float32)
        limits = (1.0, 1.0, MAX_TITLE_SHARE, 1.0)
        matrices = (self.category, self.brand, self.title, self.attributes)
        for matrix, weight, limit in zip(matrices, weights, limits, strict=True):
            block = _lengthened(matrix, there, limit, weight)
            blocks.append(block)
            present += np.where(np.diff(block.indptr) > 0, np.float32(weight), np.float32(0))
        return sparse.csr_array(sparse.hstack(blocks, format="csr")), present


def read_traits(items: pl.DataFrame) -> Traits:
    """Returns the traits of items.

    Args:
        items: item_id, title, category, brand, attributes; the row is the position.
    """
    return Traits(
        category=_matrix([_paths(path) for path in items["category"]]),
        brand=_matrix([[brand] if brand else [] for brand in items["brand"]]),
        title=title_grams(items["title"].to_list(), items["item_id"].to_list()),
        attributes=_matrix([_attributes(text) for text in items["attributes"]]),
    )


def category_codes(categories: pl.Series, depth: int) -> Ints:
    """Returns a number a category path cut at a depth (0: whole), (n_items,); equal paths, equal numbers."""
    parts = categories.fill_null("").str.split(CATEGORY_SEPARATOR)
    cut = parts.list.head(depth) if depth else parts
    codes = np.unique(cut.list.join(CATEGORY_SEPARATOR).to_numpy(), return_inverse=True)[1]
    return codes.astype(np.int64)


def title_grams(titles: Sequence[str | None], item_ids: Sequence[str]) -> Matrix:
    """Returns which title has which pair or triple of characters, (n_items, n_grams) of 0 and 1.

    Works without words, so for Chinese too. Case, punctuation and width do not count, and the item's own id
    is left out. A pair and a triple of code points fit a 64-bit number, so there is nothing to hash.
    """
    texts = [_clean(title, item_id) for title, item_id in zip(titles, item_ids, strict=True)]
    signs = np.frombuffer("\0".join(texts).encode("utf-32-le"), np.uint32).astype(np.int64)
    owner = np.cumsum(signs == 0)
    owners, grams = [], []
    for length in (2, 3):
        if len(signs) < length:
            continue
        parts = [signs[start : len(signs) - length + 1 + start] for start in range(length)]
        whole = np.logical_and.reduce([part != 0 for part in parts])
        gram = np.zeros(len(parts[0]), np.int64)
        for part in parts:
            gram = (gram << _SIGN) | part
        owners.append(owner[: len(gram)][whole])
        grams.append(gram[whole])
    if not grams:
        return _ones(np.zeros(0, np.int64), np.zeros(0, np.int64), (len(texts), 0))
    columns = np.unique(np.concatenate(grams), return_inverse=True)
    return _ones(np.concatenate(owners), columns[1], (len(texts), len(columns[0])))


def _clean(title: str | None, item_id: str) -> str:
    text = title or ""
    if len(item_id) >= MIN_ID_LENGTH:
        text = text.replace(item_id, " ")
    text = _GAPS.sub(" ", unicodedata.normalize("NFKC", text).lower()).strip()
    return f" {text} " if text else ""


def _paths(category: str | None) -> list[str]:
    parts = category.split(CATEGORY_SEPARATOR) if category else []
    return [CATEGORY_SEPARATOR.join(parts[: depth + 1]) for depth in range(len(parts))]


def _attributes(text: str | None) -> list[tuple[str, object]]:
    try:
        given = msgspec.json.decode(text) if text else {}
    except msgspec.DecodeError:
        return []
    if not isinstance(given, dict):
        return []
    return [(name, value) for name, value in given.items() if isinstance(value, str | int | float)]


def _matrix(named: Iterable[Sequence[Hashable]]) -> Matrix:
    rows = list(named)
    # Columns in a fixed order, whichever items there are: sums do not depend on later items.
    known = {name: at for at, name in enumerate(sorted({name for row in rows for name in row}, key=repr))}
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    column = np.array([known[name] for row in rows for name in row], np.int64)
    return _ones(owner, column, (len(rows), len(known)))


def _ones(owner: Ints, column: Ints, shape: tuple[int, int]) -> Matrix:
    matrix = sparse.csr_array((np.ones(len(owner), np.float32), (owner, column)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def _lengthened(matrix: Matrix, there: Bools, limit: float, weight: float) -> Matrix:
    n = int(there.sum())
    held = matrix[np.flatnonzero(there)]
    counts = np.bincount(held.indices, minlength=matrix.shape[1])
    used = (counts <= max(limit * n, FEW_ITEMS)) & (weight > 0)
    idf = np.where(used, 1.0 + np.log((1 + n) / (1 + counts)), 0.0).astype(np.float32)
    block = matrix.copy()
    block.data = block.data * idf[block.indices]
    block.eliminate_zeros()
    squares = np.zeros(matrix.shape[0])
    np.add.at(squares, np.repeat(np.arange(matrix.shape[0]), np.diff(block.indptr)), block.data**2.0)
    scale = np.sqrt(weight / np.where(squares > 0, squares, 1.0)).astype(np.float32)
    block.data = block.data * np.repeat(scale, np.diff(block.indptr))
    return block
