"""Owns the gate itself: everything that is asked of a new snapshot, the answer, and where it is kept."""

from __future__ import annotations

import time
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from rich.console import Console

from recdata.artefacts import read_artefact
from recdata.errors import GateRefusedError, SnapshotError
from recdata.releases import Releases
from recdata.runs import RunFolder, write_atomic
from recdata.snapshot import Snapshot
from training.evaluate import EvaluateConfig
from training.gate.checks import Check, GateReport, Verdict, gate_table, number
from training.gate.config import GateConfig
from training.gate.measures import measure, sample_of
from training.gate.quality import Quality, judge_quality
from training.gate.recipe import RecordedRecipe
from training.gate.sanity import Sight, sanity_checks

GATE_NAME = "gate.json"


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What a gate judges by.

    Attributes:
        config: the tolerances.
        evaluate: how quality is judged.
        recipe: of the new snapshot.
        force: the reason for publishing whatever the checks say; "" where there is none.
    """

    config: GateConfig
    evaluate: EvaluateConfig
    recipe: RecordedRecipe
    force: str = ""


@dataclass(slots=True)
class Gate:
    """Judges one run's snapshot: quality before it is written, the rest when it lies there.

    Attributes:
        run: whose snapshot it is.
        settings: what it is judged by.
        console: where the verdict is shown.
        report: the answer; None before `approve`.
    """

    run: RunFolder
    settings: GateSettings
    console: Console
    report: GateReport | None = None
    _seconds: float = 0.0
    _quality: Quality = field(default_factory=lambda: Quality([], []))

    def judge_quality(self) -> None:
        """Compares quality with the live snapshot's; a changed recipe takes as long as two evaluations."""
        started = time.monotonic()
        live, _ = _open_live(Releases(self.run.home))
        manifest = None
        if live is not None:
            manifest = live.manifest
            live.close()
        settings = self.settings
        self._quality = judge_quality(self.run, manifest, settings.recipe, settings.evaluate, settings.config)
        self._seconds += time.monotonic() - started

    def approve(self, new: Snapshot) -> str:
        """Returns "" where the snapshot may serve, or the reason for which it is forced to.

        Raises:
            GateRefusedError: a check failed and nothing is forced; `gate.json` says which.
        """
        started = time.monotonic()
        live_id, checks, notes = self._compared(new)
        failed = [check for check in checks if not check.held]
        verdict: Verdict = "published"
        if failed:
            verdict = "forced" if self.settings.force else "refused"
        self._seconds += time.monotonic() - started
        self.report = GateReport(
            snapshot_id=new.manifest.snapshot_id,
            live_id=live_id,
            verdict=verdict,
            forced=self.settings.force if verdict == "forced" else "",
            notes=notes,
            checks=checks,
            seconds=round(self._seconds, 3),
        )
        self._show(self.report)
        if verdict == "refused":
            self.store(self.run.resolve(GATE_NAME))
            raise GateRefusedError(_refusal(self.report, self.run.resolve(GATE_NAME)))
        return self.report.forced

    def store(self, path: Path) -> None:
        """Writes the report, atomically."""
        write_atomic(path, msgspec.json.format(msgspec.json.encode(self.report)))

    def _compared(self, new: Snapshot) -> tuple[str | None, list[Check], list[str]]:
        """Returns the live snapshot's id, every check, and what could not be compared."""
        config, manifest, notes = self.settings.config, new.manifest, self._quality.notes
        releases = Releases(self.run.home)
        live, note = _open_live(releases)
        with nullcontext() if live is None else closing(live):
            if live is not None and live.manifest.snapshot_id == manifest.snapshot_id:
                return manifest.snapshot_id, [], ["this snapshot serves already: there is nothing to decide"]
            users = read_artefact(self.run.resolve("users.parquet"), "users")
            sample = sample_of(users, config.sample_users, seed=config.seed)
            sights = [
                Sight(each.manifest, measure(each, sample, length=config.list_length))
                for each in (new, live)
                if each is not None
            ]
        if live is None:
            return None, [*self._quality.checks, *sanity_checks(None, sights[0], config)], [*notes, note]
        checks = [*self._quality.checks, *sanity_checks(sights[1], sights[0], config)]
        return live.manifest.snapshot_id, checks, notes

    def _show(self, report: GateReport) -> None:
        for note in report.notes:
            self.console.print(f"   gate: {note}", style="yellow", markup=False)
        if report.failed:
            self.console.print(gate_table(report))
            return
        against = f"against {report.live_id}" if report.live_id else "by itself"
        self.console.print(
            f"   gate: {len(report.checks)} checks held {against}, {report.seconds:.1f} s", style="dim"
        )


def _open_live(releases: Releases) -> tuple[Snapshot | None, str]:
    """Returns the live snapshot, checked, or None and why there is none to compare with."""
    try:
        if releases.current_id() is None:
            return None, "nothing is live yet, so there is nothing to compare with"
        return releases.open_current(), ""
    except SnapshotError as error:
        return None, f"the live snapshot cannot be read, so there is nothing to compare with: {error}"


def _refusal(report: GateReport, path: Path) -> str:
    failed = ", ".join(f"{each.name} {number(each.new)} (asked: {each.tolerance})" for each in report.failed)
    kept = f"{report.live_id} goes on serving" if report.live_id else "nothing is published"
    return (
        f"snapshot {report.snapshot_id} was refused: {failed}; {kept}. Mend the data or the config and run "
        f"`recsvc publish` again, or publish it as it is with `--force REASON`; {path} holds every check"
    )
