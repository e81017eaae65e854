"""Agents whose outcomes one ability does not explain, and what their pattern looks like.

Person fit (lz*) says that an agent is surprising. Patterns say how, each by a marginal likelihood
over ability against that of the plain model: ``agent_patterns`` (the easiest items go wrong, the
hardest right), ``agent_dates`` (abler on items older than the model's cutoff), ``agent_failures``
(nothing scored on a tag, or on a block of consecutive items; drift during a run).

Under the plain model a Bayes factor of 1/p or more has probability p at most (Markov), which makes
a p-value of it. Real agents fit no model of one ability: a statistic must also stand out from
those of the other agents, their robust spread being the null (Efron 2004).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from harness.health.agents.answers import FEW_AGENTS, Answers
from harness.health.agents.dates import find_shifts
from harness.health.agents.failures import find_drifts, find_failures
from harness.health.agents.fit import AgentFit, bins_of, surprises_of
from harness.health.agents.flagging import flags_of
from harness.health.agents.patterns import find_patterns
from harness.health.agents.person_fit import person_fit
from harness.health.evidence import Evidence
from harness.health.flags import Flag, adjusted
from harness.health.summaries import centre_and_spread, lower_spread
from harness.irt import Array


@dataclass(frozen=True)
class AgentsFit:
    """All agents, in the order of the evidence."""

    agents: tuple[AgentFit, ...]
    centre: float
    """Median of lz* over agents."""
    spread: float
    """Robust sd of lz* over agents; 1 under the model, less as items were fitted to the agents."""
    flags: tuple[Flag, ...]
    cautions: tuple[str, ...]


def analyse_agents(
    evidence: Evidence, dates: Sequence[str], order: Array | None = None
) -> AgentsFit:
    """Look at every agent.

    Args:
        evidence: of A agents and n items.
        dates: ISO date of each agent, empty where unknown: no later than which its model can have
            seen an item, where its cutoff is unknown.
        order: ``(n,)`` or ``(A, n)`` when each item was administered, NaN where it was not; None
            where unknown.
    """
    answers = Answers(evidence)
    fit = person_fit(*answers.at_ability, evidence.counts, evidence.weight)
    centre, spread = centre_and_spread(fit.corrected)
    many = len(fit.p) >= FEW_AGENTS
    among = ndtr((fit.corrected - min(centre, 0.0)) / lower_spread(fit.corrected)) if many else 0.0
    p = np.where(np.isfinite(fit.p), np.maximum(fit.p, among), np.nan)
    q = adjusted(p)
    easy, hard = find_patterns(answers, "lowest"), find_patterns(answers, "highest")
    dated = find_shifts(answers, dates)
    failed = find_failures(answers, order)
    drift = find_drifts(evidence, order)
    bins = bins_of(answers)
    agents = tuple(
        AgentFit(
            name=name,
            ability=float(evidence.ability[a]),
            answers=int(np.count_nonzero(evidence.trials[a])),
            score=float(np.nanmean(evidence.score[a])),
            lz=float(fit.lz[a]),
            corrected=float(fit.corrected[a]),
            p=float(p[a]),
            q=float(q[a]),
            outfit=float(fit.outfit[a]),
            infit=float(fit.infit[a]),
            easy=easy[a],
            hard=hard[a],
            dated=dated[a],
            failed=failed[a],
            drift=drift[a],
            surprises=surprises_of(answers, a),
            bins=bins[a],
        )
        for a, name in enumerate(evidence.responses.agents)
    )
    cautions = _cautions(evidence, agents, spread, order)
    return AgentsFit(agents, centre, spread, flags_of(agents), cautions)


def _cautions(
    evidence: Evidence, agents: Sequence[AgentFit], spread: float, order: Array | None
) -> tuple[str, ...]:
    cautions = []
    count = len(agents)
    if count < FEW_AGENTS:
        cautions.append(
            f"What is usual cannot be known from {count} agents, so only gross misfit is flagged."
        )
    elif spread > 1.2:
        cautions.append(
            f"Person fit varies {spread:.1f} times as much as one ability allows: agents have "
            "strengths of their own. Only those that stand out from the others are flagged."
        )
    if evidence.fitted and FEW_AGENTS <= count < 30:
        cautions.append(
            f"The items were fitted to these very {count} agents, which makes each look more "
            "ordinary than it is."
        )
    short = sum(one.answers < 20 for one in agents)
    if short:
        cautions.append(
            f"{short} of {count} agents have fewer than 20 answers, on which hardly any pattern "
            "can be told from chance."
        )
    if not any(one.dated for one in agents):
        cautions.append(
            "No agent has a date, with at least five items on either side of it: whether older "
            "items are easier, as contamination makes them, cannot be tested."
        )
    if order is None:
        cautions.append(
            "The order of administration is unknown: drift during a run cannot be tested, and "
            "blocks of failures are sought in the order of the items."
        )
    return tuple(cautions)
