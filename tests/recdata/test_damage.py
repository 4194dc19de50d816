"""A damaged table in the middle of the job: which file it is, and what to do, in place of a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from recdata.errors import RunError
from recdata.runs import RunFolder, Stage, StageContext


def damage(path: Path) -> None:
    """Alters the head of the first page: the footer is whole, so the file opens."""
    content = bytearray(path.read_bytes())
    content[4:64] = bytes(byte ^ 0xA5 for byte in content[4:64])
    path.write_bytes(content)


def table(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"user_id": [f"u{i % 97}" for i in range(20_000)], "n": range(20_000)}).write_parquet(path)


def counting(*inputs: str) -> Stage:
    def work(context: StageContext) -> Mapping[str, object]:
        frames = [pl.scan_parquet(context.source(name)) for name in inputs]
        context.target("sum").write_text(str(pl.concat(frames).select(pl.all().unique().len()).collect()))
        return {}

    return Stage("counting", 1, inputs, ["sum"], work)


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path, "r1", date(2024, 3, 1), Console(file=StringIO()))
    table(run.resolve("tables:events"))
    table(run.resolve("sales.parquet"))
    return run


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tables:events", r"tables/events\.parquet: damaged, so stage counting .*import the tables again"),
        ("sales.parquet", r"r1/sales\.parquet: damaged, so stage counting .*delete it and start the same"),
    ],
)
def test_the_damaged_one_of_a_stages_tables_is_named_with_the_remedy(run, name, said):
    damage(run.resolve(name))
    with pytest.raises(RunError, match=said):
        run.execute([counting("tables:events", "sales.parquet")])
    assert run.record("counting") is None
    table(run.resolve(name))
    run.execute([counting("tables:events", "sales.parquet")])
    assert run.record("counting") is not None


def test_a_defect_of_a_stage_whose_tables_are_whole_stays_what_it_is(run):
    def work(context: StageContext) -> Mapping[str, object]:
        pl.read_parquet(context.source("sales.parquet")).select("no such column")
        return {}

    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        run.execute([Stage("wrong", 1, ["sales.parquet"], [], work)])
