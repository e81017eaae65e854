"""Which models and scaffolds make able agents, and what that can be told from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from harness.bank import Calibrant, ItemBank
from harness.errors import InputError, PlanError
from harness.irt import Array
from harness.parts.ability import Kind, PartsModel
from harness.parts.names import folded
from harness.prior import year_of
from harness.responses import Responses

_DRAWS = 20_000


@dataclass(frozen=True)
class Effect:
    """One model or scaffold."""

    name: str
    effect: float
    """How much abler agents with this part are than the average agent, the other part being equal;
    for a model at the mean date of its agents, so that the trend is in it."""
    low: float
    """Ends of the interval, as in the next."""
    high: float
    sd: float
    ability: float
    """Of agents with this part, the other being average."""
    agents: int
    """Calibrating agents with this part."""
    partners: int
    """Scaffolds of a model, or models of a scaffold, that agents with another such part have too:
    what a comparison rests on. Without any, the effect is confounded with that of its partner."""
    best: float
    """Probability of being the best of those with partners; NaN without any."""

    @property
    def confounded(self) -> bool:
        """Whether nothing ties it to the others but how parts and agents are spread."""
        return self.partners == 0


@dataclass(frozen=True)
class Ranking:
    """All models, or all scaffolds, best first."""

    bank: str
    by: Kind
    level: float
    effects: tuple[Effect, ...]
    shares: tuple[tuple[str, float], ...]
    """Share of the variance of ability: trend over dates, models, scaffolds and what is the
    agent's own, which is last."""
    agents: int
    unknown: int
    """Agents whose part of this kind is not known."""
    islands: tuple[tuple[str, ...], ...]
    """Groups of these parts that no partner ties together, largest first; parts without a shared
    partner are not in any."""
    notes: tuple[str, ...]


def rank_parts(bank: ItemBank, model: PartsModel, by: Kind, level: float = 0.9) -> Ranking:
    """Effects of all known models or scaffolds, with intervals of probability ``level``.

    Raises:
        InputError: there are no two of them to compare, and why.
        PlanError: the level is no probability.
    """
    if not 0 < level < 1:
        raise PlanError(f"the level of an interval lies between 0 and 1, not at {level:g}")
    if problem := model.why_not(by):
        raise InputError(problem)
    pairs = [(folded(c.llm), folded(c.scaffold)) for c in model.agents]
    if by == "scaffold":
        pairs = [(scaffold, llm) for llm, scaffold in pairs]
    own = [one for one, _ in pairs]
    partners = shared_partners(pairs)
    names = sorted(model.known[by])
    count = np.array([own.count(name) for name in names])
    x = _rows(model, by, names)
    ability = x @ model.regression.weights
    apart = x - count / count.sum() @ x
    mean = apart @ model.regression.weights
    covariance = apart @ model.regression.covariance @ apart.T
    sd = np.sqrt(np.diag(covariance))
    reach = float(ndtri(0.5 + level / 2)) * sd
    tied = np.array([bool(partners[name]) for name in names])
    best = _best(mean, covariance, tied)
    effects = [
        Effect(
            model.known[by][name],
            *(float(mean[k]), float(mean[k] - reach[k]), float(mean[k] + reach[k]), float(sd[k])),
            *(float(ability[k]), int(count[k]), len(partners[name]), float(best[k])),
        )
        for k, name in enumerate(names)
    ]
    shares = dict(model.regression.shares())
    return Ranking(
        bank.name,
        by,
        level,
        tuple(sorted(effects, key=lambda one: -one.effect)),
        tuple((word, shares[block]) for block, word in _WORDS.items() if block in shares),
        len(model.agents),
        own.count(""),
        tuple(
            tuple(model.known[by][name] for name in island) for island in islands(partners, pairs)
        ),
        model.notes,
    )


_WORDS = {
    "date": "trend over dates",
    "model": "models",
    "scaffold": "scaffolds",
    "residual": "the agent's own",
}


def _rows(model: PartsModel, by: Kind, names: Sequence[str]) -> Array:
    """``(n, p)`` what the ability of agents with each part is in weights, all else average."""
    regression = model.regression
    x = np.zeros((len(names), regression.coding.size))
    x[:, 0] = 1.0
    for code, place in zip(regression.coding.codes, regression.coding.places, strict=True):
        if code.column.block == by:
            for row, name in enumerate(names):
                x[row, place.start + code.levels.index(name)] = 1.0
        elif code.column.block == "date" and by == "model":
            years = [_mean_year(model.users(by, name)) for name in names]
            x[:, place.start] = np.nan_to_num([code.entered(year) for year in years])
    return x


