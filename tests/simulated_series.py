"""Series whose answers are drawn from the banks themselves, for tests of what is told of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.bank import Item, ItemBank
from harness.schedule.alarms import Alarm, parse_alarm
from harness.schedule.drift import Drift
from harness.schedule.events import Checkpoint, Purpose, Tested
from harness.schedule.situation import Situation, Spending, make_situation
from harness.schedule.space import Scale, make_spaces

ALARMS = (parse_alarm("fall>0.25 within 3"), parse_alarm("fall>0.5 since first"))
NO_LIMIT = Spending()


def small_bank(
    name: str = "care", items: int = 24, label: str = "item", usd: float = np.nan
) -> ItemBank:
    """A bank of graded and binary items, easy ones first."""
    labels = {"binary": ("fail", "pass"), "graded": ("no", "part", "yes")}
    made = []
    for row, b in enumerate(np.linspace(-2.0, 2.0, items)):
        if row % 3:
            item = Item(f"{label}-{row:02d}", "2pl", (1.6,), (-1.6 * b,))
        else:
            cuts = (1.4 * (0.8 - b), 1.4 * (-0.8 - b))
            item = Item(f"{label}-{row:02d}", "grm", (1.4,), cuts, categories="graded")
        made.append(replace(item, usd=usd, seconds=60.0 if np.isfinite(usd) else np.nan))
    return ItemBank(name, tuple(made), categories=labels)


def draw(
    scale: Scale, ability: float, tasks: int, rng: np.random.Generator
) -> tuple[tuple[str, int], ...]:
    """Answers of somebody of this ability to random items."""
    node = int(np.abs(scale.nodes - ability).argmin())
    p = scale.table.p[:, :, node]
    rows = rng.choice(len(p), min(tasks, len(p)), replace=False)
    return tuple((scale.table.ids[row], int(rng.choice(len(p[row]), p=p[row]))) for row in rows)


def simulated(
    banks: Sequence[ItemBank],
    truth: Sequence[float],
    *,
    steps: Sequence[int] | None = None,
    tasks: int = 6,
    seed: int = 0,
    joint: bool = False,
    trend: bool = False,
    alarms: Sequence[Alarm] = ALARMS,
    limit: Spending = NO_LIMIT,
    usd: float = 0.4,
    jumps: Sequence[int] = (),
    skipped: Sequence[int] = (),
) -> Situation:
    """A series whose abilities are ``truth``, in sds, on every bank; places in ``skipped`` are not
    tested.

    Each checkpoint has a session on each bank; every third one a follow-up, every fifth a
    confirming one.
    """
    rng = np.random.default_rng(seed)
    steps = tuple(range(1000, 1000 * len(truth) + 1, 1000)) if steps is None else tuple(steps)
    gap = int(np.median(np.diff(steps))) if len(steps) > 1 else 1
    spaces = make_spaces(banks, Drift(unit=max(gap, 1), trend=trend), joint)
    checkpoints = []
    for place, (step, level) in enumerate(zip(steps, truth, strict=True)):
        sessions: list[Tested] = []
        scales = [scale for space in spaces for scale in space.scales]
        for scale in scales if place not in skipped else ():
            purposes: list[Purpose] = ["routine"]
            if place % 3 == 2:
                purposes.append("follow-up")
            if place % 5 == 4:
                purposes.append("confirm")
            for number, purpose in enumerate(purposes, 1):
                many = 3 * tasks if place == 0 else tasks * number
                answers = draw(scale, scale.bank.mean[0] + level * scale.sd, many, rng)
                sessions.append(
                    Tested(
                        scale.name,
                        number,
                        purpose,
                        many,
                        "done",
                        answers,
                        voids=int(place % 4 == 3),
                        usd=usd * len(answers),
                        seconds=90.0 * len(answers),
                        run=f"sessions/{step:012d}-{scale.name}-{number}",
                    )
                )
        checkpoints.append(Checkpoint(step, step in jumps, tuple(sessions)))
    names = [bank.name for bank in banks]
    watched = tuple((name, alarm) for name in names for alarm in alarms)
    return make_situation(checkpoints, spaces, alarms=watched, limit=limit)


def with_states(situation: Situation, **changes: object) -> Situation:
    """The same series, its sessions changed, such as all of them still running."""
    checkpoints = tuple(
        replace(checkpoint, sessions=tuple(replace(s, **changes) for s in checkpoint.sessions))  # type: ignore[arg-type]
        for checkpoint in situation.checkpoints
    )
    made = make_situation(checkpoints, [course.space for course in situation.courses])
    return replace(situation, checkpoints=made.checkpoints, courses=made.courses)
