"""Owns the one console command, `recsvc`; its verbs come from the rooms through entry points."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click
from rich.console import Console

from recdata.errors import RecsvcError

VERBS = "recsvc.commands"  # the group of entry points
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


class Verbs(click.Group):
    """The rooms' verbs, each imported when it is asked for: one that asks a server needs no trainer."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the verbs' names; those whose libraries are not installed are left out by `get_command`."""
        return sorted({*super().list_commands(ctx), *(entry.name for entry in entry_points(group=VERBS))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns a verb, or None where there is none, or its libraries are not installed."""
        if cmd_name not in self.commands:
            for entry in entry_points(group=VERBS, name=cmd_name):
                if (command := _load(entry)) is not None:
                    self.add_command(command, cmd_name)
        return super().get_command(ctx, cmd_name)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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


def main() -> None:
    """Runs the command; what goes wrong outside of us ends as one line on stderr and an exit code.

    Our own errors have their own codes, a file or network that refuses is 1, wrong arguments are 2,
    Ctrl-C is 130.
    """
    try:
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


def _load(entry: EntryPoint) -> click.Command | None:
    try:
        command: click.Command = entry.load()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in {"recdata", "recsvc", "selection", "training"}:
            raise
        return None  # a serve-only install has no training libraries, so it has no training verbs
    return command


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
