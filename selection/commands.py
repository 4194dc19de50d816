"""Owns the selection's verbs: `select` shows a run's candidates and their tests, `report` makes its page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import click
import polars as pl

from recdata.artefacts import read_artefact, scan_artefact
from recdata.cli import Door, pass_door
from recdata.config import DataConfig, load_config
from recdata.errors import RunError
from recdata.runs import RunFolder, needed
from selection.actions import ACTIONS
from selection.assortment.show import show_assortment
from selection.backtest_table import print_backtest
from selection.candidate_table import selection_table
from selection.config import SelectionConfig
from selection.ledger.table import print_ledger
from selection.local import show_local
from selection.pilot.show import show_pilot
from selection.prices.show import show_prices
from selection.stages import selection_stages
from selection.whatif.answer import answer
from selection.whatif.command import DAY, SHARE, asked_of
from selection.whatif.show import show_whatif
from selection.words import Language


@dataclass(frozen=True, slots=True)
class Room:
    """What every verb works with."""

    run: RunFolder
    config: SelectionConfig
    data: DataConfig

    def make(self, *names: str) -> None:
        """Runs the named stages of this room, and all of this room's that they need."""
        self.run.execute(needed(selection_stages(self.config, self.data), names))


RUN_OPTION = click.option("--run", "run_id", help="Id of the run; the newest one where left out.")


@click.group(invoke_without_command=True)
@RUN_OPTION
@click.option("--action", type=click.Choice(ACTIONS), help="Show items with this action only.")
@click.option("--category", help="Show this category and those below it, as 'A > B'.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to show.")
@click.option(
    "--language",
    type=click.Choice(["en", "zh"]),
    default="en",
    show_default=True,
    help="Of the candidates' table.",
)
@pass_door
@click.pass_context
def select(
    context: click.Context,
    door: Door,
    run_id: str | None,
    action: str | None,
    category: str | None,
    limit: int,
    language: Language,
) -> None:
    """Show what to launch, push, keep, discount and drop."""
    if context.invoked_subcommand is not None:
        return
    room = open_room(door, run_id)
    room.make("select", "backtest")
    rows = scan_artefact(room.run.resolve("selection.parquet"), "selection")
    asked_for = {"action": action, "category": category}
    if action is not None:
        rows = rows.filter(pl.col("action") == action)
    if category is not None:
        inside = (pl.col("category") == category) | pl.col("category").str.starts_with(f"{category} > ")
        rows = rows.filter(inside)
    titles = scan_artefact(room.run.resolve("items.parquet"), "items").select("item_row", "title")
    frame = rows.sort("rank").head(limit).join(titles, on="item_row", how="left").sort("rank").collect()
    if frame.is_empty():
        asked = " and ".join(f"{name} {value!r}" for name, value in asked_for.items() if value is not None)
        door.out.print(f"no item has {asked}; a category is its whole path, as 'A > B'", markup=False)
    else:
        title = f"{'选品' if language == 'zh' else 'selection of'} {room.run.run_id}"
        table = selection_table(frame, currency=room.data.currency, title=title, language=language)
        door.out.print(table)
    _print_backtest(door, room)


@select.command()
@RUN_OPTION
@pass_door
def backtest(door: Door, run_id: str | None) -> None:
    """Show how the rules would have done on past dates."""
    room = open_room(door, run_id)
    room.make("backtest")
    _print_backtest(door, room)


ROWS_OPTION = click.option(
    "--limit", type=click.IntRange(min=1), default=15, show_default=True, help="Rows of each table."
)


@select.command()
@RUN_OPTION
@ROWS_OPTION
@pass_door
def prices(door: Door, run_id: str | None, limit: int) -> None:
    """Show which prices move sales, by category and item, and how many discounts are advised."""
    room = open_room(door, run_id)
    room.make("prices")
    show_prices(door.out, room.run, limit=limit)


@select.command()
@RUN_OPTION
@ROWS_OPTION
@pass_door
def assortment(door: Door, run_id: str | None, limit: int) -> None:
    """Show which items to carry under the limits of the config, and what each limit costs."""
    room = open_room(door, run_id)
    room.make("assortment")
    show_assortment(door.out, room.run, currency=room.data.currency, limit=limit)


@select.command()
@RUN_OPTION
@ROWS_OPTION
@pass_door
def pilot(door: Door, run_id: str | None, limit: int) -> None:
    """Show in which regions to try the picks first, and for how long."""
    room = open_room(door, run_id)
    room.make("pilot")
    show_pilot(door.out, room.run, limit=limit)


