"""Owns the last stage: from a run's artefacts to one published snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.artefacts import read_artefact, scan_artefact
from recdata.config import DataConfig
from recdata.errors import SnapshotError
from recdata.importing.report import load_report
from recdata.releases import Releases
from recdata.runs import RunFolder, Stage, StageContext, digest_file
from recdata.snapshot import (
    CandidateRecord,
    FoldIn,
    ForecastRecord,
    ItemRecord,
    Manifest,
    RankedList,
    SnapshotWriter,
    UserRecord,
)
from recdata.tables import CATEGORY_SEPARATOR
from selection.places import PLACE_FILES, read_places
from training.erasures import load_ledger
from training.facets import daily_demand, item_facets
from training.gate import GATE_NAME, LINEAGE_KEY, Gate, GateSettings, RecordedRecipe
from training.prepare import APPLIED_NAME

MANIFEST_NAME = "published.json"
INPUTS = (
    "users.parquet",
    "items.parquet",
    "purchases.parquet",
    "daily_sales.parquet",
    APPLIED_NAME,
    "user_factors.npy",
    "item_factors.npy",
    "interacted_starts.npy",
    "interacted_rows.npy",
    "confidences.npy",
    "als.json",
    "similar_rows.npy",
    "similar_scores.npy",
    "together_rows.npy",
    "together_lifts.npy",
    "together_orders.npy",
    "item_orders.npy",
    "order_count.npy",
    "popularity.parquet",
    "ranked_rows.npy",
    "ranked_scores.npy",
    "ranked_sources.npy",
    "forecast_daily.parquet",
    *PLACE_FILES,
    "selection.parquet",
    "assortment.parquet",  # where it was solved for
    "evaluation.json",
    "evaluation_pairs.parquet",
    "behaviour.parquet",
)

#: Columns of the selection that hold JSON.
OPENED = (
    "components",
    *(f"{kind}_{language}" for kind in ("reasons", "against", "changes") for language in ("zh", "en")),
    "look_alikes",
)


class _AlsSummary(msgspec.Struct):
    fold_in: FoldIn | None


@dataclass(frozen=True, slots=True)
class _Artefacts:
    """Where a run's artefacts lie; each is read when its section is written, and let go after."""

    run: RunFolder

    def table(self, name: str) -> pl.DataFrame:
        return read_artefact(self.run.resolve(f"{name}.parquet"), name)

    def optional(self, name: str) -> pl.DataFrame | None:
        return self.table(name) if self.run.resolve(f"{name}.parquet").is_file() else None

    def scan(self, name: str) -> pl.LazyFrame:
        return scan_artefact(self.run.resolve(f"{name}.parquet"), name)

    def array(self, name: str) -> NDArray[np.generic]:
        loaded: NDArray[np.generic] = np.load(self.run.resolve(f"{name}.npy"), mmap_mode="r")
        return loaded


def publish_stage(data: DataConfig, settings: GateSettings, *, now: datetime | None = None) -> Stage:
    """Returns the stage that writes a run's snapshot, puts it to the gate, and lets it serve.

    Neither the tolerances nor a reason to force are part of its fingerprint: what serves already is not asked
    again, and what was refused left no record.

    Args:
        data: its currency and time zone are written into the snapshot.
        settings: what the gate judges by; its recipe is written into the snapshot.
        now: the manifest's created_at; the moment of the call where left out.
    """

    def work(context: StageContext) -> Mapping[str, object]:
        created_at = now or datetime.now(UTC)
        gate = Gate(context.run, settings, context.console)
        gate.judge_quality()

        def write(writer: SnapshotWriter) -> Manifest:
            return write_snapshot(
                writer, context.run, data=data, created_at=created_at, recipe=settings.recipe
            )

        manifest = Releases(context.run.home).publish(write, approve=gate.approve)
        gate.store(context.target(GATE_NAME))
        context.target(MANIFEST_NAME).write_bytes(msgspec.json.encode(manifest))
        return {"snapshot_id": manifest.snapshot_id, **manifest.counts, "bytes": manifest.file_bytes}

    recipe = settings.recipe.encode()
    return Stage("publish", 7, INPUTS, (MANIFEST_NAME, GATE_NAME), work, {"data": data, "recipe": recipe})


def published(run: RunFolder) -> bool:
    """Returns whether the snapshot that the run published serves, and can be read."""
    releases = Releases(run.home)
    try:
        manifest = msgspec.json.decode(run.resolve(MANIFEST_NAME).read_bytes(), type=Manifest)
        if releases.current_id() != manifest.snapshot_id:
            return False
        releases.open_current().close()
    except (OSError, msgspec.DecodeError, SnapshotError):
        return False
    return True


