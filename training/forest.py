"""Owns what boosted trees say of many rows, several times cheaper than LightGBM's own prediction.

Every tree is laid out as a full one, each leaf as deep as the others, so that eight rows go down it side by
side without a branch.  The leaf that a row reaches is the one that LightGBM would find.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from recdata.machine_code import compiled

_SIDE_BY_SIDE = 8
_BLOCK_ROWS = 256  # that stay in the nearest cache while all trees go over them


@dataclass(frozen=True, slots=True)
class Forest:
    """Boosted trees; a row's logit is the sum of one leaf a tree.

    Attributes:
        features: `(n_trees, 2 ** depth - 1)` uint32, the column that each question looks at.
        thresholds: the same shape, float32; what is above goes right.
        missing_right: the same shape, bool, where NaN goes.
        leaves: `(n_trees, 2 ** depth)` float64.
        gains: each feature's share of what the questions gained, the largest first.
    """

    features: NDArray[np.uint32]
    thresholds: NDArray[np.float32]
    missing_right: NDArray[np.bool_]
    leaves: NDArray[np.float64]
    gains: dict[str, float]

    @classmethod
    def of(cls, model: lightgbm.Booster, columns: NDArray[np.integer], *, depth: int) -> Forest:
        """Returns the trees of a model.

        Args:
            model: learned from some columns of a table.
            columns: which they are of the rows whose logits will be asked.
            depth: questions from a root to its farthest leaf at most; memory doubles with each.
        """
        trees = [tree["tree_structure"] for tree in model.dump_model()["tree_info"]]
        n_leaves = 1 << depth
        shape = (len(trees), n_leaves - 1)
        forest = cls(
            np.zeros(shape, np.uint32),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.bool_),
            np.zeros((len(trees), n_leaves)),
            _gains(model),
        )
        for tree, root in enumerate(trees):
            forest._place(root, tree, node=0, width=n_leaves)
        forest.features[:] = columns[forest.features]
        return forest

    def logits(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns the log of the odds of each of the rows `(n, n_features)`, `(n,)`."""
        padding = np.zeros((max(_SIDE_BY_SIDE - len(rows), 0), rows.shape[1]), np.float32)
        table = np.vstack([rows, padding]) if len(padding) else np.ascontiguousarray(rows)
        added = np.zeros(len(table))
        compiled(add_leaves)(table, self.features, self.thresholds, self.missing_right, self.leaves, added)
        return added[: len(rows)]

    def _place(self, part: Mapping[str, Any], tree: int, *, node: int, width: int) -> None:
        """Lays out a part of a tree from a node on, which has `width` leaves below it."""
        if "split_feature" not in part:
            first = (node + 1) * width - self.leaves.shape[1]
            self.leaves[tree, first : first + width] = part["leaf_value"]
            return
        self.features[tree, node] = part["split_feature"]
        self.thresholds[tree, node] = _rounded_down(part["threshold"])
        # Where no example lacked the feature, LightGBM takes a missing one for 0.
        missing = part["missing_type"] == "NaN"
        self.missing_right[tree, node] = not part["default_left"] if missing else part["threshold"] < 0
        self._place(part["left_child"], tree, node=2 * node + 1, width=width // 2)
        self._place(part["right_child"], tree, node=2 * node + 2, width=width // 2)


def add_leaves(
    rows: NDArray[Any],
    features: NDArray[Any],
    thresholds: NDArray[Any],
    missing_right: NDArray[Any],
    leaves: NDArray[Any],
    added: NDArray[Any],
) -> None:
    """Adds to `added` the leaf of every tree that each of at least eight rows reaches; numba compiles it."""
    # Without a sign, numba need not ask of every place whether it counts from the end.
    at, one = np.zeros(_SIDE_BY_SIDE, np.uint32), np.uint32(1)
    n_nodes = np.uint32(features.shape[1])
    for start in range(0, rows.shape[0], _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, rows.shape[0])
        for tree in range(features.shape[0]):
            column, threshold, right = features[tree], thresholds[tree], missing_right[tree]
            leaf = leaves[tree]
            for first in range(start, stop, _SIDE_BY_SIDE):
                # The last few rows are gone down beside some that are done; only the new ones count.
                base = min(first, stop - _SIDE_BY_SIDE)
                for beside in range(_SIDE_BY_SIDE):
                    at[np.uint32(beside)] = 0
                below = n_nodes
                while below > 0:
                    below >>= one
                    for beside in range(_SIDE_BY_SIDE):
                        node = at[np.uint32(beside)]
                        value = rows[np.uint64(base) + np.uint64(beside), column[node]]
                        above = (value > threshold[node]) | ((value != value) & right[node])
                        at[np.uint32(beside)] = np.uint32(node + node + one + np.uint32(above))
                for beside in range(first - base, _SIDE_BY_SIDE):
                    added[base + beside] += leaf[np.uint32(at[beside] - n_nodes)]


def _rounded_down(threshold: float) -> np.float32:
    """Returns the largest float32 not above the threshold: every float32 stands on the same side of both."""
    with np.errstate(over="ignore"):  # a question for missing values alone has the largest float64
        rounded = np.float32(threshold)
    return rounded if float(rounded) <= threshold else np.nextafter(rounded, np.float32(-np.inf))


def _gains(model: lightgbm.Booster) -> dict[str, float]:
    gains = model.feature_importance("gain")
    shares = gains / max(float(gains.sum()), 1e-12)
    return {
        name: round(float(share), 4)
        for share, name in sorted(zip(shares, model.feature_name(), strict=True), reverse=True)
    }
