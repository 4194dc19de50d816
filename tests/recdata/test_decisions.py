from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from recdata.cli import recsvc
from recdata.decisions import Decision, DecisionLog
from recdata.errors import GateRefusedError
from recdata.releases import Releases
from recdata.snapshot import Manifest, Snapshot
from recdata.snapshot.reader import read_manifest
from tests.recdata.conftest import write_small


def publish(home: Path, title: str, answer: str = "", *, refuse: bool = False) -> Manifest:
    def approve(snapshot: Snapshot) -> str:
        assert snapshot.item(0).title == title
        if refuse:
            raise GateRefusedError(f"{title} is worse")
        return answer

    return Releases(home).publish(lambda writer: write_small(writer, title=title), approve=approve)


def listed(home: Path) -> str:
    done = CliRunner().invoke(recsvc, ["--home", str(home), "snapshots", "list"], catch_exceptions=False)
    return done.output


def test_a_refused_snapshot_leaves_nothing_but_a_line_in_the_log(tmp_path: Path) -> None:
    live = publish(tmp_path, "Tea")
    with pytest.raises(GateRefusedError, match="Coffee is worse"):
        publish(tmp_path, "Coffee", refuse=True)
    releases = Releases(tmp_path)
    assert (releases.current_id(), releases.ids()) == (live.snapshot_id, [live.snapshot_id])
    assert not list(releases.root.glob(".*.part"))
    published, refused = releases.log.read()
    assert (published.verdict, published.live_id, published.snapshot_id) == (
        "published",
        None,
        live.snapshot_id,
    )
    assert (refused.verdict, refused.live_id, refused.reason) == (
        "refused", live.snapshot_id, "Coffee is worse",
    )  # fmt: skip
    assert "Coffee is worse" in listed(tmp_path)


def test_the_reason_of_a_forced_one_is_in_manifest_log_and_list(tmp_path: Path) -> None:
    publish(tmp_path, "Tea")
    forced = publish(tmp_path, "Coffee", "the buyer [Li] asked")
    assert forced.forced == "the buyer [Li] asked"
    assert read_manifest(Releases(tmp_path).folder(forced.snapshot_id)) == forced
    assert [each.verdict for each in Releases(tmp_path).log.read()] == ["published", "forced"]
    assert "[Li]" in listed(tmp_path)


def test_a_snapshot_that_lies_there_already_is_marked_as_forced_too(tmp_path: Path) -> None:
    publish(tmp_path, "Tea")
    publish(tmp_path, "Coffee")
    publish(tmp_path, "Tea", "back to tea")
    releases = Releases(tmp_path)
    assert releases.open_current().manifest.forced == "back to tea"
    assert len(releases.ids()) == 2


def test_publishing_what_serves_already_adds_no_line(tmp_path: Path) -> None:
    publish(tmp_path, "Tea")
    publish(tmp_path, "Tea")
    assert len(Releases(tmp_path).log.read()) == 1


def test_a_refusal_is_not_listed_after_a_later_publish(tmp_path: Path) -> None:
    publish(tmp_path, "Tea")
    with pytest.raises(GateRefusedError):
        publish(tmp_path, "Coffee", refuse=True)
    publish(tmp_path, "Water")
    assert "Coffee is worse" not in listed(tmp_path)


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    manifest = publish(tmp_path, "Tea")
    log = DecisionLog(Releases(tmp_path).log.path)
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + whole[:20])
    log.add(Decision.of(manifest, live_id=None, reason="", refused=True))
    assert [each.verdict for each in log.read()] == ["published", "refused"]
