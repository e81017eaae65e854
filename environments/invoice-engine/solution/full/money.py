"""Decimal numbers from documents, and amounts of money.

Exact amounts are fractions of a minor unit, rounded amounts are whole numbers of minor units.
"""

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction

DIGITS = {"JPY": 0, "KRW": 0, "BHD": 3, "KWD": 3, "TND": 3}


class InvoiceError(Exception):
    """A document is wrong; the message starts with the place, such as `lines[0].quantity`."""


def to_decimal(value: object, where: str) -> Decimal:
    """A finite number from a document. InvoiceError, starting with `where`, for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise InvoiceError(f"{where}: must be a number, not {value!r}")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise InvoiceError(f"{where}: must be a number, not {value!r}") from None
    if not number.is_finite():
        raise InvoiceError(f"{where}: must be a finite number, not {value!r}")
    return number


def round_money(amount: Decimal) -> Decimal:
    """`amount` with two decimals, halves away from zero."""
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def digits_of(currency: str) -> int:
    """The decimals of an amount in this currency."""
    return DIGITS.get(currency, 2)


def round_units(exact: Fraction) -> int:
    """Whole minor units, halves up."""
    return math.floor(exact + Fraction(1, 2))


def share_out(total: int, shares: Sequence[Fraction]) -> list[int]:
    """Whole minor units that add up to `total`, each at most one away from its exact share.

    Every share is rounded down; what is left goes to the largest remainders, earlier ones first.
    """
    units = [math.floor(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda index: units[index] - shares[index])
    for index in by_remainder[: total - sum(units)]:
        units[index] += 1
    return units


def show_units(units: int, currency: str) -> str:
    """An amount in the main unit, with all decimals of its currency."""
    digits = digits_of(currency)
    whole, part = divmod(abs(units), 10**digits)
    return f"{'-' * (units < 0)}{whole}" + (f".{part:0{digits}}" if digits else "")


def show_number(number: Decimal) -> str:
    """Plain decimal notation, without trailing zeros after the point."""
    if not number:
        return "0"
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
