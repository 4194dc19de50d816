"""The whole job on small shops: ordinary, tiny, odd, and killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import date
from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from rich.console import Console

from recdata.cli import recsvc
from recdata.errors import RunError, TableError
from recdata.foldin import fold_in
from recdata.importing import import_tables
from recdata.releases import Releases
from recdata.runs import StageRecord
from tests.shop import NOW, SMALL_CONFIG, Shop
from training.pipeline import NightlyConfig, execute, nightly_stages, open_run, stages_for

CHAIN = (
    "prepare", "als", "similar", "baskets", "popularity", "ranking", "forecast", "places", "evaluate",
    "evaluation_page", "launches", "outcomes", "prices", "backtest", "select", "assortment", "pilot",
    "ledger", "report", "publish",
)  # fmt: skip


def config_file(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    path = home / "recsvc.toml"
    path.write_text(SMALL_CONFIG)
    return path


def imported(home: Path, shop: Shop) -> NightlyConfig:
    config = NightlyConfig.load(config_file(home))
    folder = shop.write(home / "source")
    import_tables(folder, None, home, config.data, now=NOW, console=Console(file=StringIO()))
    return config


def nightly(home: Path, config: NightlyConfig, *, as_of: date | None = None) -> list[StageRecord]:
    run = open_run(home, config, as_of=as_of, console=Console(file=StringIO()))
    return execute(run, nightly_stages(config))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    nightly(home, imported(home, Shop()))
    return home


def test_the_job_ends_with_a_published_snapshot_that_knows_shop_and_shoppers(undisturbed: Path) -> None:
    snapshot = Releases(undisturbed).open_current()
    assert snapshot.manifest.counts["items"] == 12
    assert snapshot.manifest.counts["users"] == 30
    assert snapshot.manifest.as_of == date(2024, 4, 30)
    user = snapshot.user("u0")
    assert user is not None
    assert user.purchased_rows.size
    assert {snapshot.item(row).category[:6] for row in user.purchased_rows.tolist()} == {"Dept 0"}
    assert snapshot.item(int(user.ranked_rows[0])).category.startswith("Dept 0")
    assert snapshot.ranked_list("best", 28) is not None
    assert snapshot.forecast("total", "") is not None
    assert snapshot.candidate(1) is not None
    snapshot.close()


def test_the_snapshot_holds_what_the_day_needs(undisturbed: Path) -> None:
    snapshot = Releases(undisturbed).open_current()
    manifest = snapshot.manifest
    assert manifest.fold_in is not None
    items, gramian = snapshot.array("item_factors"), snapshot.array("item_gramian")
    for number in range(30):
        user = snapshot.user(f"u{number}")
        assert user is not None
        assert user.interacted_rows.tolist() == user.purchased_rows.tolist()
        folded = fold_in(
            user.interacted_rows, user.confidences, {}, manifest.fold_in, gramian=gramian, factors=items
        )
        assert np.allclose(folded.vector, user.factors, rtol=1e-4, atol=1e-4 * np.abs(user.factors).max())
    purchases = pl.read_parquet(next(undisturbed.glob("runs/2*/purchases.parquet")))
    lines = purchases.select("user_row", "order_id", "item_row").unique()
    assert manifest.counts["orders"] == lines.select("user_row", "order_id").unique().height
    in_orders = lines.group_by("item_row").len().sort("item_row")["len"].to_list()
    assert snapshot.array("item_orders").tolist() == in_orders
    assert (snapshot.together_rows[:, 0] >= 0).any()
    row = snapshot.item_row("i3")
    assert row is not None
    brand = snapshot.facet_rows("brand", "Brand 0")
    assert brand is not None
    assert row in brand.tolist()
    assert (snapshot.array("daily_demand") > 0).all()
    assert manifest.catalogue_at == NOW
    snapshot.close()


def test_the_chain_is_what_the_architecture_says() -> None:
    config = NightlyConfig.load(None)
    assert tuple(stage.name for stage in nightly_stages(config)) == CHAIN
    assert [stage.name for stage in stages_for(config, "popularity")] == ["prepare", "popularity"]


def test_the_same_job_again_does_nothing_and_serves_the_same(undisturbed: Path) -> None:
    config = NightlyConfig.load(undisturbed / "recsvc.toml")
    before = Releases(undisturbed).current_id()
    output = StringIO()
    run = open_run(undisturbed, config, as_of=None, console=Console(file=output))
    execute(run, nightly_stages(config))
    assert output.getvalue().count("already done") == len(CHAIN)
    assert Releases(undisturbed).current_id() == before


def test_a_snapshot_that_was_deleted_is_published_again(undisturbed: Path) -> None:
    releases = Releases(undisturbed)
    before = releases.current_id()
    assert before is not None
    (releases.folder(before) / "snapshot.mdb").unlink()
    nightly(undisturbed, NightlyConfig.load(undisturbed / "recsvc.toml"))
    assert releases.current_id() == before
    releases.open_current().close()


def test_a_job_killed_at_every_stage_ends_with_the_same_snapshot(tmp_path: Path, undisturbed: Path) -> None:
    imported(tmp_path, Shop())
    command = [
        sys.executable, "-m", "recdata", "--home", str(tmp_path), "--config", str(tmp_path / "recsvc.toml"),
        "nightly",
    ]  # fmt: skip
    killed = []
    for stage in CHAIN:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as job:
            while job.poll() is None:
                if any((tmp_path / "runs").glob(f"*/.{stage}.part")):
                    job.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.001)
            killed.append(job.wait())
    # A stage may be over before the signal comes, but not many.
    assert killed.count(-signal.SIGKILL) >= len(CHAIN) // 2
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert Releases(tmp_path).current_id() == Releases(undisturbed).current_id()


@pytest.mark.parametrize(
    "shop",
    [
        Shop(users=1, items=1, days=1),
        Shop(users=1, items=5, days=60),
        Shop(users=5, items=1, days=60),
        Shop(users=5, items=5, days=1),
        Shop(users=4, items=4, days=40, prefix="店铺🛍" * 18),
    ],
    ids=["one of each", "one user", "one item", "one day", "long Unicode ids"],
)
def test_a_shop_however_small_or_odd_is_published(tmp_path: Path, shop: Shop) -> None:
    nightly(tmp_path, imported(tmp_path, shop))
    snapshot = Releases(tmp_path).open_current()
    assert snapshot.manifest.counts["items"] == shop.items
    assert snapshot.item_row(shop.item(0)) == 0
    assert snapshot.user(shop.user(0)) is not None
    snapshot.close()


def test_without_tables_the_job_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="recsvc import"):
        open_run(tmp_path, NightlyConfig.load(None), as_of=None, console=Console(file=StringIO()))


def test_a_day_before_all_data_is_refused_before_a_run_is_begun(tmp_path: Path) -> None:
    config = imported(tmp_path, Shop())
    with pytest.raises(RunError, match="--as-of 2010-01-01: the first event is of"):
        nightly(tmp_path, config, as_of=date(2010, 1, 1))
    assert not list((tmp_path / "runs").glob("*/"))


@pytest.mark.parametrize("verb", ["nightly", "publish"])
def test_a_reason_to_force_is_one(tmp_path: Path, verb: str) -> None:
    said = CliRunner().invoke(recsvc, ["--home", str(tmp_path), verb, "--force", " "])
    assert said.exit_code == 2
    assert "the reason is empty" in said.output


def test_two_jobs_in_one_home_do_not_mix(tmp_path: Path) -> None:
    import fcntl

    config = imported(tmp_path, Shop(users=2, items=2, days=2))
    (tmp_path / "runs").mkdir(exist_ok=True)
    with (tmp_path / "runs" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another job is at work"):
            nightly(tmp_path, config)
