"""Owns the room's verbs: `serve`, and `call` with one sub-verb a method."""

from __future__ import annotations

import os

import click
import msgspec

from recdata.cli import Door, pass_door
from recdata.config import load_config
from recsvc.calling import call
from recsvc.config import ServingConfig


@click.command()
@click.option("--host", help="Address to listen on; overrides [serving] host.")
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; 0 takes a free one and prints it.")
@click.option("--workers", type=click.IntRange(1), help="Processes; overrides [serving] workers.")
@pass_door
def serve(door: Door, host: str | None, port: int | None, workers: int | None) -> None:
    """Answer calls from the published snapshot.

    SIGTERM and Ctrl-C let running calls end, a second one cuts them off; SIGHUP looks for a new snapshot
    at once.
    """
    # grpc's own lines on stderr would stand between the log's JSON lines; what they say reaches us as errors.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from recsvc.log import start_logging
    from recsvc.supervisor import Supervisor

    config = load_config(door.config, "serving", ServingConfig)
    given = {"host": host, "port": port, "workers": workers}
    changes = {key: value for key, value in given.items() if value is not None}
    start_logging()
    supervisor = Supervisor(door.home, msgspec.structs.replace(config, **changes))
    supervisor.run(lambda address: click.echo(f"listening on {address}"))


__all__ = ["call", "serve"]
