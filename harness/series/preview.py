"""What any number of workers would test of a series now, and what that is expected to cost."""

from dataclasses import dataclass, replace

from harness.schedule.events import Proposal, Tested
from harness.schedule.policy import parse_policy
from harness.schedule.propose import propose
from harness.schedule.situation import Situation
from harness.series.state import Loaded


@dataclass(frozen=True)
class Preview:
    """A session that is worth holding now, and what it is expected to cost."""

    proposal: Proposal
    usd: float
    """NaN where unknown, as are the seconds."""
    seconds: float


def preview(loaded: Loaded) -> tuple[Preview, ...]:
    """What would be tested now, by any number of workers."""
    found: list[Preview] = []
    policy = parse_policy(loaded.definition.policy)
    situation = loaded.situation
    while (proposal := propose(situation, policy)) is not None:
        usd, seconds = situation.prices[proposal.bank]
        found.append(Preview(proposal, usd * proposal.tasks, seconds * proposal.tasks))
        situation = _planned(situation, proposal)
    return tuple(found)


def _planned(situation: Situation, proposal: Proposal) -> Situation:
    session = Tested(
        proposal.bank, proposal.number, proposal.purpose, proposal.tasks, state="planned"
    )
    return replace(
        situation,
        checkpoints=tuple(
            replace(checkpoint, sessions=(*checkpoint.sessions, session))
            if checkpoint.step == proposal.step
            else checkpoint
            for checkpoint in situation.checkpoints
        ),
    )


__all__ = ["Preview", "preview"]
