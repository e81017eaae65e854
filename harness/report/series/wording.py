"""Numbers and names of a series, as they stand in sentences and tables."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from harness.report.sections import interval, signed
from harness.report.wording import duration, money, percent, printable
from harness.schedule.situation import Spending
from harness.schedule.summary import Estimate

Amount: TypeAlias = tuple[str, float | None, float | None, Callable[[float], str]]

_NAME = 40
"""Letters of a bank's name in a sentence, at most."""
FATES = {"raised": "not settled yet", "confirmed": "confirmed", "dismissed": "dismissed"}
"""What became of an alarm."""


def shown(name: str) -> str:
    """A name as it stands in a sentence: of a long one both ends.

    >>> shown("odcv"), shown("benchmark-" * 6)
    ('odcv', 'benchmark-benchmark-benc…mark-benchmark-')
    """
    text = printable(name, 200)
    return text if len(text) <= _NAME else f"{text[:24]}…{text[-15:]}"


def probability(p: float) -> str:
    """Never shown as certain.

    >>> probability(0.95), probability(0.00001), probability(0.9999)
    ('0.950', '<0.001', '>0.999')
    """
    return "<0.001" if p < 0.0005 else ">0.999" if p > 0.9995 else f"{p:.3f}"


def told(estimate: Estimate, digits: int = 2) -> str:
    """A mean with its interval."""
    ends = interval(estimate.low, estimate.high, digits)
    return f"{signed(estimate.mean, digits)} ({ends})"


def score_text(estimate: Estimate) -> str:
    """A predicted score with its interval, in percent."""
    return f"{percent(estimate.mean)} ({100 * estimate.low:.0f} to {100 * estimate.high:.0f})"


def share(part: float | None, whole: float | None) -> str:
    """In percent; a dash where it is not known."""
    return percent(part / whole) if part is not None and whole else "–"


def listed(parts: Sequence[str]) -> str:
    """As a sentence lists them.

    >>> listed(["one"]), listed(["one", "two", "three"])
    ('one', 'one, two and three')
    """
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last


def amounts(one: Spending, other: Spending) -> tuple[Amount, ...]:
    """What both say of each kind: its name, two numbers, and how such a number is written."""
    return (
        ("tasks", one.tasks, other.tasks, "{:,.0f}".format),
        ("money", one.usd, other.usd, money),
        ("time", one.seconds, other.seconds, duration),
    )