@select.command()
@RUN_OPTION
@ROWS_OPTION
@click.option("--channel", default="", help="Channel as in the events; all of them where left out.")
@click.option("--region", default="", help="Region as in the events; all of them where left out.")
@pass_door
def local(door: Door, run_id: str | None, limit: int, channel: str, region: str) -> None:
    """Show what sells next in one channel, one region, or both."""
    room = open_room(door, run_id)
    room.make("select")
    show_local(door.out, room.run, channel=channel, region=region, currency=room.data.currency, limit=limit)


@select.command()
@RUN_OPTION
@pass_door
def ledger(door: Door, run_id: str | None) -> None:
    """Show how the picks of past nights came out."""
    room = open_room(door, run_id)
    room.make("ledger")
    print_ledger(door.out, read_artefact(room.run.resolve("ledger.parquet"), "ledger"), room.data.currency)


@select.command()
@RUN_OPTION
@click.option(
    "--promotion",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="CSV of promotions: item_id, from, to, and if wanted kind and discount.",
)
@click.option("--item", multiple=True, help="Id of an item to promote; may be given again.")
@click.option("--from", "first", type=DAY, help="First day of the promotion of --item.")
@click.option("--to", "last", type=DAY, help="Its last day.")
@click.option("--kind", default="", help="Its kind, as in the promotions; the shop's usual where left out.")
@click.option("--discount", type=SHARE, default=0.0, help="Share of the price that it takes off.")
@ROWS_OPTION
@pass_door
def whatif(
    door: Door,
    run_id: str | None,
    promotion: Path | None,
    item: tuple[str, ...],
    first: datetime | None,
    last: datetime | None,
    kind: str,
    discount: float,
    limit: int,
) -> None:
    """Show what more promotions would bring, beside the forecasts as they are; writes nothing."""
    room = open_room(door, run_id)
    asked = asked_of(promotion, item, first, last, kind=kind, discount=discount)
    found = answer(room.run, asked, room.config.features)
    items = read_artefact(room.run.resolve("items.parquet"), "items")
    show_whatif(door.out, found, items, currency=room.data.currency, limit=limit)


@click.command()
@RUN_OPTION
@pass_door
def report(door: Door, run_id: str | None) -> None:
    """Write a run's report.html and selection.csv."""
    room = open_room(door, run_id)
    room.make("report")
    for name in ("report.html", "selection.csv"):
        door.out.print(str(room.run.resolve(name)), soft_wrap=True)


commands: list[click.Command] = [select, report]


def _print_backtest(door: Door, room: Room) -> None:
    frame = pl.read_parquet(room.run.resolve("backtest.parquet"), glob=False)
    print_backtest(door.out, frame, room.config.features.days())


def find_run(door: Door, run_id: str | None) -> RunFolder:
    """Returns a run folder by id, or the one worked on last.

    Raises:
        RunError: there is no such run, none at all, or it has no forecasts yet.
    """
    folder = door.home / "runs"
    found = sorted(
        (path for path in folder.glob("*") if (path / "forecast_totals.parquet").is_file()),
        key=lambda path: ((path / "forecast_totals.parquet").stat().st_mtime_ns, path.name),
    )
    names = [path.name for path in found]
    if run_id is None and not names:
        raise RunError(f"{folder}: no run with forecasts; start one with `recsvc nightly`")
    if run_id is not None and run_id not in names:
        known = ", ".join(names) or "none"
        raise RunError(f"{folder / run_id}: no such run with forecasts; runs here: {known}")
    name = run_id or names[-1]
    return RunFolder(door.home, name, run_day(folder / name), door.console)


def run_day(folder: Path) -> date:
    """Returns a run's `as_of`: its id begins with the day, else the newest origin of its forecasts is it."""
    try:
        return datetime.strptime(folder.name[:8], "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        pass
    totals = folder / "forecast_totals.parquet"
    newest = read_artefact(totals, "forecast_totals").get_column("origin").max()
    if not isinstance(newest, date):
        raise RunError(f"{totals}: no forecasts, so the run's day is unknown; run `recsvc nightly` again")
    return newest


def open_room(door: Door, run_id: str | None) -> Room:
    """Returns what a verb works with; raises as `find_run` and `load_config` do."""
    return Room(
        run=find_run(door, run_id),
        config=load_config(door.config, "selection", SelectionConfig),
        data=load_config(door.config, "data", DataConfig),
    )
