"""Owns money between Python's Decimal and the contract's Money."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from google.type.money_pb2 import Money

NANO = Decimal(10**9)


def money(amount: Decimal | int | str, currency: str = "") -> Money:
    """Returns an amount as the contract writes it, to the ninth decimal.

    Args:
        amount: such as "12.50"; a float is not taken, since 0.1 has no exact one.
        currency: ISO 4217 code; "" means the retailer's own.

    Raises:
        decimal.InvalidOperation: the text is no number.
    """
    nanos = int((Decimal(amount) * NANO).to_integral_value(ROUND_HALF_UP))
    units = abs(nanos) // 10**9
    sign = -1 if nanos < 0 else 1
    return Money(currency_code=currency, units=sign * units, nanos=sign * (abs(nanos) % 10**9))


def amount_of(price: Money) -> Decimal:
    """Returns the amount of a Money, without its currency."""
    return Decimal(price.units) + Decimal(price.nanos) / NANO
