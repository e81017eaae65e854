"""What came out of a series, in sentences."""

from harness.report.sections import interval, signed
from harness.report.series.wording import FATES, amounts, listed, share, shown
from harness.schedule.summary import BankSummary, SeriesSummary


def finding(summary: SeriesSummary) -> str:
    """What came out, in a few sentences: change, alarms, price."""
    if not summary.checkpoints:
        return "No checkpoint is registered yet."
    said = [moved_sentence(bank, summary.level) for bank in summary.banks]
    return " ".join([*said, _alarm_sentence(summary), _tasks_sentence(summary)])


def moved_sentence(bank: BankSummary, level: float) -> str:
    """How the latest tested checkpoint differs from the first."""
    name, tested = shown(bank.name), bank.tested
    if not tested:
        return f"On {name} no checkpoint has been tested yet."
    if bank.moved is None:
        return f"On {name} only step {tested[0].step:,} has been tested: there is no change yet."
    by = bank.moved.by
    since = f"at step {tested[-1].step:,} than at step {bank.moved.baseline:,}"
    ends = f"{interval(by.low, by.high)}, {level:.0%} interval"
    if by.low > 0 or by.high < 0:
        way = "higher" if by.low > 0 else "lower"
        size = signed(abs(by.mean))
        return f"Ability on {name} is {way} {since}: by {size} sd (change {ends})."
    return (
        f"Whether ability on {name} is higher or lower {since} cannot be told: the change is "
        f"{signed(by.mean)} sd ({ends})."
    )


def price_sentence(summary: SeriesSummary) -> str:
    """Money and time against full evaluations of every checkpoint."""
    pairs = [
        f"{write(mine)} instead of about {write(whole)} ({share(mine, whole)})"
        for what, mine, whole, write in amounts(summary.spent, summary.full)
        if what != "tasks" and mine and whole
    ]
    cost = f" That cost {listed(pairs)}." if pairs else ""
    return _tasks_sentence(summary) + cost


def _alarm_sentence(summary: SeriesSummary) -> str:
    if not summary.alarms:
        watched = sum(len(bank.alarms) for bank in summary.banks)
        return "No alarm was raised." if watched else "Nothing is looked out for."
    if len(summary.alarms) == 1:
        return f"One alarm was raised; it is {FATES[summary.alarms[0].state]}."
    fates = [
        f"{n} {'is not settled yet' if n == 1 else 'are not settled yet'}"
        if state == "raised"
        else f"{n} {'was' if n == 1 else 'were'} {state}"
        for state in ("confirmed", "raised", "dismissed")
        if (n := sum(note.state == state for note in summary.alarms))
    ]
    return f"{len(summary.alarms)} alarms were raised: {listed(fates)}."


def _tasks_sentence(summary: SeriesSummary) -> str:
    spent, full = summary.spent.tasks, summary.full.tasks
    if not spent:
        return "No task has been answered."
    return (
        f"It took {spent:,.0f} tasks instead of {full:,.0f} for every item at every checkpoint "
        f"({share(spent, full)})."
    )
