import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recdata.errors import TableError
from recdata.tables import read_table


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "recdata", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_with_one_line_and_130_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    source, home = tmp_path / "source", tmp_path / "home"
    source.mkdir()
    (source / "items.csv").write_text("item_id,title,category\na,Apple,Food\n")
    row = "u1,a,view,2025-03-01,one field too many\n"
    (source / "events.csv").write_text("user_id,item_id,event_type,event_time\n" + row * 500_000)
    job = start("--home", home, "import", "--from", source)
    while not (home / ".tables.part").exists():
        assert job.poll() is None
        time.sleep(0.01)
    os.kill(job.pid, signal.SIGINT)
    _, said = job.communicate(timeout=60)
    assert job.returncode == 130
    assert said.strip() == "stopped: what was done is kept; the same command goes on from there"
    assert sorted(path.name for path in home.iterdir()) == ["runs"]


def test_a_file_where_a_folder_should_be_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    job = start("--home", tmp_path / "file" / "home", "import", "--from", tmp_path)
    _, said = job.communicate(timeout=60)
    assert job.returncode == 4
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1


def test_a_table_that_is_no_parquet_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "events.parquet").write_bytes(b"\0" * 300)
    with pytest.raises(TableError, match=r"cannot be read as Parquet.*import the tables again"):
        read_table(tmp_path, "events")
