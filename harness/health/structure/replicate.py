"""Outcomes drawn from the fitted model, as what one ability alone would show."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.health.evidence import Evidence
from harness.irt import Array

LEAST_SCORES = 2.0
"""Items that fewer agents solved, or failed, say nothing of what goes with them."""
_MOST_APART = 0.1
"""Share of agents that may be set aside."""


@dataclass(frozen=True, eq=False)
class Residuals:
    """Scores against what ability says of them: A agents, n items; all are 0 where missing."""

    residual: Array
    """``(A, n)`` score of a cell less its expectation over the agent's posterior."""
    variance: Array
    """``(A, n)`` of the score given ability, averaged over the posterior."""
    third: Array
    """``(A, n)`` third central moment of the same."""
    seen: Array
    """``(A, n)`` 1 where a cell has an outcome."""


def residuals_of(evidence: Evidence, counts: Array) -> Residuals:
    """Residuals of outcomes under the item parameters of the evidence.

    Args:
        counts: ``(A, n, K)`` outcomes, the observed ones or some of :func:`replicate`.

    With repeated trials the likelihood counts each cell as the independent trials it is worth,
    which is fast enough for hundreds of replicates.
    """
    trials = counts.sum(axis=2)
    seen = trials > 0
    worth = np.where(seen, np.maximum(evidence.weight, 1e-9), 1.0)
    share = counts * (worth / np.maximum(trials, 1.0))[:, :, None]
    with np.errstate(divide="ignore"):
        log_p = np.maximum(np.log(evidence.p), -1e3)
    log = evidence.log_prior + np.tensordot(share, log_p, 2)
    posterior = np.exp(log - log.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    away = evidence.worth[:, :, None] - evidence.expected[:, None, :]
    second, third = (np.einsum("nkq,nkq->nq", evidence.p, away**power) for power in (2, 3))
    score = np.einsum("ank,nk->an", counts, evidence.worth) / np.maximum(trials, 1.0)
    return Residuals(
        residual=np.where(seen, score - posterior @ evidence.expected.T, 0.0),
        variance=np.where(seen, posterior @ second.T / worth, 0.0),
        third=np.where(seen, posterior @ third.T / worth**2, 0.0),
        seen=seen.astype(float),
    )


def replicate(evidence: Evidence, rng: np.random.Generator) -> Array:
    """``(A, n, K)`` outcomes drawn from the fitted model of one ability, in the same cells with as
    many trials; each agent's ability is a draw from its posterior."""
    agents, items = evidence.trials.shape
    upto = evidence.posterior.cumsum(axis=1)
    node = (upto < rng.random((agents, 1)) * upto[:, -1:]).sum(axis=1)
    effect = rng.choice(len(evidence.log_effect), (agents, items), p=np.exp(evidence.log_effect))
    p = np.exp(evidence.log_p[effect, np.arange(items), :, node[:, None]])
    p /= p.sum(axis=2, keepdims=True)
    return np.asarray(rng.multinomial(evidence.trials.astype(int), p), float)


def varied(evidence: Evidence) -> NDArray[np.bool_]:
    """``(n,)`` whether several agents scored on an item and several failed to."""
    score = evidence.score
    return np.asarray(
        np.minimum(np.nansum(score, axis=0), np.nansum(1 - score, axis=0)) >= LEAST_SCORES
    )


def shape(found: Residuals) -> Array:
    """``(A, n)`` residuals with mean 0 and sum of squares 1 in each item, so that the sum over
    agents of products is their correlation; 0 where missing."""
    number = np.maximum(found.seen.sum(axis=0), 1.0)
    away = (found.residual - found.residual.sum(axis=0) / number) * found.seen
    length = np.sqrt((away**2).sum(axis=0))
    return np.asarray(away / np.where(length > 1e-9, length, np.inf))


def set_aside(evidence: Evidence) -> tuple[Evidence, tuple[str, ...]]:
    """The evidence without agents that fill the largest component of the residuals by themselves.

    A broken run, or an agent that knows some of the answers, makes items look alike that have
    nothing in common. Such an agent has a score on the component beyond three sds, and more than a
    third of its variance.
    """
    names: list[str] = []
    agents = len(evidence.ability)
    for _ in range(int(_MOST_APART * agents)):
        kept = varied(evidence)
        if np.count_nonzero(kept) < 3:
            break
        here = shape(residuals_of(evidence, evidence.counts))[:, kept]
        own = np.linalg.svd(here, full_matrices=False)[0][:, 0]
        outlier = int(np.argmax(np.abs(own)))
        if own[outlier] ** 2 <= max(1 / 3, 9 / len(own)):
            break
        names.append(evidence.responses.agents[outlier])
        evidence = _without(evidence, outlier)
    return evidence, tuple(names)


def _without(evidence: Evidence, agent: int) -> Evidence:
    stay = np.delete(np.arange(len(evidence.ability)), agent)
    names = [evidence.responses.agents[a] for a in stay]
    return replace(
        evidence,
        responses=evidence.responses.subset(agents=names),
        posterior=evidence.posterior[stay],
        groups={k: tuple(v[a] for a in stay) for k, v in evidence.groups.items()},
        cutoff=tuple(evidence.cutoff[a] for a in stay),
    )


def about_set_aside(names: tuple[str, ...]) -> tuple[str, ...]:
    """A caution about them, if any."""
    if not names:
        return ()
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return (
        f"{len(names)} agent{'s' * (len(names) > 1)} ({shown}) left out here: outcomes unlike "
        "those of all others would make unrelated items look alike.",
    )
