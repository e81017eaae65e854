"""Pages that are a list of sections: paragraphs, plots, tables and flags, in one template."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.health.flags import Flag
from harness.report.plots import NARROW, WIDE


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    hint: bool = False
    """In grey: how to read something."""


@dataclass(frozen=True)
class Caution:
    """What cannot be concluded from these data, and why."""

    text: str


@dataclass(frozen=True)
class Plot:
    """An SVG for wide screens and one for narrow ones; equal where one size suits both."""

    wide: str
    narrow: str
    caption: str
    title: str = ""


@dataclass(frozen=True)
class Pair:
    """Small plots beside each other on wide screens."""

    plots: tuple[Plot, ...]


@dataclass(frozen=True)
class Grid:
    """A table; all cells are text. Columns after the first are numbers, flush right."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    caption: str = ""
    words: tuple[int, ...] = ()
    """Columns besides the first that hold words, flush left."""
    shown: int = 12
    """Rows in sight; the rest unfolds."""
    stacked: bool = False
    """On narrow screens the cells of a row stand below each other."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Where cells lead to, by their text: relative addresses, quoted."""


Part: TypeAlias = Text | Caution | Plot | Pair | Grid


@dataclass(frozen=True)
class Section:
    """One section of a page: a heading, what was found in a sentence or two, flags, then parts."""

    title: str
    finding: str
    """The answer first, in plain words."""
    flags: tuple[Flag, ...] = ()
    parts: tuple[Part, ...] = ()
    key: str = ""
    """Of the section in links; made of letters and hyphens."""


def both(draw: Callable[[bool], str], caption: str, title: str = "") -> Plot:
    """A plot drawn for wide and for narrow screens: ``draw(wide)`` gives the SVG, whose name must
    differ between the two."""
    return Plot(draw(True), draw(False), caption, title)


def width_of(wide: bool) -> float:
    """Inches of a figure."""
    return WIDE if wide else NARROW


def signed(number: float, digits: int = 2) -> str:
    """A number with a real minus sign, or a dash for none.

    >>> signed(-0.5), signed(float("nan")), signed(float("inf"))
    ('−0.50', '–', '∞')
    """
    if number != number:
        return "–"
    if abs(number) == float("inf"):
        return "∞" if number > 0 else "−∞"
    text = f"{number:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def interval(low: float, high: float, digits: int = 2) -> str:
    """Ends of an interval as text.

    >>> interval(-1, 0.25)
    '−1.00 to 0.25'
    """
    return f"{signed(low, digits)} to {signed(high, digits)}"
