"""The parameters of py-irt (Lalor & Rodriguez 2023), its ``best_parameters.json``.

``P(1) = σ(disc (ability - diff))``, to which ``3pl`` adds a lower asymptote and ``4pl`` an upper
one (its lower is 0), both as ``lambdas``; the logit of ``multidim_2pl`` is the sum of
``disc_j (ability_j - diff_j)``. Releases before 0.4.6 fitted another 3pl.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness import irt
from harness.bank import Calibrant, Item, ItemBank
from harness.errors import BankError
from harness.exchange.found import Found, Population, check_abilities
from harness.irt import Array, Model

_MODELS: dict[str, Model] = {
    "1pl": "1pl",
    "amortized_1pl": "1pl",
    "2pl": "2pl",
    "3pl": "3pl",
    "4pl": "4pl",
    "multidim_2pl": "2pl",
}


def read_py_irt(text: str) -> Found:
    """Items, population and agents of py-irt's parameters.

    The population is that of the key ``population``, which :func:`py_irt_text` writes, else the
    mean and spread of the abilities of the agents.

    Raises:
        BankError: naming the key.
    """
    try:
        content: dict[str, Any] = json.loads(text)
        items = _names(content["item_ids"])
        agents = _names(content.get("subject_ids", {}))
        kind = str(content["irt_model"])
    except json.JSONDecodeError as error:
        raise BankError(f"this is not the JSON of py-irt's parameters ({error})") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BankError(
            "these are not py-irt's parameters: it lacks irt_model or item_ids, or item_ids or "
            "subject_ids do not map '0', '1', … to names"
        ) from None
    if kind not in _MODELS:
        raise BankError(f"irt_model {kind!r} is not one of {', '.join(_MODELS)}")
    several = kind == "multidim_2pl"
    diff = _array(content, "diff", items, several)
    disc = np.ones_like(diff) if _MODELS[kind] == "1pl" else _array(content, "disc", items, several)
    abilities = diff.shape[1]
    check_abilities(abilities)
    if disc.shape != diff.shape:
        raise BankError(f"'diff' has {abilities} abilities, but 'disc' {disc.shape[1]}")
    # not -x, which would make -0
    intercepts = 0.0 - (disc * diff).sum(axis=1)
    lower, upper = np.zeros(len(items)), np.ones(len(items))
    if kind == "3pl":
        lower = _array(content, "lambdas", items, False)[:, 0]
    elif kind == "4pl":
        upper = _array(content, "lambdas", items, False)[:, 0]
    columns = (items, disc.tolist(), intercepts.tolist(), lower.tolist(), upper.tolist())
    return Found(
        "py-irt",
        tuple(
            Item(name, _MODELS[kind], tuple(a), (d,), low, high)
            for name, a, d, low, high in zip(*columns, strict=True)
        ),
        *_scale(content, agents, several, abilities),
    )


def _names(by_position: Mapping[str, Any]) -> list[str]:
    found = {int(position): str(name) for position, name in by_position.items()}
    if sorted(found) != list(range(len(found))):
        raise ValueError("positions have gaps")
    return [found[position] for position in range(len(found))]


def _array(content: Mapping[str, Any], key: str, names: Sequence[str], several: bool) -> Array:
    """``(n, D)`` numbers of the n items or agents named."""
    if key not in content:
        raise BankError(f"the key {key!r} is missing")
    try:
        values = np.array(content[key], float).reshape(len(names), -1)
    except (TypeError, ValueError):
        raise BankError(f"{key!r} must hold numbers for each of {len(names)} names") from None
    if not several and values.shape[1] != 1:
        raise BankError(f"{key!r} must hold one number for each of {len(names)} names")
    if not np.isfinite(values).all():
        name = names[int(np.argmin(np.isfinite(values).all(axis=1)))]
        raise BankError(f"{key!r} of {name!r} is not a finite number")
    return values


def _scale(
    content: Mapping[str, Any], agents: Sequence[str], several: bool, abilities: int
) -> tuple[Population | None, tuple[Calibrant, ...]]:
    population = _population(content)
    if not agents:
        return population, ()
    mean = _array(content, "ability", agents, several)
    known = "scale_ability" in content
    sd = _array(content, "scale_ability", agents, several) if known else np.zeros_like(mean)
    if not mean.shape == sd.shape == (len(agents), abilities):
        raise BankError(f"'ability' and 'scale_ability' must hold {abilities} numbers an agent")
    # posterior means spread less than abilities do, by the variances of the posteriors
    variance = mean.var(axis=0) + (sd**2).mean(axis=0)
    if population is None and (variance > 0).all():
        population = Population(
            tuple(mean.mean(axis=0).tolist()), tuple(np.sqrt(variance).tolist())
        )
    calibrants = (
        Calibrant(agent, tuple(m), tuple(s))
        for agent, m, s in zip(agents, mean.tolist(), sd.tolist(), strict=True)
    )
    return population, tuple(calibrants) if known else ()


def _population(content: Mapping[str, Any]) -> Population | None:
    if "population" not in content:
        return None
    try:
        given = content["population"]
        mean, sd = (tuple(map(float, given[key])) for key in ("mean", "sd"))
        correlation = tuple(tuple(map(float, row)) for row in given.get("correlation", ()))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BankError("'population' must hold lists of numbers: mean, sd, correlation") from None
    return Population(mean, sd, correlation)


def py_irt_text(bank: ItemBank) -> str:
    """A bank as py-irt's parameters.

    ``scale_ability`` (sds of the agents) and ``population`` are ours; py-irt ignores them.

    Raises:
        BankError: naming an item that no model of py-irt has.
    """
    kind = _kind(bank)
    several = kind == "multidim_2pl"
    slopes = np.array([item.slopes for item in bank.items], float)
    intercepts = np.array([item.intercepts for item in bank.items], float)
    # of the difficulties that make an intercept, those closest to 0
    diff = -intercepts * slopes / (slopes**2).sum(axis=1, keepdims=True)
    content: dict[str, Any] = {
        "ability": _nested([agent.ability for agent in bank.calibrants], several),
        "diff": _nested(diff.tolist(), several),
    }
    if kind != "1pl":
        content["disc"] = _nested(slopes.tolist(), several)
    if kind in ("3pl", "4pl"):
        content["lambdas"] = [i.lower if kind == "3pl" else i.upper for i in bank.items]
    content |= {
        "irt_model": kind,
        "item_ids": {str(n): item.id for n, item in enumerate(bank.items)},
        "subject_ids": {str(n): agent.agent for n, agent in enumerate(bank.calibrants)},
        "scale_ability": _nested([agent.sd for agent in bank.calibrants], several),
        "population": {"mean": bank.mean, "sd": bank.sd, "correlation": bank.correlation},
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def _nested(values: Sequence[Sequence[float]], several: bool) -> list[Any]:
    """As py-irt has numbers: one a name, or a list of them with several abilities."""
    return [list(row) if several else row[0] for row in values]


def _kind(bank: ItemBank) -> str:
    """The model of py-irt that holds all items."""
    for item in bank.items:
        if irt.family(item.model) != "binary":
            raise BankError(
                f"item {item.id!r} is {item.model}, but py-irt has binary items only; export to "
                "mirt"
            )
    lower = [item.id for item in bank.items if item.lower > 0]
    upper = [item.id for item in bank.items if item.upper < 1]
    if len(bank.mean) > 1:
        if lower or upper:
            raise BankError(
                f"item {(lower or upper)[0]!r} has an asymptote, which py-irt's multidim_2pl does "
                "not; export to mirt"
            )
        return "multidim_2pl"
    if lower and upper:
        raise BankError(
            f"item {lower[0]!r} has a lower and item {upper[0]!r} an upper asymptote, but py-irt "
            "has one of them in a file; export to mirt"
        )
    if lower or upper:
        return "3pl" if lower else "4pl"
    return "1pl" if all(item.slopes == (1.0,) for item in bank.items) else "2pl"
