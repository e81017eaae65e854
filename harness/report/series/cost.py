"""What a series cost, and which items it used: sections of the page."""

from collections.abc import Iterator

from harness.report.sections import Grid, Part, Section, Text, both
from harness.report.series.sentences import price_sentence
from harness.report.series.tasks_plot import tasks_plot
from harness.report.series.wording import amounts, listed, share, shown
from harness.report.wording import count, printable
from harness.schedule.summary import SeriesSummary


def cost_section(summary: SeriesSummary) -> Section:
    """Tasks, money and time, beside full evaluations and budgets."""
    parts: list[Part] = []
    if summary.spent.tasks:
        parts.append(
            both(
                lambda wide: tasks_plot(summary.banks, "tasks", wide=wide),
                "Tasks of every checkpoint; on the right as a share of the whole bank. Full "
                "colour: routine and full sessions; pale: follow-ups, and sessions that locate a "
                "change; orange: sessions that confirm alarms.",
            )
        )
    parts += [
        Grid(("", "spent", "in full", "share"), tuple(_spent_rows(summary))),
        Text(_price_basis(summary), hint=True),
    ]
    budgets = tuple(
        (what, write(limit), write(left or 0.0))
        for what, limit, left, write in amounts(summary.limit, summary.left)
        if limit is not None
    )
    if budgets:
        parts.append(Grid(("budget", "limit", "left"), budgets))
    return Section("What it cost", price_sentence(summary), parts=tuple(parts), key="cost")


def items_section(summary: SeriesSummary) -> Section:
    """Which items were answered, and how often."""
    said: list[str] = []
    parts: list[Part] = []
    for bank in summary.banks:
        name = shown(bank.name)
        again = sum(item.times > 1 for item in bank.used)
        n = len(bank.used)
        if not n:
            said.append(f"No item of {name} was used.")
            continue
        some = f"All {count(n, 'item')}" if n == bank.items else f"{n:,} of {bank.items:,} items"
        more = f", {again:,} of them more than once" if again else ""
        said.append(f"{some} of {name} {'was' if n == 1 else 'were'} used{more}.")
        parts.append(
            Grid(
                ("item", "times", "last at step"),
                tuple(
                    (printable(item.item, 80), str(item.times), f"{item.last:,}")
                    for item in bank.used
                ),
                title=name if len(summary.banks) > 1 else "",
                shown=8,
            )
        )
    if parts:
        parts.append(
            Text(
                "What a line of models does on a task it tends to do when the task comes back, "
                "whatever its ability. So an item that comes back tells less than a fresh one, "
                "and is counted for less.",
                hint=True,
            )
        )
    return Section("Items used", " ".join(said), parts=tuple(parts), key="items")


def _spent_rows(summary: SeriesSummary) -> Iterator[tuple[str, ...]]:
    n = len(summary.checkpoints)
    for bank in summary.banks:
        tasks = sum(point.tasks for point in bank.points)
        yield (
            f"tasks on {shown(bank.name)}",
            f"{tasks:,}",
            f"{n * bank.items:,}",
            share(tasks, n * bank.items),
        )
    _, *others = amounts(summary.spent, summary.full)
    for label, mine, whole, write in others:
        yield (
            label,
            write(mine or 0.0),
            "not known" if whole is None else f"about {write(whole)}",
            share(mine, whole),
        )


def _price_basis(summary: SeriesSummary) -> str:
    basis = ["In full: every item at every checkpoint."]
    unknown = [
        what
        for what, whole in (("dollars", summary.full.usd), ("seconds", summary.full.seconds))
        if whole is None
    ]
    if unknown:
        basis.append(
            f"What a full evaluation costs in {listed(unknown)} is not known: a bank states no "
            "cost of some items, and no session on it has met any."
        )
    if any(bank.priced for bank in summary.banks):
        basis.append(
            "Items whose cost the bank does not state count with the mean over the tasks of this "
            "series."
        )
    if len(basis) == 1:
        basis.append("Costs of a full evaluation are those that the banks state.")
    return (
        " ".join(basis) + " Seconds are summed over attempts, however many ran at once. Voids are "
        "part of what was spent."
    )
