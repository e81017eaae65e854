"""Pages in Markdown with SVG figures; every number comes from a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from harness.irt import Array
from harness.responses import Responses
from harness.study.bootstrap import Estimate


def told(found: Estimate, digits: int = 1, scale: float = 1.0) -> str:
    """A value with its interval.

    >>> told(Estimate(0.0213, 0.02, 0.025), 1, 100)
    '2.1 [2.0, 2.5]'
    >>> told(Estimate(None)), told(Estimate(3.0, 2.0, None))
    ('–', '3.0 [2.0, –]')
    """

    def one(number: float | None) -> str:
        return "–" if number is None else f"{number * scale:.{digits}f}"

    if found.value is None or (found.low is None and found.high is None):
        return one(found.value)
    return f"{one(found.value)} [{one(found.low)}, {one(found.high)}]"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, numbers to the right.

    >>> print(table(["a", "b"], [["x", "1"]]))
    | a | b |
    |---|---:|
    | x | 1 |
    """
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def verdict(met: bool, text: str) -> str:
    """A sentence about a target, which says first whether it is met."""
    return f"**{'Met' if met else 'Missed'}.** {text}"


def facts(data: Iterable[tuple[str, Responses]]) -> str:
    """What a page rests on: data sets and version, one line each."""
    lines = [
        f"- `{name}`: {len(found.agents)} agents × {len(found.items)} tasks, {found.missing:.1%} "
        f"of the cells missing, sha256 `{found.sha256[:16]}`"
        for name, found in data
    ]
    return "\n".join([*lines, f"- cat-harness {version('cat-harness')}"])


def page(name: str, title: str, lead: Sequence[str], basis: str, body: Sequence[str]) -> str:
    """The whole page: what it shows, what it rests on, and the rest."""
    again = f"Made by `python scripts/studies.py {name}`; nothing here is typed by hand."
    shows = "\n".join(f"- {line}" for line in lead)
    parts = [f"# {title}", shows, *body, "## Data", basis, again]
    return "\n\n".join(parts) + "\n"


@dataclass(frozen=True, eq=False)
class Line:
    """A curve with an optional band."""

    name: str
    x: Sequence[float] | Array
    y: Sequence[float] | Array
    low: Sequence[float] | Array | None = None
    high: Sequence[float] | Array | None = None


def figure(
    folder: Path, name: str, caption: str, lines: Sequence[Line], x: str, y: str, log: bool = False
) -> str:
    """Draw curves into ``figures/NAME.svg``; the Markdown that shows them."""
    import matplotlib
    from matplotlib.figure import Figure

    # the same bytes from the same numbers
    with matplotlib.rc_context({"svg.hashsalt": "studies", "svg.fonttype": "none"}):
        drawn = Figure(figsize=(7, 4), layout="constrained")
        axes = drawn.subplots()
        for number, line in enumerate(lines):
            style = ("-", "--", "-.", ":")[number // 10 % 4]
            (curve,) = axes.plot(line.x, line.y, style, label=line.name, linewidth=1.6)
            if line.low is not None and line.high is not None:
                low, high = np.asarray(line.low, float), np.asarray(line.high, float)
                axes.fill_between(
                    line.x, low, high, color=curve.get_color(), alpha=0.15, linewidth=0
                )
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        if log:
            axes.set_yscale("log")
            for which in ("major", "minor"):
                getattr(axes.yaxis, f"set_{which}_formatter")("{x:g}")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
        place = folder / "figures"
        place.mkdir(parents=True, exist_ok=True)
        drawn.savefig(place / f"{name}.svg", metadata={"Date": None})
    return f"![{caption}](figures/{name}.svg)\n\n*{caption}*"
