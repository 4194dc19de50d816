"""Owns what may be shown now: one snapshot's catalogue with the day's changes and rules laid over it."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping

from recdata.live import LiveView
from recdata.live.records import ItemState
from recdata.ordering import OrderConfig
from recdata.snapshot import Snapshot
from recsvc.filtering import Conditions, compiled
from recsvc.goods import Goods
from recsvc.order import ShopOrder
from recsvc.rules import RuleBook
from recsvc.v1.common_pb2 import ItemFilter

#: Filters whose conditions are kept, and the bytes that they and their rows may take.
MAX_FILTERS = 512
MAX_FILTER_BYTES = 64 << 20
#: What the conditions of a small filter take.
BYTES_A_FILTER = 1024


class ConditionsCache:
    """The conditions of the filters that were asked for last, each compiled once. Thread-safe.

    Conditions are always of now, so they outlive every change of the catalogue.

    Args:
        goods: the items of now.
        max_filters: how many filters are kept at most.
        max_bytes: how many bytes they may take together.
    """

    def __init__(
        self, goods: Goods, *, max_filters: int = MAX_FILTERS, max_bytes: int = MAX_FILTER_BYTES
    ) -> None:
        self._goods = goods
        self._max_filters = max_filters
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, tuple[Conditions, list[int]]] = OrderedDict()
        self.kept_bytes = 0

    def __len__(self) -> int:
        """Returns how many filters are kept."""
        return len(self._kept)

    def get(self, key: bytes, filter_: ItemFilter, field: str) -> Conditions:
        """Returns the conditions of a filter; see `compiled` for what is raised."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept[0]
        made = compiled(self._goods, filter_, field)
        with self._lock:
            if key not in self._kept:
                size = BYTES_A_FILTER + len(key) + made.kept_bytes
                self._kept[key] = (made, [size])
                self.kept_bytes += size
                self._let_go()
        made.on_growth(_growth(weakref.ref(self), key))
        return made

    def grow(self, key: bytes, made: Conditions, n_bytes: int) -> None:
        """Counts bytes that conditions have come to hold, if they are kept here."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept[0] is made:
                kept[1][0] += n_bytes
                self.kept_bytes += n_bytes
                self._let_go()

    def _let_go(self) -> None:
        while self._kept and (len(self._kept) > self._max_filters or self.kept_bytes > self._max_bytes):
            _, (_, size) = self._kept.popitem(last=False)
            self.kept_bytes -= size[0]


def _growth(cache: weakref.ref[ConditionsCache], key: bytes) -> Callable[[Conditions, int], None]:
    """Returns what tells a cache of growth, with no circle of references that would outlive a snapshot."""

    def grown(made: Conditions, n_bytes: int) -> None:
        told = cache()
        if told is not None:
            told.grow(key, made, n_bytes)

    return grown


class Catalogue:
    """What may be shown now. Take it once for a call and use it throughout.

    Its rules and versions never change. Its arrays are those of `Goods`, which are patched in place: an item
    may come out of stock while a call looks at it, and no lock would tell the shopper sooner.

    Attributes:
        snapshot: the mapped snapshot.
        sellable: `(n_items,)` bool: active and in stock now.
        active: `(n_items,)` bool: not discontinued.
        price: `(n_items,)` float64 of now, NaN where not known.
        changed: what UpdateItems has set, by row; look rows up, copy it before iterating.
        repriced: the price of now, by row, where it is or was another than the snapshot's; as `changed`.
        rules: the merchandisers' rules.
        everything: the conditions of no filter at all.
        order_weights: `(n_items,)` float32, what scores are multiplied by; None where they are not.
        catalogue_version: the live store's, of the items; −1 without a live store.
        rules_version: the same of the rules.
    """

    __slots__ = (
        "_cache",
        "active",
        "catalogue_version",
        "changed",
        "everything",
        "order_weights",
        "price",
        "repriced",
        "rules",
        "rules_version",
        "sellable",
        "snapshot",
    )

    def __init__(
        self,
        goods: Goods,
        rules: RuleBook,
        cache: ConditionsCache,
        everything: Conditions,
        *,
        order: ShopOrder,
        catalogue_version: int = -1,
        rules_version: int = -1,
    ) -> None:
        self.snapshot = goods.snapshot
        self.sellable = goods.sellable
        self.active = goods.active
        self.price = goods.price
        self.changed: Mapping[int, ItemState] = goods.changed
        self.repriced: Mapping[int, float] = goods.repriced
        self.rules = rules
        self.everything = everything
        self.order_weights = order.weights
        self.catalogue_version = catalogue_version
        self.rules_version = rules_version
        self._cache = cache

    def conditions(self, filter_: ItemFilter | None, field: str = "filter") -> Conditions:
        """Returns the catalogue's conditions of a filter; without any, those of no filter.

        Raises:
            InvalidFieldError: see `recsvc.filtering.compiled`.
        """
        key = b"" if filter_ is None else filter_.SerializeToString()
        return self._cache.get(key, filter_, field) if key and filter_ is not None else self.everything


class CatalogueKeeper:
    """The catalogue of one snapshot, kept up with the live store. Thread-safe.

    Only items whose state in the live store has changed are looked at, and their elements patched.
    """

    def __init__(self, snapshot: Snapshot, order: OrderConfig | None = None) -> None:
        self._order = ShopOrder(snapshot, order or OrderConfig())
        self._lock = threading.Lock()
        imported_at = snapshot.manifest.catalogue_at
        self._imported_at_us = 0 if imported_at is None else round(imported_at.timestamp() * 1_000_000)
        # Without a live store the arrays stay the snapshot's own.
        bare = Goods(snapshot)
        self._bare = Catalogue(
            bare, RuleBook((), bare), ConditionsCache(bare), Conditions(bare), order=self._order
        )
        self._goods = Goods(snapshot)
        self._cache = ConditionsCache(self._goods)
        self._everything = Conditions(self._goods)
        self._now = Catalogue(
            self._goods, RuleBook((), self._goods), self._cache, self._everything, order=self._order
        )

    def current(self, view: LiveView | None) -> Catalogue:
        """Returns the catalogue as a view of the live store has it, or as a later one has.

        Args:
            view: the live store, inside its `with` block; None for the snapshot's own catalogue.

        Raises:
            LiveStoreUnavailableError: the live store cannot be read.
        """
        if view is None:
            return self._bare
        now = self._now
        if now.catalogue_version >= view.catalogue_version and now.rules_version >= view.rules_version:
            return now
        return self._renewed(view)

    def _renewed(self, view: LiveView) -> Catalogue:
        with self._lock:
            now = self._now
            catalogue_version, rules_version, rules = now.catalogue_version, now.rules_version, now.rules
            if view.catalogue_version > catalogue_version:
                self._lay_over(view.items_since(catalogue_version))
                catalogue_version = view.catalogue_version
            if view.rules_version > rules_version:
                rules = RuleBook(view.rules(), self._goods, before=rules)
                rules_version = view.rules_version
            self._now = Catalogue(
                self._goods,
                rules,
                self._cache,
                self._everything,
                order=self._order,
                catalogue_version=catalogue_version,
                rules_version=rules_version,
            )
            return self._now

    def _lay_over(self, states: Mapping[str, ItemState]) -> None:
        """Patches the items whose state is another one than before; what the catalogue outdates is void."""
        item_row = self._goods.snapshot.item_row
        changed = self._goods.changed
        patches: dict[int, ItemState | None] = {}
        for item_id, stored in states.items():
            row = item_row(item_id)
            if row is not None:
                state = stored.after(self._imported_at_us)
                if changed.get(row) != state:
                    patches[row] = state
        self._goods.patch(patches)
        self._order.patch(patches, self._goods)