def write_snapshot(
    writer: SnapshotWriter,
    run: RunFolder,
    *,
    data: DataConfig,
    created_at: datetime,
    recipe: RecordedRecipe,
) -> Manifest:
    """Writes every section of a run's snapshot and returns the manifest.

    Raises:
        RunError: an artefact is missing.
        PublishError: the disk refuses.
    """
    artefacts = _Artefacts(run)
    items = artefacts.table("items")
    factors = artefacts.array("item_factors").astype(np.float32, copy=False)
    categories = category_rows(items["category"])
    facets, no_facets = item_facets(items, artefacts.scan("daily_sales"))
    if no_facets:
        text = f"   attributes of too many values to filter by: {', '.join(no_facets)}"
        run.console.print(text, style="dim", markup=False)
    demand = daily_demand(
        items, artefacts.scan("forecast_daily"), artefacts.scan("daily_sales"), as_of=run.as_of
    )
    writer.write_arrays(
        {
            "item_factors": factors,
            "item_gramian": factors.T @ factors,
            "similar_rows": artefacts.array("similar_rows"),
            "similar_scores": artefacts.array("similar_scores"),
            "together_rows": artefacts.array("together_rows"),
            "together_lifts": artefacts.array("together_lifts"),
            "together_orders": artefacts.array("together_orders"),
            "item_orders": artefacts.array("item_orders"),
            "active": (items["status"] == "active").to_numpy(),
            "sellable": _sellable(items),
            "price": items["price"].fill_null(float("nan")).to_numpy(),
            "unit_cost": items["unit_cost"].fill_null(float("nan")).to_numpy(),
            "stock": items["stock"].fill_null(-1).to_numpy(),
            "daily_demand": demand,
            "category_codes": _category_codes(items["category"], sorted(categories)),
        }
    )
    writer.write_items(_item_records(items))
    writer.write_categories(categories)
    writer.write_facets(facets)
    del items, facets
    writer.write_users(_user_records(artefacts))
    writer.write_lists(_ranked_lists(artefacts.table("popularity")))
    writer.write_forecasts(_forecasts(artefacts.table("forecast_daily")))
    writer.write_places(read_places(run))
    writer.write_candidates(candidate_records(artefacts.table("selection"), artefacts.optional("assortment")))
    imported = load_report(run.home / "tables")
    return writer.finish(
        as_of=run.as_of,
        created_at=created_at,
        currency=data.currency,
        business_timezone=data.business_timezone,
        metrics=_metrics(run.resolve("evaluation.json")),
        lineage={
            "run_id": run.run_id,
            "events": digest_file(run.resolve("tables:events")),
            LINEAGE_KEY: recipe.encode(),
        },
        orders=int(artefacts.array("order_count")),
        fold_in=_fold_in(run.resolve("als.json")),
        catalogue_at=imported.imported_at if imported is not None else None,
        erasures_applied=load_ledger(run.resolve(APPLIED_NAME)).last_number,
    )


def category_rows(categories: pl.Series) -> dict[str, NDArray[np.int32]]:
    """Returns, for each category path at any depth, the ascending rows of its items and those below it.

    Args:
        categories: `(n_items,)` paths "A > B > C"; the position is the item_row.
    """
    rows: dict[str, list[int]] = {}
    for row, path in enumerate(categories):
        parts = path.split(CATEGORY_SEPARATOR) if path else []
        for depth in range(1, len(parts) + 1):
            rows.setdefault(CATEGORY_SEPARATOR.join(parts[:depth]), []).append(row)
    return {path: np.array(members, np.int32) for path, members in rows.items()}


def _category_codes(categories: pl.Series, names: list[str]) -> NDArray[np.int32]:
    places = {name: place for place, name in enumerate(names)}
    return np.fromiter((places.get(path, -1) for path in categories), np.int32, len(categories))


def _sellable(items: pl.DataFrame) -> NDArray[np.bool_]:
    flags = items.select((pl.col("status") == "active") & (pl.col("stock").is_null() | (pl.col("stock") > 0)))
    return flags.to_series().to_numpy()


def _item_records(items: pl.DataFrame) -> Iterator[ItemRecord]:
    columns = ("item_id", "title", "category", "brand", "price", "stock", "status", "launched_on")
    for row in items.select(columns).iter_rows(named=True):
        row["brand"] = row["brand"] or ""
        yield ItemRecord(**row)


