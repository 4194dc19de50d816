"""The gate on whole nights of a small shop: worse recipes, broken data, force, and what is kept of it."""

from __future__ import annotations

import csv
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from recdata.errors import GateRefusedError
from recdata.importing import import_tables
from recdata.releases import Releases
from recdata.snapshot.writer import SNAPSHOT_FILE
from tests.shop import NOW, SMALL_CONFIG, Shop
from training.gate import GateReport, recipe_of
from training.pipeline import NightlyConfig, execute, nightly_stages, open_run

# The last table of the small config is that of the forecast; without Prophet a night takes two seconds.
CONFIG = f"""
{SMALL_CONFIG.rstrip()}
min_prophet_days = 1000
processes = 1

[training.evaluate]
k = 3
"""
#: Lists without anything that was bought before: far from what these shoppers buy.
WORSE = """
[training.ranking]
max_repeat_share = 0.0
"""
#: So that nothing but quality speaks against a recipe that turns every list over.
QUALITY_ONLY = """
[training.gate]
list_length = 3
min_overlap = 0.0
max_user_coverage_drop = 1.0
min_user_coverage = 0.0
max_catalogue_coverage_drop = 1.0
"""
OTHER = """
[training.similar]
similar_per_item = 3
"""


def import_shop(home: Path, shop: Shop) -> None:
    source = home / "source"
    shutil.rmtree(source, ignore_errors=True)
    import_source(home, shop.write(source))


def import_source(home: Path, source: Path) -> None:
    config = NightlyConfig.load(None)
    import_tables(source, None, home, config.data, now=NOW, console=Console(file=StringIO()))


def night(home: Path, *more: str, force: str = "", as_of: date | None = None) -> tuple[GateReport, str]:
    """Runs a night with the tests' config and more tables; returns the gate's report, and the output."""
    path = home / "recsvc.toml"
    path.write_text("\n".join([CONFIG, *more]))
    config, output = NightlyConfig.load(path), StringIO()
    run = open_run(home, config, as_of=as_of, console=Console(file=output, width=160))
    execute(run, nightly_stages(config, force=force))
    return report_of(home), output.getvalue()


def publish_command(home: Path) -> list[str]:
    config = home / "recsvc.toml"
    return [sys.executable, "-m", "recdata", "--home", str(home), "--config", str(config), "publish"]


def report_of(home: Path) -> GateReport:
    newest = max(home.glob("runs/2*/gate.json"), key=lambda path: path.stat().st_mtime_ns)
    return msgspec.json.decode(newest.read_bytes(), type=GateReport)


def failed(report: GateReport) -> set[str]:
    return {check.name for check in report.failed}


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("live")
    import_shop(home, Shop())
    night(home)
    return home


@pytest.fixture
def home(tmp_path: Path, first_night: Path) -> Path:
    """Returns a home folder of its own in which a night has been published."""
    return Path(shutil.copytree(first_night, tmp_path / "home"))


def test_the_first_night_is_asked_what_can_be_asked_of_it_alone(home: Path) -> None:
    report = report_of(home)
    assert (report.verdict, report.live_id) == ("published", None)
    assert {check.name for check in report.checks} == {
        "ndcg × bestsellers, all items", "items", "shoppers", "items that can be sold", "forecasts",
        "lists that are empty", "lists that are short", "user coverage", "catalogue coverage",
        "shoppers without a vector",
    }  # fmt: skip
    assert all(check.live is None for check in report.checks)
    assert [note for note in report.notes if "nothing is live yet" in note]


def test_a_first_night_that_is_not_fit_to_serve_is_not_published(tmp_path: Path) -> None:
    import_shop(tmp_path, Shop())
    with pytest.raises(GateRefusedError, match="nothing is published"):
        night(tmp_path, "[training.gate]\nmin_ratio_to_bestsellers = 50.0")
    assert Releases(tmp_path).current_id() is None
    assert failed(report_of(tmp_path)) == {"ndcg × bestsellers, all items"}
    night(tmp_path)
    assert Releases(tmp_path).current_id() is not None


