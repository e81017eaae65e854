"""What every diagnosis starts from: cleaned outcomes, a bank of one ability, and residuals.

A cell is what one agent did on one item in m trials; its score is the mean over them. With an
agent × item effect the trials of a cell are alike: given ability the variance of its score is

    between(θ) + within(θ) / m

and the cell counts as ``1 + (m-1)ρ`` times fewer independent trials (Kish 1965).
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import logsumexp

from harness.bank import ItemBank, compile_bank
from harness.calibrate import calibrate
from harness.calibrate.fit import TRIALS_AGREE
from harness.errors import ResponsesError
from harness.estimate import posteriors
from harness.irt import Array
from harness.responses import Responses
from harness.responses.families import family_of, maker_in

FEWEST_ANSWERS = 3
"""Items that an agent must have answered to be looked at."""
_EFFECT_NODES = 15


@dataclass(frozen=True, eq=False)
class Evidence:
    """A agents, n items, K categories at most, Q nodes of one ability.

    Everything is at point estimates of the item parameters, as fit statistics are defined.
    """

    responses: Responses
    """Cleaned: every agent has answers enough, every item has an outcome."""
    bank: ItemBank
    """One ability; its items are those of the responses, in their order."""
    fitted: bool
    """The bank was calibrated on these very outcomes, not given."""
    nodes: Array
    """``(Q,)`` uniform, at most half the smallest posterior sd apart."""
    posterior: Array
    """``(A, Q)`` of each agent given all of its answers; rows sum to 1."""
    log_prior: Array
    """``(Q,)``."""
    log_p: Array
    """``(E, n, K, Q)`` log-probabilities of a trial at E values of the agent × item effect; -inf
    beyond an item's categories."""
    log_effect: Array
    """``(E,)`` log-weights of those values; ``[0.]`` without an effect."""
    groups: Mapping[str, tuple[str, ...]]
    """Of each agent by attribute: family, scaffold, year; empty strings where unknown. Only
    attributes that are known of somebody."""
    tags: Mapping[str, tuple[str, ...]]
    """Of each item by attribute, such as a category of task; empty strings where unknown."""
    cutoff: tuple[str, ...]
    """ISO date up to which each agent's model has seen text; empty where unknown."""
    created: tuple[str, ...]
    """ISO date from which each item was public; empty where unknown."""
    notes: tuple[str, ...]
    """What was left out, and why."""

    @cached_property
    def p(self) -> Array:
        """``(n, K, Q)`` probability of each category in one trial."""
        return np.asarray(np.exp(logsumexp(self.log_p + self.log_effect[:, None, None, None], 0)))

    @cached_property
    def worth(self) -> Array:
        """``(n, K)`` score of each category, between 0 and 1; 0 beyond the top."""
        top = self.responses.n_categories[:, None] - 1
        k = np.arange(self.log_p.shape[2])
        return np.asarray(np.where(k <= top, k / top, 0.0))

    @cached_property
    def expected(self) -> Array:
        """``(n, Q)`` expected score."""
        return np.asarray(np.einsum("nk,nkq->nq", self.worth, self.p))

    @cached_property
    def _by_effect(self) -> tuple[Array, Array]:
        """``(E, n, Q)`` mean and variance of a trial's score given the effect."""
        p = np.exp(self.log_p)
        mean = np.einsum("nk,enkq->enq", self.worth, p)
        return mean, np.einsum("nk,enkq->enq", self.worth**2, p) - mean**2

    @cached_property
    def within(self) -> Array:
        """``(n, Q)`` variance of one trial's score given the cell."""
        return np.asarray(np.einsum("e,enq->nq", np.exp(self.log_effect), self._by_effect[1]))

    @cached_property
    def between(self) -> Array:
        """``(n, Q)`` variance between cells of one ability; 0 without an effect."""
        mean = self._by_effect[0]
        return np.asarray(
            np.einsum("e,enq->nq", np.exp(self.log_effect), (mean - self.expected) ** 2)
        )

    @cached_property
    def score(self) -> Array:
        """``(A, n)`` mean score of each cell; NaN where missing."""
        return self.responses.scores()

    @cached_property
    def counts(self) -> Array:
        """``(A, n, K)`` how often each category was observed."""
        return self.responses.counts()

    @cached_property
    def trials(self) -> Array:
        """``(A, n)``."""
        return self.responses.attempts.astype(float)

    @cached_property
    def weight(self) -> Array:
        """``(A, n)`` independent trials that each cell is worth; 0 where missing."""
        density = self.posterior.mean(axis=0)
        between, within = self.between @ density, self.within @ density
        rho = between / np.maximum(between + within, 1e-12)
        return np.asarray(self.trials / (1 + np.maximum(self.trials - 1, 0) * rho))

    @cached_property
    def ability(self) -> Array:
        """``(A,)`` posterior means."""
        return np.asarray(self.posterior @ self.nodes)

    @cached_property
    def sd(self) -> Array:
        """``(A,)`` posterior sds."""
        return np.asarray(
            np.sqrt(np.maximum(self.posterior @ self.nodes**2 - self.ability**2, 0.0))
        )

    @cached_property
    def expected_score(self) -> Array:
        """``(A, n)`` expected score of each cell over the agent's posterior."""
        return np.asarray(self.posterior @ self.expected.T)

    @cached_property
    def score_variance(self) -> Array:
        """``(A, n)`` variance of each cell's score, averaged over the posterior; NaN missing."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = self.posterior @ self.between.T + self.posterior @ self.within.T / self.trials
        return np.asarray(np.where(self.trials > 0, found, np.nan))

    @cached_property
    def difficulty(self) -> Array:
        """``(n,)`` ability at which half of the score is expected; ±inf where it never is."""
        rising = np.maximum.accumulate(self.expected, axis=1)
        fine = [np.interp(0.5, row, self.nodes, left=-np.inf, right=np.inf) for row in rising]
        return np.asarray(fine)

    def log_likelihood(self, item: int) -> Array:
        """``(A, Q)`` log-likelihood of each agent's cell on one item; 0 where missing."""
        log_p = np.maximum(self.log_p[:, item], -1e3)
        by_effect = np.einsum("ak,ekq->eaq", self.counts[:, item], log_p)
        return np.asarray(logsumexp(by_effect + self.log_effect[:, None, None], axis=0))

    def posterior_without(self, item: int) -> Array:
        """``(A, Q)`` posterior of each agent from its answers on all other items."""
        with np.errstate(divide="ignore"):
            log = np.log(self.posterior) - self.log_likelihood(item)
        weights = np.exp(log - log.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class About:
    """What is known of agents and items besides outcomes: attribute to value, by name."""

    agents: Mapping[str, Mapping[str, str]]
    items: Mapping[str, Mapping[str, str]]


NOTHING_KNOWN = About({}, {})
_CREATED = "created"


def gather(
    responses: Responses,
    bank: ItemBank | None = None,
    about: About = NOTHING_KNOWN,
) -> Evidence:
    """Clean outcomes, calibrate a bank on them unless one is given, and find all posteriors.

    Args:
        responses: outcomes; with a bank only those on its items.
        bank: a calibrated bank of one ability that has the items of the responses.
        about: attributes of agents (family, llm, scaffold, date, cutoff) and of items (created,
            any other is a tag); they win over those in the responses.

    Raises:
        ResponsesError: fewer than two agents or two items are left.
        BankError: the bank has several abilities.

    >>> from harness.responses import from_matrix
    >>> rng = np.random.default_rng(0)
    >>> found = gather(from_matrix(rng.random((30, 10)) < 0.6))
    >>> found.posterior.shape[0], found.expected.shape[0], found.notes
    (30, 10, ())
    """
    kept, notes = _clean(_described(responses, about))
    notes = (*responses.notes, *notes)
    if bank is None and kept.trials_agree:
        kept, notes = kept.first_trials(), (*notes, TRIALS_AGREE)
    if bank is None:
        binary = bool(kept.n_categories.max() == 2)
        models = {
            item: ("2pl" if binary or k == 2 else "grm")
            for item, k in zip(kept.items, kept.n_categories, strict=True)
        }
        fit = calibrate(kept, models, name=kept.source or "outcomes")  # type: ignore[arg-type]
        used = fit.bank
        notes += fit.warnings
    else:
        if len(bank.mean) > 1:
            raise ResponsesError(
                f"bank {bank.name!r} has {len(bank.mean)} abilities; its health needs a bank of one"
            )
        used = replace(bank, items=tuple(bank[item] for item in kept.items))
    nodes, weights = _posteriors(used, kept)
    log_p, log_effect = _by_effect(used, nodes)
    spread = -0.5 * ((nodes - used.mean[0]) / used.sd[0]) ** 2
    tags = _tags(kept, used, about)
    return Evidence(
        responses=kept,
        bank=used,
        fitted=bank is None,
        nodes=nodes,
        posterior=weights,
        log_prior=spread - logsumexp(spread),
        log_p=log_p,
        log_effect=log_effect,
        groups=_groups(kept, about),
        tags=tags,
        cutoff=tuple(about.agents.get(a, {}).get("cutoff", "") for a in kept.agents),
        created=tuple(about.items.get(i, {}).get(_CREATED, "") for i in kept.items),
        notes=notes,
    )


def without_items(evidence: Evidence, names: Collection[str]) -> Evidence:
    """The same agents, with the posteriors they have, on the other items."""
    items = evidence.responses.items
    stay = np.flatnonzero([item not in names for item in items])
    bank = replace(evidence.bank, items=tuple(evidence.bank.items[i] for i in stay))
    return replace(
        evidence,
        responses=evidence.responses.subset(items=[items[i] for i in stay]),
        bank=bank,
        log_p=evidence.log_p[:, stay],
        tags={name: tuple(values[i] for i in stay) for name, values in evidence.tags.items()},
        created=tuple(evidence.created[i] for i in stay),
    )


def _clean(responses: Responses) -> tuple[Responses, tuple[str, ...]]:
    """Without items that nobody tried and agents with too few answers; what was left out."""
    notes: list[str] = []
    source = responses.source or "the outcomes"
    tried = np.count_nonzero(responses.attempts, axis=0) > 0
    if not tried.all():
        names = [i for i, yes in zip(responses.items, tried, strict=True) if not yes]
        notes.append(f"{_named(names, 'item')} nobody tried: left out")
        responses = responses.subset(items=np.array(responses.items)[tried].tolist())
    fewest = min(FEWEST_ANSWERS, len(responses.items))
    answered = np.count_nonzero(responses.attempts, axis=1)
    enough = answered >= fewest
    if not enough.all():
        names = [a for a, few in zip(responses.agents, ~enough, strict=True) if few]
        notes.append(
            f"{_named(names, 'agent')} with fewer than {fewest} answers: left out, as so few say "
            "nothing of an ability"
        )
        responses = responses.subset(agents=np.array(responses.agents)[enough].tolist())
        if len(responses.agents) >= 2 and not responses.attempts.any(axis=0).all():
            again, more = _clean(responses)
            return again, (*notes, *more)
    if len(responses.agents) < 2 or len(responses.items) < 2:
        raise ResponsesError(
            f"{source}: {len(responses.agents)} agents and {len(responses.items)} items with "
            f"answers enough are left, but two of each are the least that can be compared"
            + "".join(f"; {note}" for note in notes)
        )
    return responses, tuple(notes)


def _named(names: Sequence[str], noun: str) -> str:
    """``2 agents ('a', 'b')``, at most three by name."""
    shown = ", ".join(repr(name) for name in names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names)} {noun}{'s' * (len(names) != 1)} ({shown})"


