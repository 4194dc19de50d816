"""Owns the one console command, `recsvc`; its verbs come from the rooms through entry points."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click
from rich.console import Console

from recdata.errors import RecsvcError

ENTRY_POINT_GROUP = "recsvc.commands"
PIPE_WIDTH = 120
# The code of a command that Ctrl-C ended, as shells count it: 128 + SIGINT.
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Door:
    """What every verb is given: where data lives and which config file holds."""

    home: Path
    config: Path | None
    console: Console  # progress and notes, on stderr
    out: Console  # the answer, on stdout


pass_door = click.make_pass_decorator(Door)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var"),
    show_default=True,
    envvar="RECSVC_HOME",
    help="Folder that holds tables, runs and snapshots.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar="RECSVC_CONFIG",
    help="TOML file; without one every key has its default (`recsvc config` prints them).",
)
@click.version_option(package_name="recsvc")
@click.pass_context
def recsvc(context: click.Context, home: Path, config: Path | None) -> None:
    """Recommendations and product selection from one nightly job."""
    context.obj = Door(home=home, config=config, console=_console(stderr=True), out=_console(stderr=False))


def _console(*, stderr: bool) -> Console:
    """Returns a console as wide as the terminal; a file or pipe gets a width that tables fit in."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=PIPE_WIDTH)


def load_commands() -> None:
    """Adds every room's verbs to `recsvc`; a room whose libraries are not installed adds none."""
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        for command in _load(entry):
            recsvc.add_command(command)


def main() -> None:
    """Runs the command; what goes wrong outside of us ends as one line on stderr and an exit code.

    Our own errors have their own codes, a file or network that refuses is 1, wrong arguments are 2,
    Ctrl-C is 130.
    """
    try:
        load_commands()
        code = recsvc(standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        _say("stopped", "what was done is kept; the same command goes on from there")
        code = INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except RecsvcError as error:
        _say("error", str(error))
        code = error.exit_code
    except OSError as error:
        _say("error", f"{error}; mend the file, the folder or the network and try again")
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _say(what: str, text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]{what}:[/] {_plain(text)}")


def _load(entry: EntryPoint) -> list[click.Command]:
    try:
        commands: list[click.Command] = entry.load()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in {"recdata", "recsvc", "selection", "training"}:
            raise
        return []  # a serve-only install has no training libraries, so it has no training verbs
    return commands


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


if __name__ == "__main__":
    main()