def _user_records(artefacts: _Artefacts) -> Iterator[tuple[str, UserRecord]]:
    users = artefacts.table("users")["user_id"]
    factors = artefacts.array("user_factors").astype(np.float32, copy=False)
    ranked = artefacts.array("ranked_rows").astype(np.int32, copy=False)
    scores = artefacts.array("ranked_scores").astype(np.float32, copy=False)
    sources = artefacts.array("ranked_sources").astype(np.uint8, copy=False)
    starts = artefacts.array("interacted_starts")
    interacted = artefacts.array("interacted_rows").astype(np.int32, copy=False)
    confidences = artefacts.array("confidences").astype(np.float32, copy=False)
    bought = (
        artefacts.table("purchases")
        .lazy()
        .filter(pl.col("quantity") > 0)
        .group_by("user_row", "item_row")
        .agg(pl.col("day").max())
        .sort("user_row", "item_row")
        .collect()
    )
    bought_items = bought["item_row"].to_numpy()
    bought_days = bought["day"].cast(pl.Int32).to_numpy()
    ends = np.searchsorted(bought["user_row"].to_numpy(), np.arange(len(users) + 1))
    for row, user_id in enumerate(users):
        size = int(np.count_nonzero(ranked[row] >= 0))
        met = slice(int(starts[row]), int(starts[row + 1]))
        yield (
            user_id,
            UserRecord(
                user_row=row,
                tier=0,
                factors=factors[row],
                purchased_rows=bought_items[ends[row] : ends[row + 1]],
                purchased_days=bought_days[ends[row] : ends[row + 1]],
                ranked_rows=ranked[row, :size],
                ranked_scores=scores[row, :size],
                ranked_sources=sources[row, :size],
                interacted_rows=interacted[met],
                confidences=confidences[met],
            ),
        )


def _ranked_lists(popularity: pl.DataFrame) -> dict[tuple[str, int, str, str, str], RankedList]:
    keys = ["kind", "window_days", "category", "channel", "region"]
    lists = {}
    ordered = popularity.sort([*keys, "rank"])
    for key, part in ordered.group_by(keys, maintain_order=True):
        kind, window_days, category, channel, region = key
        lists[str(kind), int(window_days), str(category), str(channel), str(region)] = RankedList(
            rows=part["item_row"].to_numpy(),
            scores=part["score"].to_numpy(),
            buyers=part["buyers"].to_numpy(),
        )
    return lists


def _forecasts(daily: pl.DataFrame) -> dict[tuple[str, str], ForecastRecord]:
    ordered = daily.sort("level", "key", "day")
    mean, q10, q90 = (ordered[name].to_numpy() for name in ("mean", "q10", "q90"))
    heads = ordered.with_row_index("at").group_by("level", "key", maintain_order=True)
    spans = heads.agg(pl.col("at").first(), pl.len(), pl.col("day").first(), pl.col("method").first())
    forecasts = {}
    for level, key, at, length, day, method in spans.iter_rows():
        part = slice(at, at + length)
        forecasts[level, key] = ForecastRecord(day, method, mean[part], q10[part], q90[part])
    return forecasts


def candidate_records(selection: pl.DataFrame, assortment: pl.DataFrame | None) -> Iterator[CandidateRecord]:
    """Yields the candidates as they are served, best first.

    Args:
        selection: the `selection` artefact.
        assortment: the `assortment` artefact; None where none was solved for. One that holds nothing, since
            nothing keeps its limits, is none.
    """
    table = selection.sort("rank").with_columns(pl.col(pl.Float64).fill_nan(None))
    if assortment is None or not assortment.get_column("chosen").any():
        table = table.with_columns(chosen=pl.lit(None, pl.Boolean))
    else:
        chosen = assortment.select("item_row", "chosen")
        table = table.join(chosen, on="item_row", how="left", maintain_order="left")
    for row in table.select(CandidateRecord.__struct_fields__).iter_rows(named=True):
        for name in OPENED:
            row[name] = msgspec.json.decode(row[name])
        yield CandidateRecord(**row)


def _fold_in(path: Path) -> FoldIn | None:
    """Returns what the model needs to take in events of today; None where nothing was fitted."""
    return msgspec.json.decode(path.read_bytes(), type=_AlsSummary).fold_in


def _metrics(path: Path) -> dict[str, float]:
    """Returns the headline figures of what is served; the rivals' stay in the run's evaluation."""
    metrics: dict[str, float] = msgspec.json.decode(path.read_bytes())["metrics"]
    return {name: value for name, value in metrics.items() if ".served." in name}
