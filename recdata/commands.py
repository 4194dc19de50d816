"""Owns the floor's verbs: `import`, `config`, `snapshots`."""

from __future__ import annotations

import click

commands: list[click.Command] = []
