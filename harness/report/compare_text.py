"""A comparison of runs in plain text."""

from harness.report.compare import Comparison
from harness.report.difference import Difference
from harness.report.wording import count, percent, printable
from harness.stop import predicted_words


def comparison_text(comparison: Comparison) -> str:
    """The comparison for people, what forbids it first."""
    blocks = [_mismatch_lines(comparison), _side_lines(comparison), _pair_lines(comparison)]
    if len(comparison.sides) > 2:
        blocks.append(_rank_lines(comparison))
    blocks.append(_task_lines(comparison))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _mismatch_lines(comparison: Comparison) -> list[str]:
    lines: dict[str, bool] = {}
    several = len(comparison.pairs) > 1
    for pair in comparison.pairs:
        which = f"{pair.first} | {pair.second}: " if several else ""
        for found in pair.mismatches:
            kind = "differs" if found.forbids else "note"
            values = f"{found.first} | {found.second}"
            lines[f"{kind}: {which}{found.what}: {values}"] = found.forbids
    return sorted(lines, key=lambda line: not lines[line])


def _side_lines(comparison: Comparison) -> list[str]:
    lines = []
    for side in comparison.sides:
        ability = ", ".join(
            f"{mean:.2f} ± {sd:.2f}" for mean, sd in zip(side.ability, side.sd, strict=True)
        )
        low, high = side.score_interval.low, side.score_interval.high
        lines.append(
            f"{side.name}  {printable(side.agent)} ({printable(side.run)}): ability {ability}, "
            f"predicted score {side.score:.1%} [{low:.1%}, {high:.1%}], {count(side.items, 'item')}"
        )
        if side.predicted:
            words = predicted_words(side.predicted_share, side.predicted, side.items)
            lines.append(f"   {words}")
    return lines


def _pair_lines(comparison: Comparison) -> list[str]:
    lines = []
    for pair in comparison.pairs:
        abilities = ", ".join(_gap(gap, "+.2f") for gap in pair.abilities)
        lines += [
            f"{pair.words}.",
            f"    {pair.first} - {pair.second} ({comparison.level:.0%} intervals): ability "
            f"{abilities}; score {_gap(pair.score, '+.1%')}",
            f"    {pair.first} is better: by ability "
            f"{', '.join(f'{gap.better:.3f}' for gap in pair.abilities)}; by score "
            f"{pair.score.better:.3f}",
        ]
        shared = pair.shared
        if shared.tasks:
            lines.append(
                f"    {count(shared.tasks, 'task')} of both: {pair.first} did better on "
                f"{shared.first}, {pair.second} on {shared.second}, equal on {shared.equal}"
            )
    return lines


def _gap(gap: Difference, form: str) -> str:
    low, high = gap.interval.low, gap.interval.high
    return f"{gap.mean:{form}} [{low:{form}}, {high:{form}}]"


def _rank_lines(comparison: Comparison) -> list[str]:
    places = range(1, len(comparison.sides) + 1)
    lines = ["rank by predicted score", "   " + "".join(f"{place:>8}" for place in places)]
    for side in comparison.sides:
        lines.append(f"{side.name:3}" + "".join(f"{percent(p):>8}" for p in side.ranks))
    return lines


def _task_lines(comparison: Comparison) -> list[str]:
    if not comparison.tasks:
        return ["No task was answered by two of them."]
    names = [side.name for side in comparison.sides]
    rows = [
        ["tasks of two or more", *names],
        *([row.item, *(label or "-" for label in row.labels)] for row in comparison.tasks),
    ]
    texts = [[printable(cell, 60) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    ]