def test_a_worse_recipe_is_refused_each_time_and_a_mended_one_is_published(home: Path) -> None:
    live = Releases(home).current_id()
    for _ in range(2):
        with pytest.raises(GateRefusedError, match=f"{live} goes on serving"):
            night(home, WORSE, QUALITY_ONLY)
        assert Releases(home).current_id() == live
        report = report_of(home)
        assert (report.verdict, report.live_id) == ("refused", live)
        assert "ndcg, all items" in failed(report)
        assert all("items" in name or "never" in name for name in failed(report))
    assert [each.verdict for each in Releases(home).log.read()] == ["published", "refused", "refused"]
    assert len(Releases(home).ids()) == 1
    report, output = night(home, OTHER, QUALITY_ONLY)
    assert (report.verdict, report.live_id, failed(report)) == ("published", live, set())
    assert "checks held against" in output
    assert Releases(home).current_id() == report.snapshot_id != live


def test_lists_turned_over_are_refused_though_quality_be_tolerated(home: Path) -> None:
    tolerant = "[training.gate]\nlist_length = 3\nmax_quality_drop = 1.0\nmin_ratio_to_bestsellers = 0.0"
    with pytest.raises(GateRefusedError, match="overlap"):
        night(home, WORSE, tolerant)
    assert failed(report_of(home)) >= {"overlap of the same shopper's lists"}


def test_a_refusal_tells_every_check_in_one_table(home: Path) -> None:
    config, output = home / "recsvc.toml", StringIO()
    config.write_text(CONFIG + WORSE + QUALITY_ONLY)
    settings = NightlyConfig.load(config)
    run = open_run(home, settings, as_of=None, console=Console(file=output, width=160))
    with pytest.raises(GateRefusedError):
        execute(run, nightly_stages(settings))
    shown = output.getvalue()
    for check in report_of(home).checks:
        assert check.name in shown
    assert "refused" in shown
    assert "failed" in shown


def test_force_publishes_and_the_reason_is_kept(home: Path) -> None:
    live = Releases(home).current_id()
    report, output = night(home, WORSE, QUALITY_ONLY, force="the buyers want new things")
    assert (report.verdict, report.forced) == ("forced", "the buyers want new things")
    assert failed(report)
    assert "forced" in output
    snapshot = Releases(home).open_current()
    assert snapshot.manifest.forced == "the buyers want new things"
    assert snapshot.manifest.snapshot_id == report.snapshot_id != live
    snapshot.close()
    assert Releases(home).log.read()[-1].reason == "the buyers want new things"
    # The way back is an improvement, and needs no force.
    back, _ = night(home, QUALITY_ONLY)
    assert (back.verdict, back.snapshot_id) == ("published", live)


def test_force_where_nothing_fails_leaves_no_mark(home: Path) -> None:
    report, _ = night(home, OTHER, force="just to be sure")
    assert (report.verdict, report.forced) == ("published", "")


