from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from recdata.cli import recsvc
from recdata.errors import ConfigError
from recdata.tables import read_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    (source / "items.csv").write_text("item_id,title,category\na,Apple,Food\n")
    (source / "events.csv").write_text("sku,user_id,event_type,event_time\na,u,view,2025-03-01\n")
    (tmp_path / "mapping.toml").write_text('[tables.events]\ncolumns.item_id = "sku"\n')
    return tmp_path


def call(folder: Path, *arguments: str, before: Sequence[str] = ()):
    return CliRunner().invoke(recsvc, ["--home", str(folder / "home"), *before, "import", *arguments])


def test_the_verb_imports_with_a_mapping_and_prints_the_counts(folder: Path) -> None:
    result = call(folder, "--from", str(folder / "source"), "--mapping", str(folder / "mapping.toml"))
    assert result.exit_code == 0, result.output
    assert "events" in result.output
    assert "kept" in result.output
    assert read_table(folder / "home", "events")["item_id"].to_list() == ["a"]


@pytest.mark.parametrize("now", ["soon", "2026-01-01T00:00:00"])
def test_a_now_that_is_no_moment_is_an_error(folder: Path, now: str) -> None:
    result = call(folder, "--from", str(folder / "source"), "--now", now)
    assert isinstance(result.exception, ConfigError)
    assert now in str(result.exception)


def test_events_after_now_are_rejected(folder: Path) -> None:
    (folder / "recsvc.toml").write_text("[data]\nmax_reject_share = 1.0\n")
    arguments = ["--from", str(folder / "source"), "--mapping", str(folder / "mapping.toml")]
    config = ["--config", str(folder / "recsvc.toml")]
    result = call(folder, *arguments, "--now", "2025-03-01T07:59:00+08:00", before=config)
    assert "no usable row" in str(result.exception)
    assert "rejected: time_in_future" in result.output


def test_a_mapping_that_is_not_there_is_named_as_such(folder: Path) -> None:
    result = call(folder, "--from", str(folder / "source"), "--mapping", str(folder / "none.toml"))
    assert result.exit_code == 2
    assert "does not exist" in result.output
