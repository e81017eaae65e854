"""Discounts on lines by quantity, and on whole invoices."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from invoicer.money import InvoiceError, digits_of, round_units, share_out, to_decimal

MODES = ("all", "marginal")


@dataclass(frozen=True)
class Tier:
    start: Fraction
    rate: Fraction


def percentage(value: object, where: str) -> Decimal:
    """A percentage from a document. InvoiceError if it is not between 0 and 100."""
    number = to_decimal(value, where)
    if not 0 <= number <= 100:
        raise InvoiceError(f"{where}: must be between 0 and 100, not {number}")
    return number


def line_rate(discount: Any, quantity: Fraction, where: str) -> Fraction:
    """The part of a line, 0 to 1, that its discount takes off."""
    if not isinstance(discount, dict):
        raise InvoiceError(f"{where}: must be an object")
    mode = discount.get("mode", "all")
    if mode not in MODES:
        raise InvoiceError(f"{where}.mode: must be one of {', '.join(MODES)}")
    tiers = load_tiers(discount.get("tiers"), f"{where}.tiers")
    reached = [tier for tier in tiers if tier.start <= quantity]
    if not reached:
        return Fraction(0)
    if mode == "all":
        return reached[-1].rate
    bounds = [*(tier.start for tier in reached), quantity]
    taken = sum(
        (end - start) * tier.rate
        for tier, (start, end) in zip(reached, pairwise(bounds), strict=True)
    )
    return taken / quantity


def load_tiers(documents: Any, where: str) -> list[Tier]:
    """Tiers by ascending start. InvoiceError if one is wrong or there twice."""
    if not isinstance(documents, list):
        raise InvoiceError(f"{where}: must be a list")
    tiers: dict[Fraction, Tier] = {}
    for index, document in enumerate(documents):
        here = f"{where}[{index}]"
        if not isinstance(document, dict):
            raise InvoiceError(f"{here}: must be an object")
        start = Fraction(to_decimal(document.get("from"), f"{here}.from"))
        if start <= 0:
            raise InvoiceError(f"{here}.from: must be above 0")
        if start in tiers:
            raise InvoiceError(f"{here}.from: there is a tier from {start} already")
        percent = percentage(document.get("percent"), f"{here}.percent")
        tiers[start] = Tier(start, Fraction(percent) / 100)
    return [tiers[start] for start in sorted(tiers)]


def invoice_discount(discount: Any, amounts: list[int], currency: str) -> list[int]:
    """What each line bears of the discount on the whole invoice, in minor units."""
    if not isinstance(discount, dict) or ("percent" in discount) == ("amount" in discount):
        raise InvoiceError("discount: must be an object with either percent or amount")
    subtotal = sum(amounts)
    if "percent" in discount:
        percent = percentage(discount["percent"], "discount.percent")
        total = round_units(subtotal * Fraction(percent) / 100)
    else:
        units = Fraction(to_decimal(discount["amount"], "discount.amount"))
        units *= 10 ** digits_of(currency)
        if units.denominator != 1:
            raise InvoiceError("discount.amount: has more decimals than the currency")
        if not 0 <= units <= subtotal:
            raise InvoiceError("discount.amount: must be between 0 and the subtotal")
        total = int(units)
    return share_out(total, [Fraction(total * amount, subtotal or 1) for amount in amounts])