def _posteriors(bank: ItemBank, responses: Responses) -> tuple[Array, Array]:
    fine, weights = posteriors(bank, responses, uncertainty=False)
    x = fine[:, 0]
    mean = weights @ x
    sd = np.sqrt(np.maximum(weights @ x**2 - mean**2, 1e-12))
    step = max(1, math.floor(0.5 * float(sd.min()) / float(x[1] - x[0])))
    thin = weights[:, ::step]
    return x[::step], thin / thin.sum(axis=1, keepdims=True)


def _by_effect(bank: ItemBank, nodes: Array) -> tuple[Array, Array]:
    """Log-probabilities at Gauss-Hermite points of the agent × item effect, and log-weights."""
    if not any(item.effect_sd for item in bank.items):
        return compile_bank(bank, nodes[:, None], uncertainty=False).log_p[None], np.zeros(1)
    points, weights = np.polynomial.hermite_e.hermegauss(_EFFECT_NODES)
    tables = []
    for point in points:
        items = tuple(
            replace(
                item,
                intercepts=tuple(d + float(point) * item.effect_sd for d in item.intercepts),
                effect_sd=0.0,
            )
            for item in bank.items
        )
        moved = replace(bank, items=items)
        tables.append(compile_bank(moved, nodes[:, None], uncertainty=False).log_p)
    return np.stack(tables), np.log(weights / weights.sum())


