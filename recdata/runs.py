"""Owns the run folder: stages with fingerprints, so that a job that died is run again and goes on.

A stage is skipped when its record in the run folder carries the same fingerprint: its name and version,
the config that decides it, and the content of its inputs. Outputs are written to a side folder and
renamed into place; the record is written last, so a kill at any moment leaves either the old
state or work that is done again.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from recdata.errors import RunError
from recdata.memory import PeakMemory

HASH_BLOCK_BYTES = 1 << 20


class OutputRecord(msgspec.Struct, frozen=True):
    """What is remembered of one output, so that its content need not be hashed again."""

    size: int
    mtime_ns: int
    digest: str


class StageRecord(msgspec.Struct, frozen=True):
    """What a finished stage leaves in the run folder as `stages/<name>.json`."""

    name: str
    fingerprint: str
    outputs: dict[str, OutputRecord]
    seconds: float
    peak_memory_mb: float
    summary: dict[str, object] = {}


@dataclass(frozen=True, slots=True)
class StageContext:
    """What a stage's work is given: where to read, where to write, how to show progress."""

    run: RunFolder
    scratch: Path
    progress: Progress
    console: Console

    def source(self, name: str) -> Path:
        """Returns the path of an artefact of an earlier stage (or `tables:NAME` of the input tables)."""
        return self.run.resolve(name)

    def target(self, name: str) -> Path:
        """Returns where this stage must write its output; it is moved into place when the stage ends."""
        return self.scratch / name

    @contextmanager
    def bar(self, description: str, *, total: int) -> Iterator[Callable[[int], None]]:
        """Shows a progress bar; call what it yields with the number of steps done."""
        task = self.progress.add_task(description, total=total)
        try:
            yield lambda steps: self.progress.advance(task, steps)
        finally:
            self.progress.remove_task(task)


@dataclass(frozen=True, slots=True)
class Stage:
    """One link of the chain.

    Attributes:
        name: unique in the chain.
        version: raise it when the work's meaning changes, so that old outputs are made again.
        inputs: artefact file names, or `tables:NAME` for an input table (absent optional ones are fine).
        outputs: artefact file names that the work must write.
        work: does it; what it returns is kept in the record as a summary (JSON-able).
        config: whatever of the configuration decides the outcome.
    """

    name: str
    version: int
    inputs: Sequence[str]
    outputs: Sequence[str]
    work: Callable[[StageContext], Mapping[str, object]]
    config: object = None


