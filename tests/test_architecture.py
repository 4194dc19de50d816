"""Holds the direction of imports that ARCHITECTURE.md promises."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "recdata": set(),
    "selection": {"recdata"},
    "training": {"recdata", "selection"},
    "recsvc": {"recdata", "selection"},
}
ONLY_IN = {
    "implicit": {"training"},
    "prophet": {"training"},
    "statsforecast": {"training"},
    "grpc": {"recsvc"},
    "google": {"recsvc"},
    "polars": {"recdata", "training", "selection"},
}
OFFLINE_FLOOR = {
    "recdata.artefacts",
    "recdata.training_artefacts",
    "recdata.selection_artefacts",
    "recdata.tables",
    "recdata.sums",
    "recdata.importing",
    "recdata.demo_source",
}


def imports(path: Path) -> set[str]:
    """Returns the dotted names that a file imports anywhere in it, for typing only or not."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the room"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def sources(room: str) -> list[Path]:
    return [path for path in sorted((ROOT / room).rglob("*.py")) if "recsvc/v1" not in path.as_posix()]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_only_downwards(room: str) -> None:
    assert sources(room)
    for path in sources(room):
        rooms = {name.split(".")[0] for name in imports(path)} & set(MAY_IMPORT)
        assert rooms <= MAY_IMPORT[room] | {room}, f"{path} imports {rooms}"


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_only_in_its_rooms(library: str) -> None:
    for room in MAY_IMPORT:
        if room not in ONLY_IN[library]:
            for path in sources(room):
                assert library not in {name.split(".")[0] for name in imports(path)}, path


def test_the_server_needs_no_offline_library() -> None:
    for path in sources("recsvc"):
        for name in imports(path):
            assert not any(name == module or name.startswith(f"{module}.") for module in OFFLINE_FLOOR), path


def test_the_server_imports_without_the_offline_libraries() -> None:
    """A serve-only install has no Polars, SciPy or implicit; importing the verbs must not ask for them."""
    absent = ["polars", "scipy", "implicit", "prophet", "statsforecast", "pandas", "jinja2", "psutil"]
    code = (
        "import sys\n"
        f"sys.modules |= dict.fromkeys({absent})\n"
        "import recsvc.commands, recsvc.preloaded, recdata.commands, recdata.cli\n"
    )
    imported = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT, capture_output=True)
    assert imported.returncode == 0, imported.stderr.decode()
