"""Net, tax and gross of an invoice."""

from decimal import Decimal
from typing import Any

from invoicer.model import load_invoice
from invoicer.money import round_money, to_decimal


def compute_totals(document: Any) -> dict[str, Any]:
    """The totals of an invoice document, with tax rounded per line."""
    invoice = load_invoice(document)
    lines = []
    groups: dict[Decimal, list[Decimal]] = {}
    for index, (line, row) in enumerate(zip(invoice.lines, document["lines"], strict=True)):
        rate = to_decimal(row.get("tax_rate", 0), f"lines[{index}].tax_rate")
        tax = round_money(line.amount * rate / 100)
        group = groups.setdefault(rate, [Decimal("0.00"), Decimal("0.00")])
        group[0] += line.amount
        group[1] += tax
        lines.append({"net": line.amount, "tax": tax, "gross": line.amount + tax})
    total = {key: str(sum(line[key] for line in lines)) for key in ("net", "tax", "gross")}
    return {
        "number": invoice.number,
        "currency": invoice.currency,
        "lines": [{key: str(value) for key, value in line.items()} for line in lines],
        "subtotal": total["net"],
        "discount": "0.00",
        "taxes": [
            {"rate": str(rate), "net": str(net), "tax": str(tax)}
            for rate, (net, tax) in sorted(groups.items())
        ],
        **total,
    }
