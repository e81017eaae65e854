"""What the calibrating agents, and their dates, say of a new agent's ability before any answer."""

import re
from typing import Literal

import numpy as np

from harness.ability import Prior
from harness.bank import ItemBank
from harness.errors import PlanError

FEWEST_DATED = 10
"""Calibrating agents with a date that a trend needs."""


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
    return trend or bank.population


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
            return bank.population
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
