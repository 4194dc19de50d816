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
@pass_door
def serve(door: Door, host: str | None, port: int | None) -> None:
    """Answer calls from the published snapshot."""
    # grpc's own lines on stderr would stand between the log's JSON lines; what they say reaches us as errors.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from recsvc.log import start_logging
    from recsvc.server import Server

    config = load_config(door.config, "serving", ServingConfig)
    changes = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    start_logging()
    server = Server(door.home, msgspec.structs.replace(config, **changes))
    server.start()
    click.echo(f"listening on {server.address}")
    server.wait()


commands: list[click.Command] = [serve, call]
