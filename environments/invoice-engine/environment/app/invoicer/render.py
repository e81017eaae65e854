"""Invoices as text. The archive parses this output: it must not change."""

from invoicer.model import Invoice

WIDTH = 60


def render(invoice: Invoice) -> str:
    rows = [f"Invoice {invoice.number}", f"Customer: {invoice.customer}", "-" * WIDTH]
    for line in invoice.lines:
        left = f"{line.description}  {line.quantity} x {line.unit_price}"
        rows.append(f"{left:<{WIDTH - 14}}{line.amount:>14}")
    rows.append("-" * WIDTH)
    rows.append(f"{'Subtotal ' + invoice.currency:<{WIDTH - 14}}{invoice.subtotal:>14}")
    return "\n".join(rows) + "\n"
