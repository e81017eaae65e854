"""A page of sections as one self-contained HTML file."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.page import templates
from harness.report.sections import Section
from harness.report.wording import printable

_FLAGS_SHOWN = 8
_NAMES_SHOWN = 4


@dataclass(frozen=True)
class Figure:
    """One of the figures at the top of a page."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Page:
    """What :func:`render_sections` puts on a page."""

    title: str
    over: str
    """What kind of page it is, above the title."""
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]
    """What was left out or cannot be said, in a box at the top."""
    sections: tuple[Section, ...]
    facts: tuple[tuple[str, str], ...]
    """Provenance: label and value."""
    version: str
    contents_after: str = ""
    """Key of the section that ends with links to the others; empty for none."""
    flags_shown: int = _FLAGS_SHOWN
    """Flags of a section that are in sight; the rest unfolds."""


def render_sections(page: Page) -> str:
    """The page as text, to be written as UTF-8."""
    from markupsafe import Markup

    return (
        templates()
        .get_template("sections.html.j2")
        .render(
            page=page,
            svg=Markup,
            names=lambda flag: shortened(flag.names),
            kind=lambda part: type(part).__name__,
        )
    )


def shortened(names: Sequence[str], shown: int = _NAMES_SHOWN) -> str:
    """Names in a row, a long list cut with its length.

    >>> shortened(["a", "b"]), shortened("abcdef")
    ('a, b', 'a, b, c, d and 2 more')
    """
    head = ", ".join(printable(name, 60) for name in names[:shown])
    rest = len(names) - shown
    return f"{head} and {rest} more" if rest > 0 else head
