from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from recdata.errors import RunError
from recdata.runs import RunFolder, Stage, StageContext
from tests.recdata.test_import_safety import files_limited_to


def write_with_polars(path: Path) -> None:
    pl.DataFrame({"x": np.random.default_rng(1).random(100_000)}).write_parquet(path)


def write_with_polars_streaming(path: Path) -> None:
    pl.LazyFrame({"x": np.random.default_rng(1).random(100_000)}).sink_parquet(path)


def write_with_numpy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(100_000))


def write_bytes(path: Path) -> None:
    path.write_bytes(b"x" * 800_000)


@pytest.mark.parametrize(
    "write", [write_with_polars, write_with_polars_streaming, write_with_numpy, write_bytes]
)
@pytest.mark.parametrize("size_bytes", [0, 50_000])
def test_a_full_disk_in_a_stage_is_an_error_with_the_remedy_and_the_job_goes_on_later(
    tmp_path: Path, write, size_bytes: int
) -> None:
    def work(context: StageContext) -> Mapping[str, object]:
        write(context.target("big"))
        return {}

    stages = [Stage("big", 1, [], ["big"], work)]
    run = RunFolder(tmp_path, "r1", date(2024, 3, 1), Console(file=StringIO()))
    with (
        files_limited_to(size_bytes),
        pytest.raises(RunError, match=r"disk is full.*start the same job again"),
    ):
        run.execute(stages)
    assert run.record("big") is None
    run.execute(stages)
    assert run.record("big") is not None


def test_a_file_that_a_stage_cannot_open_is_an_error_that_names_it(tmp_path: Path) -> None:
    def work(context: StageContext) -> Mapping[str, object]:
        context.source("gone.npy").read_bytes()
        return {}

    run = RunFolder(tmp_path, "r1", date(2024, 3, 1), Console(file=StringIO()))
    with pytest.raises(RunError, match=r"gone\.npy.*start the same job again"):
        run.execute([Stage("big", 1, [], ["big"], work)])