def _mean_year(users: Sequence[Calibrant]) -> float:
    years = [year_of(user.date) for user in users if user.date]
    return float(np.mean(years)) if years else float("nan")


def _best(mean: Array, covariance: Array, tied: Array) -> Array:
    """``(n,)`` probability of being the largest of those that are tied; NaN of the others."""
    found = np.full(len(mean), np.nan)
    if tied.any():
        drawn = np.random.default_rng(0).multivariate_normal(
            mean[tied], covariance[np.ix_(tied, tied)], _DRAWS, method="eigh"
        )
        found[tied] = np.bincount(drawn.argmax(axis=1), minlength=int(tied.sum())) / _DRAWS
    return found


def shared_partners(pairs: Sequence[tuple[str, str]]) -> dict[str, set[str]]:
    """For each part, its partners that another part has too; blank is unknown, and no partner.

    >>> found = shared_partners([("a", "x"), ("b", "x"), ("c", "y"), ("c", "")])
    >>> {part: sorted(partners) for part, partners in found.items()}
    {'a': ['x'], 'b': ['x'], 'c': []}
    """
    users: dict[str, set[str]] = {}
    for part, partner in pairs:
        if part and partner:
            users.setdefault(partner, set()).add(part)
    return {
        part: {partner for one, partner in pairs if one == part and len(users.get(partner, ())) > 1}
        for part, _ in pairs
        if part
    }


def islands(
    partners: Mapping[str, set[str]], pairs: Sequence[tuple[str, str]]
) -> list[tuple[str, ...]]:
    """Groups of parts that shared partners tie together, directly or through others.

    >>> pairs = [("a", "x"), ("b", "x"), ("b", "y"), ("c", "y"), ("d", "z"), ("e", "z")]
    >>> islands(shared_partners(pairs), pairs)
    [('a', 'b', 'c'), ('d', 'e')]
    """
    open_ = {part for part, found in partners.items() if found}
    found = []
    while open_:
        group, edge = set(), {min(open_)}
        while edge:
            group |= edge
            through = set().union(*(partners[part] for part in edge))
            edge = {part for part, partner in pairs if partner in through} - group
        open_ -= group
        found.append(tuple(sorted(group)))
    return sorted(found, key=lambda group: -len(group))


def measured_bank(bank: ItemBank, responses: Responses) -> ItemBank:
    """The bank with the agents of some outcomes in place of its calibrating agents.

    Raises:
        ResponsesError: an item or category that the bank does not have.
    """
    from harness.estimate import estimate_abilities

    found = estimate_abilities(bank, responses)
    return replace(
        bank,
        calibrants=tuple(
            Calibrant(agent, tuple(ability), tuple(sd), *about)
            for agent, ability, sd, *about in zip(
                *(found.agents, found.ability.tolist(), found.sd.tolist()),
                *(responses.date, responses.llm, responses.scaffold),
                strict=True,
            )
        ),
    )


def sentences(ranking: Ranking) -> Iterator[str]:
    """What was found, and what cannot be told from these agents."""
    of_kind = f"{ranking.by}s"
    tied = [effect for effect in ranking.effects if not effect.confounded]
    if tied:
        first = max(tied, key=lambda effect: effect.best)
        yield (
            f"{first.name} is the most likely best of the {len(tied)} {of_kind} that can be "
            f"compared (probability {first.best:.0%})."
        )
    shares = ", ".join(f"{word} {share:.0%}" for word, share in ranking.shares)
    yield f"Share of the variance of ability among {ranking.agents} agents: {shares}."
    partner = "scaffold" if ranking.by == "model" else "model"
    if confounded := len(ranking.effects) - len(tied):
        yield (
            f"{confounded} of {len(ranking.effects)} {of_kind} share no {partner} with another "
            f"{ranking.by}: what is theirs cannot be told from what is their {partner}'s, but for "
            "how much each usually matters; their intervals count that."
        )
    if len(ranking.islands) > 1:
        sizes = ", ".join(str(len(group)) for group in ranking.islands)
        yield (
            f"The {of_kind} with shared {partner}s fall into {len(ranking.islands)} groups (of "
            f"{sizes}) that no {partner} ties together: across groups a comparison rests on the "
            f"spread of {partner}s alone."
        )
    if ranking.unknown:
        yield (
            f"{ranking.unknown} agents have no known {ranking.by}; they tell of the trend and of "
            f"their {partner}s only."
        )
    for note in ranking.notes:
        yield f"{note[0].upper()}{note[1:]}."
