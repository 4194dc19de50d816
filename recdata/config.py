"""Owns reading `recsvc.toml`: one table a room, checked once at the door, frozen afterwards."""

from __future__ import annotations

import re
import tomllib
import zoneinfo
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from recdata.errors import ConfigError

ROOMS = ("data", "training", "selection", "serving")

PositiveInt = Annotated[int, Meta(ge=1)]
NonNegativeInt = Annotated[int, Meta(ge=0)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegativeFloat = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class RoomConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every room's (and sub-table's) config: frozen, and a misspelt key is an error."""


class DataConfig(RoomConfig, frozen=True):
    """`[data]`: what holds for the tables whoever reads them."""

    # IANA name of the zone whose midnight ends a business day; events themselves are UTC.
    business_timezone: str = "UTC"
    # ISO 4217 code of every price in the tables.
    currency: str = "CNY"
    # Import stops when a table rejects more than this share of its rows.
    max_reject_share: Share = 0.05

    def __post_init__(self) -> None:
        """Refuses a time zone that is not known here and a currency that is not three letters."""
        if self.business_timezone not in zoneinfo.available_timezones():
            raise ValueError(
                f"business_timezone {self.business_timezone!r} is not an IANA zone such as Asia/Shanghai"
            )
        if not re.fullmatch("[A-Z]{3}", self.currency):
            raise ValueError(f"currency {self.currency!r} is not an ISO 4217 code such as CNY")


ConfigT = TypeVar("ConfigT", bound=RoomConfig)


def load_config(path: Path | None, room: str, kind: type[ConfigT]) -> ConfigT:
    """Returns one room's table of the config file, with defaults for what it leaves out.

    Args:
        path: the TOML file; None means defaults only.
        room: the table's name, one of `ROOMS`.
        kind: the room's config class.

    Raises:
        ConfigError: unreadable file, unknown table or key, wrong type or range; the message
            names file, key, value and what was expected.
    """
    if path is None:
        return kind()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read as TOML ({error}); mend it or leave --config out"
        ) from error
    for name in document:
        if name not in ROOMS:
            raise ConfigError(f"{path}: unknown table [{name}]; the tables are {', '.join(ROOMS)}")
    table = document.get(room, {})
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(path, room, table, str(error))) from error


def _explain(path: Path, room: str, table: object, message: str) -> str:
    match = re.search(r" - at `\$\.?(?P<path>[^`]*)`", message)
    key = match["path"] if match else ""
    value: object = table
    for part in filter(None, key.split(".")):
        value = value.get(part) if isinstance(value, dict) else None
    where = ".".join(filter(None, (room, key)))
    said = re.sub(r" - at `.*`$", "", message)
    shown = "" if isinstance(value, dict) else f" = {value!r}"
    return f"{path}: {where}{shown}: {said}; `recsvc config` prints every key with its default"
