"""A session on the terminal: one line an item while it runs, and the answer at the end."""

from typing import TYPE_CHECKING

from harness.bank import ItemBank
from harness.events import Answered, Chosen, Voided
from harness.report.summary import SessionSummary, VoidRow
from harness.report.wording import (
    STATES,
    ability_names,
    count,
    decimal,
    duration,
    money,
    percent,
    printable,
    rests_on,
    void_effect,
)
from harness.session import Session, fold

if TYPE_CHECKING:
    from rich.text import Text

_LABEL = 17


def item_line(session: Session, bank: ItemBank, event: Answered | Voided) -> str:
    """One line about an outcome.

    For example: ``[7] csv-dedupe 2/3 θ 0.61 ± 0.41 $0.00 14 s next: schedule-api``, where
    7 is the step and ± the posterior standard deviation. Contains text of others that may look
    like markup: print it without interpreting any.

    Args:
        session: the session after the event, best once what follows it is chosen. Outcomes that
            came later do not count: the line says what was believed at the event.
    """
    session = _as_of(session, event)
    item = printable(event.item, 80)
    match event:
        case Answered():
            outcome = f"{event.category}/{len(bank.labels(event.item)) - 1}"
        case Voided():
            detail = printable(event.detail, 120)
            outcome = f"void ({event.cause}{': ' if detail else ''}{detail})"
    names = ability_names(len(session.ability))
    ability = ", ".join(
        f"{name} {decimal(value)} ± {decimal(sd)}"
        for name, value, sd in zip(names, session.ability, session.sd, strict=True)
    )
    spent = f"{money(event.cost.usd)} {duration(event.cost.seconds)}"
    return f"[{event.step}] {item} {outcome} {ability} {spent}{_what_next(session, event)}"


def _as_of(session: Session, event: Answered | Voided) -> Session:
    """The session at an event and the choices that followed it directly."""
    if event not in session.events:
        return session
    end = session.events.index(event) + 1
    while end < len(session.events) and isinstance(session.events[end], Chosen):
        end += 1
    if end == len(session.events):
        return session
    return fold(Session(session.table, session.plan, session.eligible), session.events[:end])


def _what_next(session: Session, event: Answered | Voided) -> str:
    since = session.events[session.events.index(event) + 1 :] if event in session.events else ()
    chosen = [printable(e.item, 80) for e in since if isinstance(e, Chosen)]
    if chosen:
        return f" next: {', '.join(chosen)}"
    flying = [printable(c.item, 80) for c in session.pending]
    return f" waiting for: {', '.join(flying)}" if flying else ""


def summary_text(summary: SessionSummary) -> "Text":
    """The end of a run: why it stopped, the answer, its cost, and what the voids could change.

    A :class:`rich.text.Text`: print it with ``soft_wrap=True``; ``.plain`` is the bare text.
    """
    from rich.text import Text

    text = Text()

    def line(label: str, value: str, rest: str = "", style: str = "") -> None:
        text.append(f"{label:<{_LABEL}}", "dim")
        text.append(value, style)
        text.append(f"  {rest}\n" if rest else "\n")

    level = f"{100 * summary.level:g}% interval"
    settled = summary.state in ("precise", "limit", "exhausted")
    state = STATES[summary.state]
    line("Outcome", f"{state}: {printable(summary.reason, 400)}", style="" if settled else "yellow")
    names = ability_names(len(summary.ability))
    for d, name in enumerate(names):
        between = summary.interval[d]
        line(
            "Ability",
            f"{name} {decimal(summary.ability[d])}",
            f"{level} {decimal(between.low)} to {decimal(between.high)}, "
            f"sd {decimal(summary.sd[d])}",
            "bold",
        )
    score = summary.score
    line(
        "Predicted score",
        percent(score.mean),
        f"{level} {percent(score.low)} to {percent(score.high)}, "
        f"{score.meaning} over {count(score.items, 'item')}"
        + (f", {score.trials} trials of each" if score.trials > 1 else ""),
        "bold",
    )
    answered = f"{len(summary.items)} of {count(summary.bank_items, 'item')}"
    flying = ", ".join(printable(item, 80) for item in summary.in_flight)
    line("Answered", answered, f"in flight: {flying}" if flying else "")
    if words := rests_on(summary):
        # more than half is a caveat
        style = "yellow" if summary.predicted_share > 0.5 else ""
        line("Predicted", words, style=style)
    cost = summary.cost
    work = f"agent {duration(cost.agent_seconds)}"
    if cost.tokens:
        work += f", {count(cost.tokens, 'token')}"
    if cost.turns:
        work += f", {count(cost.turns, 'turn')}"
    line("Cost", f"{money(cost.usd)}, {duration(cost.seconds)}", work)
    for number, void in enumerate(summary.voids):
        line("Voids" if number == 0 else "", _void_line(void), style="yellow")
    if effect := void_effect(summary):
        line("", effect)
    if summary.simulated_population:
        line("Note", "the bank was calibrated on simulated agents, not on real ones")
    text.rstrip()
    return text


def _void_line(void: VoidRow) -> str:
    detail = printable(void.detail, 300)
    later = " (answered later)" if void.answered_later else ""
    about = f"{void.cause}: {detail}" if detail else void.cause
    return f"[{void.step}] {printable(void.item, 80)} {about}{later}"
