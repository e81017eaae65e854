"""Invoices as they are read from JSON."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from invoicer.money import InvoiceError, round_money, to_decimal


@dataclass(frozen=True)
class Line:
    description: str
    quantity: Decimal
    unit_price: Decimal

    @property
    def amount(self) -> Decimal:
        return round_money(self.quantity * self.unit_price)


@dataclass(frozen=True)
class Invoice:
    number: str
    customer: str
    currency: str
    lines: tuple[Line, ...]

    @property
    def subtotal(self) -> Decimal:
        return sum((line.amount for line in self.lines), Decimal("0.00"))


def read_json(path: Path, *, exact: bool = False) -> Any:
    """The document in a file. InvoiceError if there is none.

    With `exact`, numbers with a point are Decimals, as written. `show` must not use it: it would
    print 3.10 where it has always printed 3.1.
    """
    try:
        content = path.read_text(encoding="utf-8")
        return json.loads(content, parse_float=Decimal) if exact else json.loads(content)
    except OSError as problem:
        raise InvoiceError(f"{path}: {problem.strerror}") from None
    except ValueError as problem:
        raise InvoiceError(f"{path}: not JSON: {problem}") from None


def load_invoice(document: Any) -> Invoice:
    """An invoice from a decoded JSON document. InvoiceError if a key is missing or wrong."""
    if not isinstance(document, dict):
        raise InvoiceError("invoice: must be an object")
    lines = document.get("lines")
    if not isinstance(lines, list) or not lines:
        raise InvoiceError("lines: must be a non-empty list")
    return Invoice(
        number=text(document, "number", ""),
        customer=text(document, "customer", ""),
        currency=text(document, "currency", "", "EUR"),
        lines=tuple(load_line(line, f"lines[{index}]") for index, line in enumerate(lines)),
    )


def load_line(document: Any, where: str) -> Line:
    if not isinstance(document, dict):
        raise InvoiceError(f"{where}: must be an object")
    return Line(
        description=text(document, "description", f"{where}."),
        quantity=to_decimal(document.get("quantity"), f"{where}.quantity"),
        unit_price=to_decimal(document.get("unit_price"), f"{where}.unit_price"),
    )


def text(document: dict[str, Any], key: str, where: str, default: str | None = None) -> str:
    value = document.get(key, default)
    if not isinstance(value, str) or not value:
        raise InvoiceError(f"{where}{key}: must be a non-empty string")
    return value
