"""From a proposal to the plan of an ordinary session."""

import numpy as np

from harness.ability import Prior, mixed
from harness.events import Plan
from harness.grammar import parse_stop
from harness.irt import Array
from harness.schedule.course import Course
from harness.schedule.events import Proposal
from harness.select import Exclude, MaxInformation, Selector
from harness.stop import MaxItems, any_of

_PARTS = 3
_ROUNDS = 40


def session_plan(
    course: Course,
    proposal: Proposal,
    *,
    seed: int = 0,
    width: int = 1,
    max_attempts: int = 2,
    level: float = 0.9,
) -> Plan:
    """The plan of a proposed session: its prior is what the series believes of the checkpoint.

    The prior only steers the choice of items and an early end; the series weighs the answers by
    its own belief, which also knows what was answered before.

    Args:
        course: of the bank.
        seed: of the series; the session's own follows from it, the step and the number.
    """
    select: Selector = MaxInformation()
    if proposal.avoid:
        select = Exclude(select, proposal.avoid)
    most = MaxItems(proposal.tasks)
    axis = course.space.axis(proposal.bank)
    belief = course.visits[course.steps.index(proposal.step)].belief
    own = np.random.SeedSequence([seed, proposal.step % 2**64, axis, proposal.number])
    return Plan(
        select=select,
        stop=any_of(parse_stop(proposal.stop), most) if proposal.stop else most,
        prior=prior_of(course.space.scales[axis].nodes, belief.ability(axis)),
        seed=int(own.generate_state(1)[0]),
        width=width,
        max_attempts=max_attempts,
        level=level,
    )


def prior_of(nodes: Array, weights: Array) -> Prior:
    """A mixture of normals that is close to probabilities ``(Q,)`` of nodes ``(Q,)``.

    By expectation maximisation from three equal parts of the mass. A forecast that holds a
    possible fall has two humps, which one normal would fill in between.

    >>> nodes = np.linspace(-5, 5, 121)
    >>> humps = np.exp(-8 * (nodes - 1) ** 2) + np.exp(-8 * (nodes + 1) ** 2)
    >>> prior = prior_of(nodes, humps / humps.sum())
    >>> abs(round(prior.mean[0], 2)), round(prior.sd[0], 2)
    (0.0, 1.03)
    """
    spacing = nodes[1] - nodes[0]
    part = np.minimum((weights.cumsum() - weights / 2) * _PARTS, _PARTS - 1e-9).astype(int)
    share = (part[None] == np.arange(_PARTS)[:, None]).astype(float) + 1e-6
    mass = mean = sd = np.ones(_PARTS)
    for _ in range(_ROUNDS):
        own = share / share.sum(axis=0) * weights
        mass = own.sum(axis=1)
        mean = own @ nodes / mass
        variance = (own * (nodes - mean[:, None]) ** 2).sum(axis=1) / mass
        sd = np.sqrt(np.maximum(variance, (spacing / 2) ** 2))
        share = (mass / sd)[:, None] * np.exp(-0.5 * ((nodes - mean[:, None]) / sd[:, None]) ** 2)
        share += 1e-300
    kept = mass > 1e-6
    total = mass[kept].sum()
    rounded = [
        (round(float(m / total), 6), round(float(x), 6), round(float(s), 6))
        for m, x, s in zip(mass[kept], mean[kept], sd[kept], strict=True)
    ]
    return mixed(tuple(rounded))
