"""What differs between two runs besides their agents.

A difference of agents means something only where the rest was the same. What the journals tell of
images, limits, programs and machines is held side by side: some differences forbid the comparison,
others are told.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from harness.ability import Prior
from harness.events import Machine, Setting, Started
from harness.session import Session


@dataclass(frozen=True)
class Mismatch:
    """Something in which two runs differ besides their agents."""

    what: str
    first: str
    second: str
    forbids: bool
    """Whether the abilities must not be compared; otherwise it is good to know."""


def first_start(session: Session) -> Started | None:
    """The event that began a session; None for one that was put together without."""
    return next((event for event in session.events if isinstance(event, Started)), None)


def mismatches(first: Session, second: Session) -> Iterator[Mismatch]:
    """What differs between two runs besides their agents."""
    yield from _settings(first, second)
    start, other = first_start(first), first_start(second)
    if start is None or other is None:
        return
    if _limits(start) != _limits(other):
        yield Mismatch("limits of each item", _limits(start), _limits(other), forbids=True)
    if start.plan.prior != other.plan.prior:
        ours, theirs = _prior(start.plan.prior), _prior(other.plan.prior)
        yield Mismatch("prior over ability", ours, theirs, forbids=False)
    if start.rescored != other.rescored:
        yield Mismatch(
            "scoring", start.rescored or "as it ran", other.rescored or "as it ran", forbids=False
        )
    if _judge(start) != _judge(other):
        yield Mismatch("judge of quality", _judge(start), _judge(other), forbids=True)
    if start.version != other.version:
        yield Mismatch("version of cat-harness", start.version, other.version, forbids=False)
    yield from _machines(start.machine, other.machine)


def _prior(prior: Prior) -> str:
    return ", ".join(f"{m:.2f} ± {sd:.2f}" for m, sd in zip(prior.mean, prior.sd, strict=True))


def _judge(start: Started) -> str:
    return (start.launch.judge if start.launch else None) or "none"


def _limits(start: Started) -> str:
    limits = start.launch.limits if start.launch else ()
    return ", ".join(f"{name} {value:g}" for name, value in sorted(limits)) or "none"


def _settings(first: Session, second: Session) -> Iterator[Mismatch]:
    """Images and limits of the items that both answered, and contradictions within the rest."""
    ours, theirs = (_by_item(session) for session in (first, second))
    for item in ours:
        if item not in theirs or ours[item] == theirs[item]:
            continue
        a, b = asdict(ours[item]), asdict(theirs[item])
        for name in a:
            if a[name] != b[name]:
                yield Mismatch(
                    f"{_WORDS.get(name, name)} of {item}", str(a[name]), str(b[name]), forbids=True
                )


_WORDS = {
    "image": "image",
    "cpus": "processors",
    "memory_mb": "memory (MiB)",
    "storage_mb": "storage (MiB)",
    "network": "network",
}


def _by_item(session: Session) -> dict[str, Setting]:
    return {
        event.item: event.setting
        for event in session.answered.values()
        if event.setting is not None
    }


def _machines(first: Machine | None, second: Machine | None) -> Iterator[Mismatch]:
    if first is None or second is None:
        if first is not second:
            known, other = ("recorded" if machine else "unknown" for machine in (first, second))
            yield Mismatch("machine", known, other, forbids=False)
        return
    a, b = asdict(first), asdict(second)
    for name in a:
        if name != "load" and a[name] != b[name]:
            yield Mismatch(f"machine: {name}", str(a[name]), str(b[name]), forbids=False)
    for which, machine in (("first", first), ("second", second)):
        if machine.load > machine.cores:
            load, other = (f"{m.load:g} on {m.cores} processors" for m in (first, second))
            what = f"machine: busy at the start of the {which} run"
            yield Mismatch(what, load, other, forbids=False)
