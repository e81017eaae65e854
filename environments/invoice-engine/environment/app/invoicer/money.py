"""Decimal numbers from documents, and amounts of money."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation


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
