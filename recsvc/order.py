"""Owns what the shop wants of the order of lists: a weight for each item, kept up with stock and price."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recdata.live.records import ItemState
from recdata.ordering import OrderConfig, order_weights, ordinary_item
from recdata.snapshot import Snapshot
from recsvc.goods import Goods


class ShopOrder:
    """The weights of one snapshot's items.

    Attributes:
        weights: `(n_items,)` float32, what scores are multiplied by; None where every rule is off. Patched in
            place as the arrays of `Goods` are.
    """

    def __init__(self, snapshot: Snapshot, config: OrderConfig) -> None:
        self._snapshot, self._config = snapshot, config
        self.weights: NDArray[np.float32] | None = None
        if not config.is_off:
            prices = snapshot.price, snapshot.unit_cost
            self._ordinary = ordinary_item(*prices, snapshot.daily_demand)
            self.weights = order_weights(
                *prices, snapshot.stock, snapshot.daily_demand, config, self._ordinary
            )

    def patch(self, states: Mapping[int, ItemState | None], goods: Goods) -> None:
        """Weighs items again whose stock or price is another one; `goods` has been patched already."""
        if self.weights is None or not states:
            return
        rows = np.fromiter(states, np.int32, len(states))
        stock = self._snapshot.stock[rows]
        for place, state in enumerate(states.values()):
            if state is not None and state.stock is not None:
                stock[place] = state.stock
        self.weights[rows] = order_weights(
            goods.price[rows],
            self._snapshot.unit_cost[rows],
            stock,
            self._snapshot.daily_demand[rows],
            self._config,
            self._ordinary,
        )
