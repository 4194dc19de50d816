"""The assortment's stage writes what was chosen, and tells a wrong name from what is no longer on sale."""

import json
from dataclasses import replace
from io import StringIO

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from recdata.artefacts import read_artefact, write_artefact
from recdata.errors import RunError
from recdata.selection_artefacts import ASSORTMENT
from selection.assortment.show import show_assortment
from selection.assortment.stage import assortment_stage
from tests.selection.shelves import places_of, selected, selection_of


def test_the_stage_writes_what_was_chosen_and_the_same_bytes_again(busy_shop, tmp_path):
    digests = []
    for home in ("one", "two"):
        run, config = selected(busy_shop, tmp_path / home, total_slots=20)
        (record,) = run.execute([assortment_stage(config)])
        digests.append([output.digest for output in record.outputs.values()])
    assert digests[0] == digests[1]
    rows = read_artefact(run.resolve("assortment.parquet"), "assortment")
    assert dict(rows.schema) == ASSORTMENT
    assert int(rows.get_column("chosen").sum()) == 20
    plan = json.loads(run.resolve("assortment.json").read_text())
    assert plan["status"] == "best"
    assert plan["worth"] >= plan["worth_greedy"] > 0


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"slots": {"Z": 3}}, "no item on sale is in category 'Z'"),
        ({"always": ("nope",)}, "always: 'nope' cannot be sold"),
        ({"channel": "app"}, "no places artefact"),
    ],
)
def test_names_that_nothing_has_are_errors(busy_shop, tmp_path, config, told):
    run, settings = selected(busy_shop, tmp_path, **config)
    with pytest.raises(RunError, match=told):
        run.execute([assortment_stage(settings)])


def test_what_is_no_longer_on_sale_is_left_out_with_a_word_and_does_not_stop_the_night(busy_shop, tmp_path):
    asked = {"always": ("X01", "Y05"), "never": ("Y06", "X02"), "slots": {"Y": 3, "X": 7}, "least": {"Y": 1}}
    run, settings = selected(busy_shop, tmp_path, **asked)
    run = replace(run, console=Console(file=StringIO(), width=400))
    gone = selection_of(busy_shop).filter(~pl.col("item_id").str.starts_with("Y"))
    write_artefact(gone, run.path / "selection.parquet", "selection")
    (record,) = run.execute([assortment_stage(settings)])
    told = run.console.file.getvalue()
    for key, name in (("always", "'Y05'"), ("never", "'Y06'"), ("slots", "'Y'"), ("least", "'Y'")):
        assert f"selection.assortment.{key}: {name} not on sale now" in told
    assert len(record.summary["remarks"]) == 4
    rows = read_artefact(run.resolve("assortment.parquet"), "assortment")
    chosen = set(rows.filter("chosen").join(busy_shop.items, on="item_row").get_column("item_id"))
    assert len(chosen) == 7  # the other limits hold
    assert "X01" in chosen
    assert "X02" not in chosen
    out = StringIO()
    show_assortment(Console(file=out, width=200), run, currency="CNY", limit=3)
    assert "'Y05' 目前不在售" in out.getvalue()


@pytest.mark.parametrize(
    ("config", "status"), [({"slots": {"Y": 3}}, "best"), ({"least": {"Y > all": 1}}, "impossible")]
)
def test_a_category_that_has_died_out_does_not_stop_the_night(busy_shop, tmp_path, config, status):
    run, settings = selected(busy_shop, tmp_path, **config)
    died = pl.when(pl.col("category") == "Y > all").then(pl.lit("dead")).otherwise(pl.lit("mature"))
    selection = selection_of(busy_shop).with_columns(stage=died)
    write_artefact(selection, run.path / "selection.parquet", "selection")
    run.execute([assortment_stage(settings)])
    plan = json.loads(run.resolve("assortment.json").read_text())
    assert (plan["status"], plan["candidates"]) == (status, 40)
    assert [(each["kind"], each["key"], each["alone"]) for each in plan["remedies"]] == (
        [] if status == "best" else [("least", "Y > all", 0.0)]
    )


@pytest.mark.parametrize("place", [{"channel": "app", "region": "north"}, {"channel": "app"}])
def test_only_the_share_of_the_channel_and_region_counts(busy_shop, tmp_path, place):
    run, config = selected(busy_shop, tmp_path, **place)
    places_of(run)
    run.execute([assortment_stage(config)])
    value = read_artefact(run.resolve("assortment.parquet"), "assortment").get_column("value").to_numpy()
    assert value / (np.arange(80) + 10.0) == pytest.approx([0.9] * 40 + [0.1] * 40)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ({"channel": "moon"}, "nothing was sold in channel 'moon'; mend the name"),
        ({"channel": "app", "region": "west"}, "nothing was sold in channel 'app' and region 'west'"),
        ({"channel": "kiosk"}, "channel 'kiosk' has closed"),
    ],
)
def test_a_place_where_nothing_sells_is_an_error(busy_shop, tmp_path, place, told):
    run, config = selected(busy_shop, tmp_path, **place)
    places_of(run)
    with pytest.raises(RunError, match=told):
        run.execute([assortment_stage(config)])
