"""Lets `python -m recdata` stand for the `recsvc` command."""

from recdata.cli import main

main()
