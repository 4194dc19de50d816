import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from recdata.errors import RunError, TableError
from recdata.runs import alone
from recdata.tables import read_table
from tests.recdata.import_shop import Shop

ITEMS = "item_id,title,category\na,Apple,Food\n"
NAMES = "user_id,item_id,event_type,event_time\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    put(shop, "old")
    return shop


def put(shop: Shop, generation: str, rows: int = 3000) -> None:
    """Writes a source in which every table tells its generation."""
    shop.put("items.csv", ITEMS + f"g,{generation},Food\n")
    days = [f"2025-{n % 12 + 1:02}-{n % 28 + 1:02}" for n in range(rows)]
    shop.put("events.csv", NAMES + "".join(f"{generation}{n},a,view,{day}\n" for n, day in enumerate(days)))


def generations(shop: Shop) -> set[str]:
    titles = read_table(shop.home, "items").filter(item_id="g")["title"].to_list()
    users = read_table(shop.home, "events")["user_id"].str.replace(r"\d+$", "").unique().to_list()
    return {*titles, *users}


@contextmanager
def files_limited_to(size_bytes: int) -> Iterator[None]:
    """Makes the kernel refuse to write any file past a size, as a full disk does."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.parametrize("broken", ["", "one field\n"])
@pytest.mark.parametrize("size_bytes", [0, 100, 4000, 20_000])
def test_a_full_disk_leaves_the_old_tables_and_says_so(shop: Shop, size_bytes: int, broken: str) -> None:
    shop.run()
    put(shop, "new")
    with (shop.source / "events.csv").open("a") as file:
        file.write(broken)
    with files_limited_to(size_bytes), pytest.raises(TableError, match=r"the disk is full.*make room"):
        shop.run()
    assert generations(shop) == {"old"}
    assert not [path for path in shop.home.iterdir() if path.name.endswith(".part")]
    shop.run()
    assert generations(shop) == {"new"}


def test_a_killed_import_leaves_the_old_tables_or_the_new_and_the_next_one_is_right(shop: Shop) -> None:
    shop.run()
    put(shop, "new", 30_000)
    arguments = ["--home", str(shop.home), "import", "--from", str(shop.source)]
    rng = random.Random(7)
    for _ in range(5):
        job = subprocess.Popen(
            [sys.executable, "-m", "recdata", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started = time.monotonic()
        while not (shop.home / ".tables.part").exists() and job.poll() is None:
            assert time.monotonic() - started < 60
            time.sleep(0.001)
        time.sleep(rng.random() * 0.15)
        os.kill(job.pid, signal.SIGKILL)
        job.wait()
        assert generations(shop) in ({"old"}, {"new"})
    shop.run()
    assert generations(shop) == {"new"}
    assert not (shop.home / ".tables.part").exists()


def test_two_imports_at_once_are_refused_but_for_one(shop: Shop) -> None:
    with alone(shop.home), pytest.raises(RunError, match="another job is at work"):
        shop.run()
    shop.run()
    assert generations(shop) == {"old"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_an_error_that_names_it(shop: Shop) -> None:
    (shop.source / "events.csv").chmod(0)
    with pytest.raises(TableError, match=r"events\.csv"):
        shop.run()


def test_a_home_that_is_a_file_is_an_error(shop: Shop) -> None:
    shop.home.write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        shop.run()


def test_a_home_with_blanks_unicode_and_signs_in_its_name_works(shop: Shop) -> None:
    shop.home = shop.home.parent / "mein Heim [1] 家 *?{x}=y"
    shop.run()
    assert generations(shop) == {"old"}


def test_a_parquet_file_below_a_folder_named_like_a_partition_has_no_column_more(shop: Shop) -> None:
    (shop.source / "events" / "user_id=7").mkdir(parents=True)
    pl.read_csv(shop.source / "events.csv").write_parquet(shop.source / "events" / "user_id=7" / "x.parquet")
    (shop.source / "events.csv").unlink()
    shop.run('[tables.events]\nfiles = ["events/*/*.parquet"]\n')
    assert generations(shop) == {"old"}
