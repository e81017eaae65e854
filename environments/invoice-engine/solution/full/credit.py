"""Credit notes."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from invoicer.model import Invoice, text
from invoicer.money import InvoiceError, round_units, show_number, to_decimal
from invoicer.totals import LineTotal, price, sums, taxes_by_rate


@dataclass(frozen=True)
class Part:
    """So much of one line (an index from 0) is credited."""

    line: int
    quantity: Decimal


def compute_credit(document: Any, note: Any, earlier: Sequence[Any] = ()) -> dict[str, Any]:
    """The credit note `note` on an invoice, after the notes `earlier`.

    InvoiceError if one of these documents is wrong.
    """
    invoice, lines = price(document)
    taken = [Fraction(0) for _ in lines]
    numbers: set[str] = set()
    for each in earlier:
        for part in load_note(each, invoice, lines, taken, numbers):
            taken[part.line] += Fraction(part.quantity)
    parts = load_note(note, invoice, lines, taken, numbers)
    amounts = [credited(lines[part.line], taken[part.line], part) for part in parts]
    rates = [lines[part.line].rate for part in parts]
    currency = invoice.currency
    return {
        "number": note["number"],
        "invoice": invoice.number,
        "currency": currency,
        "lines": [
            {
                "line": part.line + 1,
                "quantity": show_number(part.quantity),
                **sums(net, tax, currency),
            }
            for part, (net, tax) in zip(parts, amounts, strict=True)
        ],
        "taxes": taxes_by_rate(
            ((rate, net, tax) for rate, (net, tax) in zip(rates, amounts, strict=True)), currency
        ),
        **sums(sum(net for net, _ in amounts), sum(tax for _, tax in amounts), currency),
    }


def credited(line: LineTotal, before: Fraction, part: Part) -> tuple[int, int]:
    """Net and tax, zero or negative, of crediting a part of a line after the quantity `before`.

    Differences of rounded running totals: whatever the parts, all of them add up to the line.
    """
    old = before / Fraction(line.quantity)
    new = (before + Fraction(part.quantity)) / Fraction(line.quantity)
    return (
        round_units(line.net * old) - round_units(line.net * new),
        round_units(line.tax * old) - round_units(line.tax * new),
    )


def load_note(
    note: Any,
    invoice: Invoice,
    lines: Sequence[LineTotal],
    taken: Sequence[Fraction],
    numbers: set[str],
) -> list[Part]:
    """What a note credits; its number joins `numbers`. InvoiceError if the note is wrong.

    `taken` is the quantity of each line that earlier notes credited.
    """
    if not isinstance(note, dict):
        raise InvoiceError("note: must be an object")
    number = text(note, "number", "")
    if number in numbers:
        raise InvoiceError(f"number: there is a credit note {number} already")
    numbers.add(number)
    if note.get("invoice") != invoice.number:
        raise InvoiceError(f"invoice: must be {invoice.number}, not {note.get('invoice')!r}")
    rows = note.get("lines")
    if not isinstance(rows, list) or not rows:
        raise InvoiceError("lines: must be a non-empty list")
    parts: dict[int, Part] = {}
    for index, row in enumerate(rows):
        part = load_part(row, f"lines[{index}]", lines, taken)
        if part.line in parts:
            raise InvoiceError(f"lines[{index}].line: line {part.line + 1} is there twice")
        parts[part.line] = part
    return list(parts.values())


def load_part(
    row: Any, where: str, lines: Sequence[LineTotal], taken: Sequence[Fraction]
) -> Part:
    if not isinstance(row, dict):
        raise InvoiceError(f"{where}: must be an object")
    line = row.get("line")
    if type(line) is not int or not 1 <= line <= len(lines):
        raise InvoiceError(f"{where}.line: must be a number from 1 to {len(lines)}")
    quantity = to_decimal(row.get("quantity"), f"{where}.quantity")
    left = Fraction(lines[line - 1].quantity) - taken[line - 1]
    if not 0 < Fraction(quantity) <= left:
        raise InvoiceError(f"{where}.quantity: must be above 0 and at most {left}")
    return Part(line - 1, quantity)
