"""Plots and tables of the program's own pages, for pages in Markdown."""

import re
from collections.abc import Iterator
from pathlib import Path

from harness.report import sections_page
from harness.report.sections import Grid, Pair, Plot, Section

_STYLE = Path(sections_page.__file__).with_name("style.html.j2")
_POINTS = 4 / 3
"""CSS pixels of a point."""


def cell(text: str) -> str:
    """Text that does not end the cell of a table.

    >>> cell("a|b")
    'a\\\\|b'
    """
    return " ".join(text.split()).replace("|", "\\|")


def grid(found: Grid, shown: int | None = None) -> str:
    """A table, numbers to the right; with ``shown`` its first rows only.

    >>> print(grid(Grid(("item", "n", "why"), (("a", "1", "b|c"),), words=(2,))))
    | item | n | why |
    |---|---:|---|
    | a | 1 | b\\|c |
    """
    sides = ["---" if k in (0, *found.words) else "---:" for k in range(len(found.heads))]
    rows = [found.heads, *found.rows[:shown]]
    lines = [f"| {' | '.join(cell(text) for text in row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'|'.join(sides)}|", *lines[1:]])


def plots_of(section: Section) -> Iterator[Plot]:
    """All plots of a section."""
    for part in section.parts:
        match part:
            case Plot():
                yield part
            case Pair():
                yield from part.plots
            case _:
                pass


def plot(folder: Path, name: str, found: Plot, title: str) -> str:
    """Put a plot into ``figures/NAME.svg`` in the colours of a bright page; the Markdown that
    shows it."""
    place = folder / "figures"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.svg").write_text(alone(found.wide), encoding="utf-8")
    return f"![{found.title or title}](figures/{name}.svg)\n\n*{found.caption}*"


def alone(svg: str) -> str:
    """An SVG that needs no page around it for its colours, its font and its size.

    >>> alone('<svg viewBox="0 0 30 12" role="img"><path style="fill: var(--paper)"/></svg>')
    ... # doctest: +ELLIPSIS
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="16" viewBox="0 0 30 12" ...'
    """
    colours: dict[str, str] = {}
    for variable, colour in re.findall(r"--(\w+): (#\w+);", _STYLE.read_text(encoding="utf-8")):
        colours.setdefault(variable, colour)  # those of bright pages come first
    text = re.sub(r"var\(--(\w+)\)", lambda used: colours[used[1]], svg)
    text = text.replace("font-family: inherit", "font-family: sans-serif")
    view = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    assert view is not None
    width, height = (_POINTS * float(side) for side in view.groups())
    size = f'xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
    paper = f'<rect width="100%" height="100%" fill="{colours["paper"]}"/>'
    return re.sub(r"<svg ([^>]*)>", lambda head: f"<svg {size} {head[1]}>{paper}", text, count=1)
