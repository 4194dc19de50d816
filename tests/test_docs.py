"""Holds that what a person can use is written down, and that what is written down exists."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from recdata.cli import recsvc
from recdata.config import RoomConfig, load_config
from recdata.config_text import config_text, key_comments, room_configs

ROOT = Path(__file__).parent.parent


def every_command() -> dict[str, click.Command]:
    context = click.Context(recsvc)
    found = {name: recsvc.get_command(context, name) for name in recsvc.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def verbs() -> list[str]:
    names = []
    for name, command in every_command().items():
        children = command.commands if isinstance(command, click.Group) else {}
        names += [f"{name} {child}" for child in children] or [name]
    return names


def kinds(kind: type[RoomConfig]) -> list[type[RoomConfig]]:
    """Returns a config class and those of its sub-tables."""
    parts = [
        type(value)
        for name in kind.__struct_fields__
        if isinstance(value := getattr(kind(), name), RoomConfig)
    ]
    return [kind, *(found for part in parts for found in kinds(part))]


def test_every_verb_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [verb for verb in verbs() if f"`recsvc {verb}" not in readme] == []


def test_every_verb_says_what_it_does() -> None:
    assert [name for name, command in every_command().items() if not command.get_short_help_str()] == []


@pytest.mark.parametrize("kind", [found for room in room_configs().values() for found in kinds(room)])
def test_every_config_key_has_a_comment(kind: type[RoomConfig]) -> None:
    plain = [name for name in kind.__struct_fields__ if not isinstance(getattr(kind(), name), RoomConfig)]
    assert [name for name in plain if name not in key_comments(kind)] == []


def test_the_configuration_page_is_what_the_command_prints() -> None:
    shown = (ROOT / "docs" / "configuration.toml").read_text(encoding="utf-8")
    assert shown == config_text(room_configs()) + "\n", "run: recsvc config > docs/configuration.toml"


def test_the_printed_config_is_the_default_config(tmp_path: Path) -> None:
    path = tmp_path / "recsvc.toml"
    path.write_text(config_text(room_configs()), encoding="utf-8")
    for room, kind in room_configs().items():
        assert load_config(path, room, kind) == kind()


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("demo*.toml")), ids=lambda path: path.name)
def test_the_example_configs_are_valid(path: Path) -> None:
    for room, kind in room_configs().items():
        load_config(path, room, kind)


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    names = {re.match(r"[\w.-]+", each)[0] for each in asked} - {"recsvc"}
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Dependencies")[1]
    assert {name for name in names if not re.search(rf"(\| |, ){re.escape(name)}[ ,]", table)} == set()


def test_the_lock_names_no_address() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_make_help_names_every_verb() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for verb in ("demo", "test", "lint", "proto", "nightly", "serve", "bench"):
        assert re.search(rf"^{verb}\s+\w", shown, re.MULTILINE), verb


def test_the_command_works_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "recdata", "--help"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert "nightly" in done.stdout


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not re.match(r"https?:|mailto:", target):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