def _described(responses: Responses, about: About) -> Responses:
    """With what is known of the agents written over what the outcomes say of them."""

    def of(column: str, own: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(
            about.agents.get(agent, {}).get(column, "") or value
            for agent, value in zip(responses.agents, own, strict=True)
        )

    return replace(
        responses,
        llm=of("llm", responses.llm),
        scaffold=of("scaffold", responses.scaffold),
        date=of("date", responses.date),
    )


def _groups(responses: Responses, about: About) -> dict[str, tuple[str, ...]]:
    """Family, scaffold and year of each agent, as far as anything is known of them."""
    families = tuple(
        about.agents.get(agent, {}).get("family", "") or family_of(llm) or maker_in(agent)
        for agent, llm in zip(responses.agents, responses.llm, strict=True)
    )
    years = tuple(date[:4] for date in responses.date)
    found = {"family": families, "scaffold": responses.scaffold, "year": years}
    return {name: values for name, values in found.items() if any(values)}


def _tags(responses: Responses, bank: ItemBank, about: About) -> dict[str, tuple[str, ...]]:
    names = dict.fromkeys(name for row in about.items.values() for name in row if name != _CREATED)
    found = {
        name: tuple(about.items.get(item, {}).get(name, "") for item in responses.items)
        for name in names
    }
    own = [set(item.tags) for item in bank.items]
    # a tag that some items of the bank have is an attribute with two values
    for tag in dict.fromkeys(t for item in bank.items for t in item.tags):
        if tag not in found:
            found[tag] = tuple(tag if tag in tags else f"not {tag}" for tags in own)
    # what nearly every item has for itself, such as its text, groups nothing
    most = len(responses.items) / 2
    useful = {n: values for n, values in found.items() if 1 < len({*values} - {""}) <= most}
    # the same groups under another name would be looked at twice
    seen: dict[tuple[int, ...], str] = {}
    for name, values in useful.items():
        places: dict[str, int] = {}
        seen.setdefault(tuple(places.setdefault(value, len(places)) for value in values), name)
    return {name: useful[name] for name in seen.values()}