def needed(chain: Sequence[Stage], names: Collection[str]) -> list[Stage]:
    """Returns the named stages of a chain and all in it that they need, in the chain's order."""
    by_output = {output: stage for stage in chain for output in stage.outputs}
    found: set[str] = set()
    waiting = [stage for stage in chain if stage.name in names]
    while waiting:
        stage = waiting.pop()
        found.add(stage.name)
        waiting += [by_output[name] for name in stage.inputs if name in by_output]
    return [stage for stage in chain if stage.name in found]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One nightly job's folder below `home/runs`; `as_of` is the first day that is not in the data."""

    home: Path
    run_id: str
    as_of: date
    console: Console = field(default_factory=lambda: Console(stderr=True))

    @property
    def path(self) -> Path:
        """Returns the run's folder."""
        return self.home / "runs" / self.run_id

    def resolve(self, name: str) -> Path:
        """Returns the path of an artefact by name; `tables:events` is the checked input table."""
        if name.startswith("tables:"):
            return self.home / "tables" / f"{name.removeprefix('tables:')}.parquet"
        return self.path / name

    def record(self, stage: str) -> StageRecord | None:
        """Returns what the stage left, or None where it has not finished (or its record is unreadable)."""
        try:
            return msgspec.json.decode(self._record_path(stage).read_bytes(), type=StageRecord)
        except (OSError, msgspec.DecodeError):
            return None

    def keep(self, record: StageRecord) -> None:
        """Stores what a piece of work before the chain cost, beside the stages' records."""
        write_atomic(self._record_path(record.name), msgspec.json.format(msgspec.json.encode(record)))

    def forget(self, stage: str) -> None:
        """Deletes a stage's record, so that the stage is done again."""
        self._record_path(stage).unlink(missing_ok=True)

    def execute(self, stages: Sequence[Stage]) -> list[StageRecord]:
        """Runs each stage that is not done yet, in order, and returns every stage's record.

        Raises:
            RunError: another job is at work in this home, a file cannot be read or written (the disk is
                full), or a stage did not write an output it promised.
        """
        with alone(self.home):
            try:
                return self._execute(stages)
            except Exception as error:
                if is_disk_full(error):
                    remedy = "make room, then start the same job again: it goes on where it stopped"
                    raise RunError(f"{self.path}: the disk is full ({error}); {remedy}") from error
                if isinstance(error, OSError):
                    remedy = "mend it, then start the same job again: it goes on where it stopped"
                    raise RunError(f"{self.path}: cannot be worked in ({error}); {remedy}") from error
                raise

    def _execute(self, stages: Sequence[Stage]) -> list[StageRecord]:
        records = []
        # What earlier stages in this chain wrote: their digests are in their records already.
        known: dict[str, str] = {}
        for number, stage in enumerate(stages, 1):
            fingerprint = self._fingerprint(stage, known)
            record = self.record(stage.name)
            label = f"[{number}/{len(stages)}] {stage.name}"
            if record is not None and record.fingerprint == fingerprint and self._intact(record):
                self.console.print(f"{label}: already done", style="dim")
            else:
                record = self._run(stage, fingerprint, label)
            known |= {name: output.digest for name, output in record.outputs.items()}
            records.append(record)
        return records

    def _record_path(self, stage: str) -> Path:
        return self.path / "stages" / f"{stage}.json"

    def _fingerprint(self, stage: Stage, known: Mapping[str, str]) -> str:
        content = msgspec.json.encode(
            {
                "name": stage.name,
                "version": stage.version,
                "as_of": self.as_of,
                "config": msgspec.to_builtins(stage.config),
                "inputs": {name: known.get(name) or digest_file(self.resolve(name)) for name in stage.inputs},
            },
            order="deterministic",
        )
        return hashlib.sha256(content).hexdigest()

    def _intact(self, record: StageRecord) -> bool:
        for name, output in record.outputs.items():
            path = self.resolve(name)
            try:
                stat = path.stat()
            except OSError:
                return False
            if (stat.st_size, stat.st_mtime_ns) == (output.size, output.mtime_ns):
                continue
            if digest_file(path) != output.digest:  # a copied folder has other times and the same content
                return False
        return True

    def _run(self, stage: Stage, fingerprint: str, label: str) -> StageRecord:
        scratch = self.path / f".{stage.name}.part"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        started = time.monotonic()
        with PeakMemory() as memory, job_progress(self.console, label) as progress:
            try:
                summary = stage.work(StageContext(self, scratch, progress, self.console))
            except BaseException as error:
                if not is_disk_full(error):
                    # Here and not above: the server reads runs too, and is installed without Polars.
                    from recdata.damage import blame_damage

                    blame_damage(error, stage.name, map(self.resolve, stage.inputs))
                raise
        seconds = time.monotonic() - started
        outputs = {name: self._move(scratch / name, stage.name) for name in stage.outputs}
        record = StageRecord(
            name=stage.name,
            fingerprint=fingerprint,
            outputs=outputs,
            seconds=round(seconds, 3),
            peak_memory_mb=round(memory.peak_mb, 1),
            summary=dict(summary),
        )
        self.keep(record)
        shutil.rmtree(scratch, ignore_errors=True)
        self.console.print(f"{label}: {seconds:.1f} s, peak {memory.peak_mb:.0f} MB")
        return record

    def _move(self, made: Path, stage: str) -> OutputRecord:
        if not made.is_file():
            raise RunError(f"stage {stage} did not write {made.name}; this is a defect, please report it")
        final = self.path / made.name
        digest = digest_file(made)
        made.replace(final)
        stat = final.stat()
        return OutputRecord(size=stat.st_size, mtime_ns=stat.st_mtime_ns, digest=digest)


def digest_file(path: Path) -> str:
    """Returns the sha256 of a file's content in hex, or "absent" where there is no such file."""
    if not path.is_file():
        return "absent"
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_atomic(path: Path, content: bytes) -> None:
    """Writes a small file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def stage_table(records: Sequence[StageRecord], *, title: str) -> Table:
    """Returns the table of seconds and peak memory by stage that the nightly job ends with."""
    table = Table(title=title)
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    table.add_column("peak memory, MB", justify="right")
    for record in records:
        table.add_row(record.name, f"{record.seconds:.1f}", f"{record.peak_memory_mb:.0f}")
    table.add_section()
    peak = max((record.peak_memory_mb for record in records), default=0.0)
    table.add_row("all", f"{sum(record.seconds for record in records):.1f}", f"{peak:.0f}")
    return table


def is_disk_full(error: BaseException) -> bool:
    """Returns whether a file could not be written to its end (Polars and NumPy tell it in words)."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return True
    told = ("No space left", "File too large", "quota exceeded", " requested and ")  # the last: NumPy's
    return any(words in str(error) for words in told)


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Holds a home folder for one job: imports and runs exclude each other.

    Raises:
        RunError: another job is at work in this home, or it cannot be written.
    """
    folder = home / "runs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({error}); mend it or give another --home") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"{folder}: another job is at work here; wait for it, or give another --home"
            ) from None
        yield


def job_progress(console: Console, label: str) -> Progress:
    """Returns a progress display that ends without a trace; nothing where there is no terminal."""
    columns = (
        TextColumn(label),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
