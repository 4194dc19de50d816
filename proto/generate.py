"""Owns turning the protos into Python, and checking them: `python proto/generate.py [--check | --release]`.

Without an option it writes `recsvc/v1/` anew, then checks; with `--check` it only checks: that the generated
code is current, that buf's linter has nothing to say, and that no caller of the released contract breaks.
`--release` makes the contract as it stands the released one, `proto/released.binpb`. protoc comes with
grpcio-tools and buf with buf-bin; buf is given images made by protoc, so that neither needs a network.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGE = "recsvc/v1"
#: What the last release promised its callers, as protoc wrote it.
RELEASED = PROTO / "released.binpb"
INIT = '"""The messages and stubs of the service; generated from `proto/` by `make proto`."""\n'


def includes() -> list[str]:
    """Returns protoc's import paths: ours, Google's common protos, and protoc's own."""
    folders = [PROTO]
    for package, up in (("google.type.money_pb2", 3), ("grpc_tools", 1)):
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{package} is not installed; `pip install recsvc[serve,dev]` brings it")
        folder = Path(spec.origin).parents[up - 1]
        folders.append(folder / "_proto" if package == "grpc_tools" else folder)
    return [f"-I{folder}" for folder in folders]


def sources() -> list[str]:
    """Returns our proto files, relative to `proto/`."""
    return sorted(str(path.relative_to(PROTO)) for path in PROTO.glob(f"{PACKAGE}/*.proto"))


def protoc(*options: str) -> None:
    """Runs protoc over our files; its plug-ins lie beside the interpreter.

    Raises:
        SystemExit: protoc refuses; its own words stand above.
    """
    tools = Path(sys.executable).parent
    plugins = [f"--plugin=protoc-gen-{name}={tools / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")]
    command = [sys.executable, "-m", "grpc_tools.protoc", *includes(), *plugins, *options, *sources()]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise SystemExit("protoc refused the files")


def generate(folder: Path) -> None:
    """Writes the generated package below `folder`, as `recsvc/v1/`."""
    protoc(
        f"--python_out={folder}",
        f"--grpc_python_out={folder}",
        f"--mypy_out=quiet:{folder}",
        f"--mypy_grpc_out=quiet:{folder}",
    )
    (folder / PACKAGE / "__init__.py").write_text(INIT, encoding="utf-8")


def write_image(image: Path, *options: str) -> None:
    """Writes the contract as one descriptor set, imports included: what buf reads in place of files."""
    protoc("--include_imports", *options, f"--descriptor_set_out={image}")


def buf(*arguments: str | Path) -> bool:
    """Returns whether buf finds nothing to say, after printing what it says."""
    command = [str(Path(sys.executable).parent / "buf"), *map(str, arguments)]
    command += ["--config", str(PROTO / "buf.yaml")]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def sound(released: Path) -> bool:
    """Returns whether the contract passes the linter and breaks no caller of a released one."""
    with tempfile.TemporaryDirectory() as name:
        image = Path(name) / "image.binpb"
        write_image(image, "--include_source_info")
        linted = buf("lint", image)
        kept = buf("breaking", image, "--against", released)
    if not kept:
        sys.stderr.write(
            "callers of the released contract would break; add a field or a method beside the old one\n"
        )
    return linted and kept


def differences(folder: Path) -> list[str]:
    """Returns the names of files in `recsvc/v1/` that are not what the protos make, sorted."""
    made, kept = folder / PACKAGE, ROOT / PACKAGE
    names = {path.name for side in (made, kept) for path in side.glob("*.py*")}
    _, different, absent = filecmp.cmpfiles(made, kept, sorted(names), shallow=False)
    return sorted(different + absent)


def main() -> int:
    """Generates, checks or releases; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--check", action="store_true", help="compare and lint, write nothing")
    either.add_argument("--release", action="store_true", help="also make this contract the released one")
    parser.add_argument(
        "--against", type=Path, default=RELEASED, metavar="IMAGE", help="the contract that callers rely on"
    )
    options = parser.parse_args()
    check: bool = options.check
    with tempfile.TemporaryDirectory() as name:
        generate(Path(name))
        stale = differences(Path(name))
        if not check and stale:
            shutil.rmtree(ROOT / PACKAGE, ignore_errors=True)
            shutil.copytree(Path(name) / PACKAGE, ROOT / PACKAGE)
    if check and stale:
        sys.stderr.write(f"{PACKAGE} is not current ({', '.join(stale)}); run `make proto`\n")
    clean = sound(options.against)
    if options.release and clean:
        write_image(RELEASED)
    return int(not clean or (check and bool(stale)))


if __name__ == "__main__":
    sys.exit(main())