def test_the_verdict_has_an_exit_code_of_its_own(home: Path) -> None:
    (home / "recsvc.toml").write_text(CONFIG + WORSE + QUALITY_ONLY)
    command = publish_command(home)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == GateRefusedError.exit_code == 9
    assert "--force REASON" in done.stderr
    done = subprocess.run([*command, "--force", "asked for"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "(serving)" in done.stdout


def test_a_live_snapshot_that_cannot_be_read_does_not_stop_the_night(home: Path) -> None:
    releases = Releases(home)
    path = releases.folder(releases.current_id() or "") / SNAPSHOT_FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    report, output = night(home, OTHER)
    assert (report.verdict, report.live_id) == ("published", None)
    assert "cannot be read" in output
    assert all(check.live is None for check in report.checks)
    releases.open_current().close()


def test_the_same_recipe_on_broken_data_is_refused(home: Path) -> None:
    """A join that gives every purchase to the wrong shopper leaves all counts as they were."""
    source = home / "source"
    with (source / "events.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["user_id"] = f"u{number * 7 % 30}"
    with (source / "events.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    import_source(home, source)
    with pytest.raises(GateRefusedError):
        night(home, QUALITY_ONLY)
    assert "ndcg × bestsellers, all items" in failed(report_of(home))


def test_half_the_shoppers_gone_are_missed(home: Path) -> None:
    import_shop(home, Shop(users=15))
    with pytest.raises(GateRefusedError, match="shoppers"):
        night(home)
    assert {"shoppers", "orders"} <= failed(report_of(home))


def test_ids_that_changed_are_noticed(home: Path) -> None:
    import_shop(home, Shop(prefix="new-"))
    with pytest.raises(GateRefusedError, match="overlap"):
        night(home)


def test_data_older_than_the_live_snapshot_s_are_refused(home: Path) -> None:
    with pytest.raises(GateRefusedError, match="days behind the live data"):
        night(home, as_of=date(2024, 4, 15))


def test_one_more_day_of_the_same_shop_is_published(home: Path) -> None:
    import_shop(home, Shop(days=121))
    report, _ = night(home)
    assert (report.verdict, failed(report)) == ("published", set())
    assert "overlap of the same shopper's lists" in {check.name for check in report.checks}
    assert {"ndcg × bestsellers, all items", "ndcg × own frequency, all items"} <= {
        check.name for check in report.checks if check.live is not None
    }


def test_what_serves_already_is_not_asked_again(home: Path) -> None:
    run = next(home.glob("runs/2*"))
    live = Releases(home).current_id()
    (run / "stages" / "publish.json").unlink()
    report, output = night(home, "[training.gate]\nmin_ratio_to_bestsellers = 50.0")
    assert (report.verdict, report.checks) == ("published", [])
    assert "serves already" in output
    assert Releases(home).current_id() == live


def test_a_manifest_names_its_recipe(home: Path) -> None:
    manifest = Releases(home).open_current().manifest
    recipe = recipe_of(manifest)
    assert recipe is not None
    assert recipe.settings.als.factors == 4
    assert recipe.judged == (3, 28)
    assert recipe.stages.keys() == {"prepare", "als", "ranking", "evaluate"}
    unknown = recipe.encode().replace("factors", "rank")
    assert recipe_of(msgspec.structs.replace(manifest, lineage={"recipe": unknown})) is None
    assert recipe_of(msgspec.structs.replace(manifest, lineage={})) is None


def test_a_live_snapshot_without_a_recipe_is_compared_by_what_it_is(home: Path) -> None:
    releases = Releases(home)
    path = releases.folder(releases.current_id() or "") / "manifest.json"
    manifest = msgspec.json.decode(path.read_bytes())
    del manifest["lineage"]["recipe"]
    path.write_bytes(msgspec.json.encode(manifest))
    report, _ = night(
        home,
        WORSE,
        QUALITY_ONLY.replace("[training.gate]", "[training.gate]\nmax_ratio_drop = 0"),
        OTHER,
        force="x",
    )
    assert [note for note in report.notes if "names no recipe" in note]
    assert "ndcg, all items" not in {check.name for check in report.checks}


def test_a_publish_killed_at_any_moment_leaves_the_old_or_the_new_one(home: Path) -> None:
    live = Releases(home).current_id()
    (home / "recsvc.toml").write_text(CONFIG + OTHER)
    command = publish_command(home)
    seen = set()
    for delay_s in (0.0, 0.1, 0.2, 0.4):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as job:
            while job.poll() is None and not any((home / "snapshots").glob(".*.part")):
                time.sleep(0.001)
            time.sleep(delay_s)
            job.send_signal(signal.SIGKILL)
        seen.add(Releases(home).current_id())
        Releases(home).open_current().close()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    new = Releases(home).current_id()
    assert new != live
    assert seen <= {live, new}
    assert [each.verdict for each in Releases(home).log.read()][-1] == "published"
