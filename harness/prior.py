"""What the calibrating agents, and their dates, say of a new agent's ability before any answer."""

import re
from typing import Literal

import numpy as np

from harness.ability import Prior, mixed
from harness.bank import ItemBank
from harness.errors import PlanError

FEWEST_DATED = 10
"""Calibrating agents with a date that a trend needs."""
_KERNEL = 0.5
"""Sd of the normal around each calibrating agent, in sds of the population."""
_NORMAL = 10
"""How many calibrating agents the normal population weighs as much as."""


def population_prior(bank: ItemBank) -> Prior:
    """Prior for an agent of which nothing is known: the population of the calibrating agents.

    Real agents are no normal population: most are of one generation, some far behind it. Their
    distribution is a kernel density of the calibrating agents' abilities (Rosenblatt 1956), on
    centres half an sd apart, mixed with the bank's normal as if that were ten agents more.

    >>> from harness.bank import Calibrant, Item
    >>> agents = tuple(Calibrant(f"a{k}", (1.0,), (0.1,)) for k in range(30))
    >>> bank = ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),), calibrants=agents)
    >>> population_prior(bank).mixture
    ((0.25, 0.0, 1.0), (0.75, 1.0, 0.5))
    """
    normal = Prior(bank.mean, bank.sd, bank.correlation)
    if len(bank.mean) > 1 or not bank.calibrants:
        return normal
    mean, sd = bank.mean[0], bank.sd[0]
    width = _KERNEL * sd
    place = (np.array([calibrant.ability[0] for calibrant in bank.calibrants]) - mean) / width
    # each agent counts at the two centres beside it, by nearness
    below = np.floor(place)
    centres, where = np.unique(np.concatenate([below, below + 1]), return_inverse=True)
    share = np.bincount(where, weights=np.concatenate([below + 1 - place, place - below]))
    agents = len(place)
    kernels = [
        (float(f"{weight:.6g}"), float(mean + centre * width), width)
        for centre, weight in zip(centres, share / (agents + _NORMAL), strict=True)
        if weight > 0
    ]
    return mixed(((_NORMAL / (agents + _NORMAL), mean, sd), *kernels))


def trend_prior(bank: ItemBank, date: str) -> Prior | None:
    """Prior for an agent of a date: a line through the abilities of the calibrating agents.

    Mean and sd are those of the prediction of one more agent by least squares. Beyond the dates of
    the calibrating agents the line is not followed: a trend is no promise, and one that overshoots
    costs more than one that lags.

    Args:
        date: ``2026``, ``2026-11`` or ``2026-11-29``.

    Returns:
        None where the bank has fewer than ten dated agents, all of one date, or several abilities.

    Raises:
        PlanError: a date cannot be read.
    """
    dated = [calibrant for calibrant in bank.calibrants if calibrant.date]
    if len(dated) < FEWEST_DATED or len(bank.mean) > 1:
        return None
    when = np.array([year_of(calibrant.date) for calibrant in dated])
    if not np.ptp(when):
        return None
    ability = np.array([calibrant.ability[0] for calibrant in dated])
    centre = when.mean()
    design = np.stack([np.ones(len(when)), when - centre], axis=1)
    line, residue, *_ = np.linalg.lstsq(design, ability)
    variance = float(residue[0]) / (len(when) - 2)
    at = np.array([1.0, float(np.clip(year_of(date), when.min(), when.max())) - centre])
    doubt = at @ np.linalg.inv(design.T @ design) @ at
    return Prior((float(at @ line),), (float(np.sqrt(variance * (1 + doubt))),))


def agent_prior(bank: ItemBank, date: str = "") -> Prior:
    """Prior for an agent: by the trend if the dates allow it, else the bank's population.

    >>> from harness.bank import Calibrant, Item
    >>> agent_prior(ItemBank("demo", (Item("i", "2pl", (1.0,), (0.0,)),)), "2026-11").mean
    (0.0,)
    """
    trend = trend_prior(bank, date) if date else None
    return trend or population_prior(bank)


PriorName = Literal["auto", "trend", "population", "normal"]


def named_prior(name: PriorName, bank: ItemBank, date: str = "") -> Prior:
    """A prior by its name in a plan, for an agent of a date.

    Raises:
        PlanError: there is no trend.
    """
    match name:
        case "auto":
            return agent_prior(bank, date)
        case "population":
            return population_prior(bank)
        case "normal":
            return Prior(bank.mean, bank.sd, bank.correlation)
        case "trend":
            prior = trend_prior(bank, date) if date else None
            if prior is None:
                raise PlanError(
                    f"there is no trend of ability for this agent: bank {bank.name!r} needs the "
                    f"dates of at least {FEWEST_DATED} calibrating agents (the column date of its "
                    "agents.csv), and the agent a date (--agent-date, or in the outcomes); use "
                    "population or auto"
                )
            return prior


def year_of(date: str) -> float:
    """A date as a number of years.

    >>> year_of("2026-07"), year_of("2026")
    (2026.5, 2026.0)

    Raises:
        PlanError: it is no date.
    """
    match = re.fullmatch(r"(\d{4})(?:-?(\d\d)(?:-?(\d\d))?)?(?:[T ].*)?", date.strip())
    year, month, day = (int(part) if part else 1 for part in match.groups()) if match else (0, 0, 0)
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise PlanError(f"{date!r} is not a date such as 2026, 2026-11 or 2026-11-29")
    return year + (month - 1) / 12 + (day - 1) / 372
