from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from recdata.cli import recsvc
from recdata.errors import SnapshotNotFoundError
from recdata.releases import Releases
from recdata.snapshot.writer import MANIFEST_FILE
from tests.recdata.conftest import write_small


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for title in ("Tea", "Coffee"):
        Releases(tmp_path).publish(lambda writer, title=title: write_small(writer, title=title))
    return tmp_path


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(recsvc, ["--home", str(home), "snapshots", *words], env={"COLUMNS": "80"})


def test_the_list_shows_whole_ids_and_marks_the_serving_one(home: Path) -> None:
    old, new = Releases(home).ids()
    lines = run(home, "list").output.splitlines()
    assert any(old in line and "serving" not in line for line in lines)
    assert any(new in line and "serving" in line for line in lines)


def test_an_unusable_snapshot_stands_in_the_list_with_its_reason(home: Path) -> None:
    old, _ = Releases(home).ids()
    (home / "snapshots" / old / MANIFEST_FILE).write_text("{")
    output = run(home, "list").output
    assert "unusable" in output
    assert "cannot be read" in output


def test_an_empty_list_says_how_to_get_a_snapshot(tmp_path: Path) -> None:
    assert "recsvc nightly" in run(tmp_path, "list").output


def test_show_without_a_snapshot_says_that_none_serves(tmp_path: Path) -> None:
    shown = run(tmp_path, "show")
    assert isinstance(shown.exception, SnapshotNotFoundError)
    assert "no snapshot serves in" in str(shown.exception)


def test_show_tells_everything_and_json_is_the_manifest(home: Path) -> None:
    new = Releases(home).current_id()
    assert new is not None
    assert "metrics.ndcg@20" in run(home, "show").output
    assert f'"snapshot_id": "{new}"' in run(home, "show", "--json").output


def test_activate_rolls_back_and_prune_keeps_what_serves(home: Path) -> None:
    old, new = Releases(home).ids()
    assert f"serving: {old}" in run(home, "activate", old).output
    assert "deleted: none" in run(home, "prune", "--keep", "1").output
    run(home, "activate", new)
    assert f"deleted: {old}" in run(home, "prune", "--keep", "1").output
