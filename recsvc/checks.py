"""Owns the checks that many request fields share: lengths, counts, money."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from decimal import Decimal

from google.type.money_pb2 import Money

from recdata.snapshot.records import MAX_ID_BYTES
from recsvc.errors import InvalidFieldError, quoted

NANOS = 1_000_000_000
#: As the import of the tables has it: more is a slip, such as a bar code in the wrong field.
MAX_PRICE = 1e12


def check_length(field: str, name: str, most_bytes: int = MAX_ID_BYTES) -> None:
    """Checks that an id or a name is no longer than what can be stored.

    Raises:
        InvalidFieldError: it is.
    """
    # A character is four bytes at most, so most names need no encoding to be counted.
    if 4 * len(name) > most_bytes and (length := len(name.encode(errors="replace"))) > most_bytes:
        raise InvalidFieldError(field, f"{field} has {length} bytes; at most {most_bytes} are allowed")


def check_names(**names: str) -> None:
    """Checks each name, given by its field, as `check_length` does.

    Raises:
        InvalidFieldError: one is too long.
    """
    for field, name in names.items():
        check_length(field, name)


def check_lengths(field: str, names: Sequence[str]) -> None:
    """Checks each name of a list as `check_length` does.

    Raises:
        InvalidFieldError: one is too long.
    """
    for place, name in enumerate(names):
        if 4 * len(name) > MAX_ID_BYTES:
            check_length(f"{field}[{place}]", name)


def check_count(field: str, entries: Sized, most: int, *, least: int = 0) -> None:
    """Checks how many entries a list has.

    Raises:
        InvalidFieldError: too many, or too few.
    """
    if not least <= len(entries) <= most:
        allowed = f"{least} to {most}" if least else f"at most {most}"
        raise InvalidFieldError(field, f"{field} has {len(entries)} entries; {allowed} are allowed")


def amount_of(money: Money, field: str, currency: str) -> float:
    """Returns an amount in the currency's unit, the nearest float64 to its decimal number.

    Args:
        money: the amount; a currency code that is not set means the snapshot's.
        field: where it stood.
        currency: ISO 4217 code of the snapshot's prices.

    Raises:
        InvalidFieldError: another currency, or nanos that are no part of a unit or of the other sign.
    """
    if money.currency_code and money.currency_code != currency:
        raise InvalidFieldError(
            f"{field}.currency_code",
            f"{field}.currency_code is {quoted(money.currency_code)}; prices of this shop are in {currency}, "
            "leave it empty or convert the amount",
        )
    units, nanos = money.units, money.nanos
    if not -NANOS < nanos < NANOS or units * nanos < 0:
        raise InvalidFieldError(
            f"{field}.nanos",
            f"{field} has {units} units and {nanos} nanos; nanos are billionths of a unit, "
            "between -999999999 and 999999999, of the same sign as units",
        )
    # Not units + nanos / 1e9, which may be the float next to the one that the price 2.19 was stored as.
    return float(Decimal(units) + Decimal(nanos) / NANOS)
