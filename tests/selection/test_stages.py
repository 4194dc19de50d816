"""The three stages run in a real run folder, skip what is done, and the two verbs work on the newest run."""

import json
import os
from datetime import timedelta
from io import StringIO

import msgspec
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from rich.cells import cell_len
from rich.console import Console

from recdata.artefacts import read_artefact, write_artefact
from recdata.cli import recsvc
from recdata.config import DataConfig
from recdata.errors import RunError
from recdata.runs import RunFolder
from recdata.training_artefacts import FORECAST_DAILY
from selection.candidate_table import selection_table
from selection.config import BacktestConfig, SelectionConfig, WeightsConfig
from selection.stages import selection_stages

CONFIG = SelectionConfig(backtest=BacktestConfig(top_k=10, bootstrap_samples=200))


STAGES = [stage.name for stage in selection_stages(CONFIG)]


def chain(config=CONFIG, data=None):
    return selection_stages(config, data or DataConfig())


def by_name(records):
    return {record.name: record for record in records}


def write_run(tables, home, run_id="20240719-abc", forecasts=True):
    run = RunFolder(home, run_id, tables.as_of)
    run.path.mkdir(parents=True)
    for name in ("purchases", "daily_sales", "promoted_days"):
        write_artefact(getattr(tables, name).collect(), run.path / f"{name}.parquet", name)
    write_artefact(tables.items, run.path / "items.parquet", "items")
    np.save(run.path / "similar_rows.npy", np.full((tables.items.height, 5), -1, np.int32))
    np.save(run.path / "similar_scores.npy", np.zeros((tables.items.height, 5), np.float32))
    np.save(run.path / "together_rows.npy", np.full((tables.items.height, 1), -1, np.int32))
    if forecasts:
        write_artefact(tables.forecast_totals, run.path / "forecast_totals.parquet", "forecast_totals")
        write_artefact(
            pl.DataFrame(schema=FORECAST_DAILY), run.path / "forecast_daily.parquet", "forecast_daily"
        )
    return run


@pytest.fixture
def run(busy_shop, tmp_path):
    return write_run(busy_shop, tmp_path)


def fingerprints(records):
    return {record.name: record.fingerprint for record in records}


