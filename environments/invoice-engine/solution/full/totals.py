"""Net, tax and gross of an invoice."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from invoicer.discounts import invoice_discount, line_rate, percentage
from invoicer.model import Invoice, load_invoice
from invoicer.money import (
    InvoiceError,
    digits_of,
    round_units,
    share_out,
    show_number,
    show_units,
)


@dataclass(frozen=True)
class LineTotal:
    """A line's result in minor units; `rate` is a percentage."""

    quantity: Decimal
    rate: Decimal
    amount: int
    net: int
    tax: int


def compute_totals(document: Any) -> dict[str, Any]:
    """The totals of an invoice document. InvoiceError if the document is wrong."""
    invoice, lines = price(document)
    subtotal = sum(line.amount for line in lines)
    net = sum(line.net for line in lines)
    return {
        "number": invoice.number,
        "currency": invoice.currency,
        "lines": [sums(line.net, line.tax, invoice.currency) for line in lines],
        "subtotal": show_units(subtotal, invoice.currency),
        "discount": show_units(subtotal - net, invoice.currency),
        "taxes": taxes_by_rate(
            ((line.rate, line.net, line.tax) for line in lines), invoice.currency
        ),
        **sums(net, sum(line.tax for line in lines), invoice.currency),
    }


def price(document: Any) -> tuple[Invoice, list[LineTotal]]:
    """An invoice and what its lines come to, all rounding done."""
    invoice = load_invoice(document)
    rounding = document.get("tax_rounding", "line")
    if rounding not in ("line", "invoice"):
        raise InvoiceError("tax_rounding: must be line or invoice")
    rows = document["lines"]
    rates = [
        percentage(row.get("tax_rate", 0), f"lines[{index}].tax_rate")
        for index, row in enumerate(rows)
    ]
    amounts = [line_amount(invoice, index, row) for index, row in enumerate(rows)]
    borne = [0] * len(amounts)
    if "discount" in document:
        borne = invoice_discount(document["discount"], amounts, invoice.currency)
    nets = [amount - part for amount, part in zip(amounts, borne, strict=True)]
    taxes = line_taxes(nets, rates, rounding)
    return invoice, [
        LineTotal(line.quantity, rate, amount, net, tax)
        for line, rate, amount, net, tax in zip(
            invoice.lines, rates, amounts, nets, taxes, strict=True
        )
    ]


def line_amount(invoice: Invoice, index: int, row: dict[str, Any]) -> int:
    """The amount of a line after its own discount, in minor units."""
    line, where = invoice.lines[index], f"lines[{index}]"
    for key, number in (("quantity", line.quantity), ("unit_price", line.unit_price)):
        if number < 0:
            raise InvoiceError(f"{where}.{key}: must be at least 0")
    quantity = Fraction(line.quantity)
    exact = quantity * Fraction(line.unit_price) * 10 ** digits_of(invoice.currency)
    if "discount" in row:
        exact *= 1 - line_rate(row["discount"], quantity, f"{where}.discount")
    return round_units(exact)


def line_taxes(nets: list[int], rates: list[Decimal], rounding: str) -> list[int]:
    exact = [net * Fraction(rate) / 100 for net, rate in zip(nets, rates, strict=True)]
    if rounding == "line":
        return [round_units(tax) for tax in exact]
    taxes = [0] * len(nets)
    for rate in set(rates):
        members = [index for index, each in enumerate(rates) if each == rate]
        shares = [exact[index] for index in members]
        total = round_units(sum(shares, Fraction(0)))
        for index, tax in zip(members, share_out(total, shares), strict=True):
            taxes[index] = tax
    return taxes


def taxes_by_rate(
    parts: Iterable[tuple[Decimal, int, int]], currency: str
) -> list[dict[str, str]]:
    """Sums of net and tax per rate, by ascending rate."""
    groups: dict[Decimal, tuple[int, int]] = {}
    for rate, net, tax in parts:
        before = groups.get(rate, (0, 0))
        groups[rate] = before[0] + net, before[1] + tax
    return [
        {
            "rate": show_number(rate),
            "net": show_units(net, currency),
            "tax": show_units(tax, currency),
        }
        for rate, (net, tax) in sorted(groups.items())
    ]


def sums(net: int, tax: int, currency: str) -> dict[str, str]:
    return {
        "net": show_units(net, currency),
        "tax": show_units(tax, currency),
        "gross": show_units(net + tax, currency),
    }
