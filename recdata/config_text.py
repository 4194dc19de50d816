"""Owns the documented default config: every key with the comment that stands above it in its class."""

from __future__ import annotations

import inspect
import json
import re
from datetime import date
from importlib.metadata import entry_points

import msgspec

from recdata.config import ROOMS, RoomConfig

ENTRY_POINT_GROUP = "recsvc.config"


def room_configs() -> dict[str, type[RoomConfig]]:
    """Returns the config class of each room that can be imported here, in the order of `ROOMS`."""
    classes: dict[str, type[RoomConfig]] = {}
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: ROOMS.index(entry.name)):
        try:
            classes[entry.name] = entry.load()
        except ModuleNotFoundError:
            continue  # a serve-only install has no training libraries
    return classes


def config_text(classes: dict[str, type[RoomConfig]]) -> str:
    """Returns a TOML document with every key of every room at its default, each with its comment."""
    return "\n".join(_table(name, kind()) for name, kind in classes.items())


def key_comments(kind: type[RoomConfig]) -> dict[str, str]:
    """Returns each key's comment lines, as they stand above it in the class's source."""
    comments: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not (isinstance(base, type) and issubclass(base, RoomConfig)) or base is RoomConfig:
            continue
        pending: list[str] = []
        for line in inspect.getsource(base).splitlines():
            text = line.strip()
            if text.startswith("#"):
                pending.append(text)
                continue
            if (match := re.match(r"(\w+):", text)) and match[1] in kind.__struct_fields__ and pending:
                comments[match[1]] = "\n".join(pending)
            pending = []
    return comments


def _table(path: str, config: RoomConfig) -> str:
    comments = key_comments(type(config))
    lines, tables = [f"[{path}]"], []
    for name in config.__struct_fields__:
        value = getattr(config, name)
        if isinstance(value, RoomConfig):
            tables.append(_table(f"{path}.{name}", value))
            continue
        if name in comments:
            lines.append(comments[name])
        lines.append(f"# {name} =" if value is None else f"{name} = {_literal(value)}")
    return "\n".join([*lines, "", *tables])


def _literal(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    plain = msgspec.to_builtins(value)
    if isinstance(plain, dict):
        inner = ", ".join(f"{json.dumps(str(key))} = {_literal(part)}" for key, part in plain.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(plain, (list, tuple)):
        return f"[{', '.join(_literal(part) for part in plain)}]"
    return json.dumps(plain, ensure_ascii=False)