def test_the_chain_writes_its_artefacts_and_is_skipped_the_second_time(run, capsys):
    first = run.execute(chain())
    assert read_artefact(run.resolve("selection.parquet"), "selection").height == 80
    assert json.loads(run.resolve("backtest.json").read_text())["n_origins"] == 4
    assert run.resolve("report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run.resolve("selection.csv").stat().st_size > 0
    assert sum(by_name(first)["select"].summary["actions"].values()) == 80
    capsys.readouterr()
    assert fingerprints(run.execute(chain())) == fingerprints(first)
    assert capsys.readouterr().err.count("already done") == len(STAGES)


def test_the_same_run_is_the_same_bytes(busy_shop, tmp_path):
    digests = [
        [
            {name: output.digest for name, output in record.outputs.items()}
            for record in write_run(busy_shop, tmp_path / home).execute(chain())
        ]
        for home in ("one", "two")
    ]
    assert digests[0] == digests[1]


def test_other_weights_do_the_work_again_and_other_report_keys_only_the_report(run):
    before = fingerprints(run.execute(chain()))
    other = SelectionConfig(backtest=CONFIG.backtest, weights=WeightsConfig(demand=0.0))
    after = fingerprints(run.execute(chain(other)))
    changed = {name for name, fingerprint in before.items() if fingerprint != after[name]}
    assert {"backtest", "select", "report"} <= changed
    assert {"launches", "outcomes", "prices"}.isdisjoint(changed)
    euros = fingerprints(run.execute(chain(data=DataConfig(currency="EUR"))))
    assert euros["backtest"] == before["backtest"]
    assert "€" in run.resolve("report.html").read_text(encoding="utf-8")


def test_a_missing_artefact_is_named_with_the_remedy(busy_shop, tmp_path):
    run = write_run(busy_shop, tmp_path, forecasts=False)
    with pytest.raises(RunError, match=r"forecast_totals.*recsvc nightly"):
        run.execute(chain())


def test_a_shop_of_one_day_runs_through(make_tables, busy_shop, tmp_path):
    day = busy_shop.as_of - timedelta(days=1)
    tables = make_tables([("only", day, 0, 1.0, 9.9)], as_of=busy_shop.as_of)
    run = write_run(tables, tmp_path)
    records = run.execute(chain())
    assert by_name(records)["select"].summary["items"] == 1
    assert by_name(records)["backtest"].summary["n_origins"] == 0


@pytest.fixture
def call():
    runner = CliRunner()
    return lambda *arguments: runner.invoke(recsvc, [str(argument) for argument in arguments])


def test_select_shows_the_newest_run_and_its_back_test(run, busy_shop, call):
    older = write_run(busy_shop, run.home, run_id="older")
    os.utime(older.path / "forecast_totals.parquet", (1, 1))
    result = call("--home", run.home, "select", "--limit", "3", "--category", "X")
    assert result.exit_code == 0, result.output
    assert "selection of 20240719-abc" in result.stdout
    assert "title of X" in result.stdout
    assert "title of Y" not in result.stdout
    assert "back-test" in result.stdout


def test_a_misspelt_category_is_told_and_not_shown_as_an_empty_table(run, call):
    result = call("--home", run.home, "select", "--category", "Nope", "--action", "drop")
    assert result.exit_code == 0, result.output
    assert "no item has action 'drop' and category 'Nope'; a category is its whole path" in result.stdout
    assert "80% interval" not in result.stdout


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Discount", "seasonal", "breakout", "80% interval", "apart)")),
        ("zh", ("促销", "季节性", "突破", "80% 区间", "标准误）", "预测销售额", "商品与理由")),
    ],
)
@pytest.mark.parametrize("width", [80, 120])
def test_the_selection_fits_the_terminal_and_cuts_nothing_off(width, language, words):
    reason = (
        "20 orders in the last 28 days; the rate of the 84 days before, moved with the shop, made 37 "
        "(3.0 standard errors apart)"
    )
    row = {
        "rank": 1,
        "item_id": "1029743",
        "title": "Fluid Milk White Only, 1 Ga, Private",
        "action": "discount",
        "stage": "seasonal",
        "breakout": True,
        "score": 0.98,
        "demand": 12_345.0,
        "demand_q10": 10_345.0,
        "demand_q90": 14_345.0,
        "revenue_at_stake": 1_693_000.0,
        "reasons_en": msgspec.json.encode([reason]).decode(),
        "reasons_zh": msgspec.json.encode(["近 28 天有 20 个订单，应有 37 个（相差 3.0 个标准误）"]).decode(),
    }
    console = Console(file=StringIO(), width=width)
    table = selection_table(pl.DataFrame([row]), currency="CNY", title="selection", language=language)
    console.print(table)
    said = console.file.getvalue()
    assert "…" not in said
    assert max(map(cell_len, said.splitlines())) <= width
    assert len(said.splitlines()) <= 14
    for text in ("10,345 – 14,345", "¥1,693,000", "1029743", *words):
        assert text in said


def test_a_run_whose_id_holds_no_day_is_dated_by_its_newest_origin(busy_shop, tmp_path, call):
    write_run(busy_shop, tmp_path, run_id="dev")
    result = call("--home", tmp_path, "report", "--run", "dev")
    assert result.exit_code == 0, result.output
    assert "report.html" in result.stdout
    assert "2024-07-19" in (tmp_path / "runs" / "dev" / "report.html").read_text(encoding="utf-8")


def test_an_unknown_run_is_named_beside_those_that_exist(run, call):
    with pytest.raises(RunError, match=r"nope.*20240719-abc"):
        raise call("--home", run.home, "select", "--run", "nope").exception


def test_no_run_at_all_says_how_to_start_one(tmp_path, call):
    with pytest.raises(RunError, match="recsvc nightly"):
        raise call("--home", tmp_path, "report").exception
