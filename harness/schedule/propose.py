"""What to test next, and why: from what is known of a series to a session that is worth holding."""

from functools import partial

from harness.schedule.certainty import certainty
from harness.schedule.events import Proposal, Purpose
from harness.schedule.policy import Adaptive, Budget, Fixed, Full, Policy
from harness.schedule.price import follow_up, tasks_left, worth
from harness.schedule.situation import Situation


def propose(situation: Situation, policy: Policy) -> Proposal | None:
    """The next session that is worth holding; None where nothing is, or only what runs already.

    A budget is for what ability is now: it is spent on the last checkpoint, and who lags behind a
    training run catches up by skipping. After an alarm, checkpoints that were skipped are tested
    to find where it came from. The other policies take every checkpoint in turn.
    """
    places = range(len(situation.checkpoints))
    now = places[-1:] if isinstance(policy, Budget) else places
    for bank in situation.scales:
        held = [place for place in places if situation.checkpoints[place].on(bank)]
        if held and held[-1] in now:
            found = _further(situation.until(held[-1]), situation, policy, bank)
            if found is not None:
                return found
    for place in now:
        for bank in situation.scales:
            if not situation.checkpoints[place].on(bank):
                found = _first(situation.until(place), situation, policy, bank)
                if found is not None:
                    return found
    if isinstance(policy, Budget) and places:
        for bank in situation.scales:
            found = _locating(situation, bank)
            if found is not None:
                return found
    return None


def _further(then: Situation, now: Situation, policy: Policy, bank: str) -> Proposal | None:
    """One more session at the last checkpoint of ``then``, for an alarm or a suspicion, with the
    money of ``now``."""
    held = then.checkpoints[-1].on(bank)
    if any(session.state in ("planned", "running") for session in held):
        return None
    alarm = then.suspicions.get(bank)
    confirmed = any(s.purpose == "confirm" and s.state != "failed" for s in held)
    if alarm is None or confirmed:
        return None
    ask = partial(_proposal, then, now, bank)
    rule, seen = alarm
    said = f"P({rule}) is {seen.probability:.3f}"
    if seen.probability >= certainty(then):
        tasks = follow_up(now, bank)
        return ask("confirm", tasks, f"{said}: an alarm, to be confirmed on other tasks")
    suspicious = isinstance(policy, Budget) and seen.probability >= policy.suspect
    size = len(then.scales[bank][2].table.ids)
    if suspicious and sum(session.tasks for session in held) < size:
        return ask("follow-up", follow_up(now, bank), f"{said}: too much to leave open")
    return None


def _first(then: Situation, now: Situation, policy: Policy, bank: str) -> Proposal | None:
    """The first session at the last checkpoint of ``then``, with the money of ``now``."""
    scale = then.scales[bank][2]
    ask = partial(_proposal, then, now, bank)
    match policy:
        case Full(every):
            if (len(then.checkpoints) - 1) % every:
                return None
            size = len(scale.table.ids)
            return ask("full", size, f"the whole benchmark, at every {_th(every)} checkpoint")
        case Fixed(tasks):
            return ask("routine", tasks, "as many tasks at every checkpoint")
        case Adaptive(sd, most):
            return ask("routine", most, f"until the sd is below {sd:g}", f"sd<{sd * scale.sd:.4g}")
        case Budget():
            tasks, why = worth(now, policy, bank)
            return ask("routine", tasks, why) if tasks else None


def _th(number: int) -> str:
    """For people.

    >>> _th(1), _th(2), _th(3), _th(12)
    ('single', 'second', 'third', '12th')
    """
    return {1: "single", 2: "second", 3: "third"}.get(number, f"{number}th")


def _proposal(
    then: Situation,
    now: Situation,
    bank: str,
    purpose: Purpose,
    tasks: float,
    why: str,
    stop: str = "",
) -> Proposal | None:
    """A proposal at the last checkpoint of ``then``, as far as the money of ``now`` reaches."""
    scale = then.scales[bank][2]
    many = int(min(tasks, tasks_left(now, bank), len(scale.table.ids)))
    if many < 1:
        return None
    last = then.checkpoints[-1]
    number = max((session.number for session in last.on(bank)), default=0) + 1
    avoid = _avoided(then, bank, many, purpose)
    return Proposal(last.step, bank, number, purpose, many, why, stop, avoid)


def _avoided(situation: Situation, bank: str, tasks: int, purpose: Purpose) -> tuple[str, ...]:
    """Items used lately, latest first, as far as enough others remain to choose from."""
    ids = situation.scales[bank][2].table.ids
    enough = tasks if purpose == "confirm" else max(2 * tasks, len(ids) // 2)
    recent: dict[str, None] = {}
    for checkpoint in reversed(situation.checkpoints):
        for session in reversed(checkpoint.on(bank)):
            recent.update(dict.fromkeys(item for item, _ in reversed(session.answers)))
    return tuple(recent)[: max(len(ids) - enough, 0)]


def _locating(situation: Situation, bank: str) -> Proposal | None:
    """After a confirmed alarm: one look at the middle of the checkpoints that were skipped."""
    last = situation.checkpoints[-1]
    found = situation.suspicions.get(bank)
    confirmed = any(done.bank == bank and done.step == last.step for done in situation.confirmed)
    if not confirmed or found is None:
        return None
    baseline = found[1].baseline
    between = [
        place
        for place, checkpoint in enumerate(situation.checkpoints)
        if baseline < checkpoint.step < last.step
    ]
    skipped = [place for place in between if not situation.checkpoints[place].on(bank)]
    located = any(
        session.purpose == "locate"
        for place in between
        for session in situation.checkpoints[place].on(bank)
    )
    if not skipped or located:
        return None
    then = situation.until(skipped[len(skipped) // 2])
    why = f"ability changed between {baseline} and {last.step}: find out where"
    return _proposal(then, situation, bank, "locate", follow_up(situation, bank), why)
