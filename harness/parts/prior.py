"""The prior of a session from what is known of the agent: its model, scaffold and date."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

from harness.ability import Prior, mixed
from harness.bank import ItemBank
from harness.errors import PlanError
from harness.parts.ability import KINDS, Kind, Parts, PartsModel, fit_parts, lacks_parts
from harness.parts.names import folded
from harness.prior import PriorName, named_prior, trend_prior
from harness.responses.names import likeness

_STRANGERS = 0.05
"""Share of agents that are like any of the population, whatever their parts say."""
_NEAR = 3

AgentPriorName = PriorName | Literal["parts"]
PRIOR_NAMES: tuple[AgentPriorName, ...] = (*get_args(PriorName), "parts")


@dataclass(frozen=True)
class ChosenPrior:
    """A prior, and why it is this one."""

    prior: Prior
    name: AgentPriorName
    words: tuple[str, ...]
    """Sentences."""


def prior_of(
    model: PartsModel, bank: ItemBank, agents: Sequence[Parts], names: Sequence[str] = ()
) -> tuple[Prior, ...]:
    """Priors of agents whose parts are known: the prediction of their abilities.

    One agent in twenty counts as one of the population whatever its parts are, so that answers can
    overrule names: submissions that failed for reasons of their own lie sds away.

    Args:
        model: fitted to the bank.
        bank: whose population strangers come from.
        agents: their parts.
        names: of the agents; one of the calibrating agents is predicted from all the others.

    Raises:
        PlanError: a date cannot be read.
    """
    strangers = bank.population.mixture or ((1.0, bank.mean[0], bank.sd[0]),)
    means, sds = model.predict(agents)
    others = model.regression.left_out()
    place = {name: row for row, name in enumerate(others.names)}
    for n, name in enumerate(names):
        if (row := place.get(name)) is not None:
            means[n], sds[n] = others.mean[row], others.sd[row]
    return tuple(
        mixed(
            (
                (1 - _STRANGERS, float(mean), float(sd)),
                *((_STRANGERS * weight, centre, width) for weight, centre, width in strangers),
            )
        )
        for mean, sd in zip(means, sds, strict=True)
    )


def parts_prior(bank: ItemBank, parts: Parts) -> Prior:
    """Prior for one agent by its parts; those that are unknown widen it.

    Raises:
        InputError: the bank knows too few models and scaffolds.
        PlanError: the date cannot be read.

    >>> from harness.bank import Calibrant, Item
    >>> agents = tuple(
    ...     Calibrant(f"{llm}{n}", (ability + 0.1 * n,), (0.2,), llm=llm)
    ...     for llm, ability in (("big", 1.0), ("small", -1.0)) for n in range(6)
    ... )
    >>> bank = ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),), calibrants=agents)
    >>> big, small = (parts_prior(bank, Parts(llm=name)).mean[0] for name in ("BIG", "small"))
    >>> big > 0.9, small < -0.6
    (True, True)
    """
    return prior_of(fit_parts(bank), bank, (parts,))[0]


def choose_priors(
    name: AgentPriorName,
    bank: ItemBank,
    agents: Sequence[Parts],
    names: Sequence[str] = (),
) -> tuple[ChosenPrior, ...]:
    """The prior that a name in a plan means, for each of some agents.

    ``auto`` goes by the parts of an agent with a known model or scaffold, else by the trend over
    dates, else by the population. Arguments as :func:`prior_of`.

    Raises:
        PlanError: the prior that is asked for cannot be had, and why.
    """
    by_parts = [name == "parts" or (name == "auto" and bool(one)) for one in agents]
    if not any(by_parts):
        return tuple(_without_parts(name, bank, one) for one in agents)
    problem = lacks_parts(bank)
    model = None if problem else fit_parts(bank)
    if model is not None and not model.kinds:
        problem = " and ".join(map(model.why_not, KINDS))
    if name == "parts":
        _check_parts(bank, agents, problem)
    if model is None or problem:
        return tuple(_without_parts(name, bank, one, problem) for one in agents)
    priors = prior_of(model, bank, agents, names)
    return tuple(
        ChosenPrior(prior, "parts", tuple(grounds(model, one)))
        if chosen
        else _without_parts(name, bank, one)
        for one, prior, chosen in zip(agents, priors, by_parts, strict=True)
    )


def _check_parts(bank: ItemBank, agents: Sequence[Parts], problem: str) -> None:
    if problem:
        raise PlanError(
            f"there is no prior by parts on bank {bank.name!r}: {problem}; use auto, or calibrate "
            "with --agents FILE"
        )
    if not all(one or one.date for one in agents):
        raise PlanError(
            "a prior by parts needs the model, scaffold or date of the agent (--llm, --scaffold, "
            "--date, or in the outcomes); use auto"
        )


def _without_parts(
    name: AgentPriorName, bank: ItemBank, agent: Parts, problem: str = ""
) -> ChosenPrior:
    assert name != "parts"
    prior = named_prior(name, bank, agent.date)
    if name != "auto":
        return ChosenPrior(prior, name, (f"the prior is {name}, as asked",))
    trend = bool(agent.date) and trend_prior(bank, agent.date) is not None
    ground = f"the trend over dates at {agent.date}" if trend else "the population of the bank"
    why = (f"{problem}: model and scaffold are not used",) if agent and problem else ()
    return ChosenPrior(prior, "trend" if trend else "population", (f"the prior is {ground}", *why))


def grounds(model: PartsModel, agent: Parts) -> Iterator[str]:
    """What a prediction from parts rests on, in sentences: agents that share each part, or that
    none does, with the names that come nearest."""
    for kind in KINDS:
        name = agent.name(kind)
        if note := model.why_not(kind):
            yield note
        elif not name:
            yield f"the {kind} is not known: any of those of the bank"
        elif users := model.users(kind, name):
            count = f"{len(users)} calibrating agent{'s' * (len(users) > 1)}"
            yield f"{kind} {model.known[kind][folded(name)]!r} is that of {count}"
        else:
            near = near_names(model, kind, name)
            hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
            yield f"no calibrating agent has {kind} {name!r}: counted as a new {kind}{hint}"
    if not agent.date and model.regression.coding.blocks[:1] == ("date",):
        yield "the date is not known: any of those of the bank"


def near_names(model: PartsModel, kind: Kind, name: str) -> tuple[str, ...]:
    """Known models or scaffolds whose names are like this one, the most alike first.

    Names whose numbers differ are those of other versions, and are not offered.
    """
    known = model.known[kind]
    alike = {
        other: found.similarity for other in known.values() if (found := likeness(name, other))
    }
    numbers = re.findall(r"\d+", folded(name))
    same = [key for key in known if re.findall(r"\d+", key) == numbers]
    close = [known[key] for key in get_close_matches(folded(name), same, _NEAR, cutoff=0.75)]
    return tuple(dict.fromkeys([*sorted(alike, key=lambda one: -alike[one]), *close]))[:_NEAR]
