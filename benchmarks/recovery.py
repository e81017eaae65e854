"""Recovery of known items where tasks far outnumber agents, and coverage of their intervals.

    python benchmarks/recovery.py [--seeds 20] [--agents 100] [--items 500] [--json FILE]

Sets like the simulated reference sets: 2PL, a ~ LogNormal(.2, .4), b ~ N(.3, 1.3), ability N(0, 1),
complete and with 30% missing at random. Priors estimated with the items against fixed ones
(a ~ LogNormal(0, .5), d ~ N(0, 3)). *Linked* errors are on the scale on which the agents drawn have
mean 0 and sd 1, after fitted abilities were put on it too; *unlinked* ones are taken as they come,
so that a drift of the scale counts. Items with a single outcome are left out.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as TextTable

from harness.calibrate import Calibration, Normal, Priors, calibrate
from harness.irt import Array
from harness.responses import from_matrix

FIXED = Priors(Normal.lognormal_density(0.0, 0.5), Normal(0.0, 3.0))
LEVEL = 1.6449
"""Half-width of a 90% interval in standard errors."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What the outcomes were drawn from."""

    ability: Array
    a: Array
    b: Array
    outcomes: Array


def draw(seed: int, agents: int, items: int, missing: float) -> Truth:
    """A set of outcomes, -1 where missing."""
    rng = np.random.default_rng([seed, agents, items])
    ability = rng.standard_normal(agents)
    a, b = np.exp(rng.normal(0.2, 0.4, items)), rng.normal(0.3, 1.3, items)
    p = 1 / (1 + np.exp(-a * (ability[:, None] - b)))
    outcomes = (rng.random(p.shape) < p).astype(float)
    outcomes[rng.random(p.shape) < missing] = -1
    told = [len(set(column) - {-1.0}) > 1 for column in outcomes.T]
    return Truth(ability, a[told], b[told], outcomes[:, told])


def errors(fit: Calibration, truth: Truth) -> dict[str, float]:
    """Root mean squared errors, and coverage of nominal 90% intervals."""
    a = np.array([item.slopes[0] for item in fit.bank.items])
    d = np.array([item.intercepts[0] for item in fit.bank.items])
    b, ability = -d / a, fit.ability[:, 0]
    # the scale of the agents: mean 0 and sd 1, the doubt about each agent counted in
    mean = ability.mean()
    sd = np.sqrt(((ability - mean) ** 2 + fit.sd[:, 0] ** 2).mean())
    true_mean, true_sd = truth.ability.mean(), truth.ability.std()
    true_d = -truth.a * truth.b
    on_scale = np.column_stack([np.log(truth.a * true_sd), true_d + truth.a * true_mean])
    found = np.column_stack([np.log(a * sd), d + a * mean])
    given = np.sqrt([np.diag(np.array(item.covariance)) for item in fit.bank.items])
    as_drawn = np.column_stack([np.log(truth.a), true_d])
    marginal = np.array(fit.standard_errors)
    inside = (np.abs(found - on_scale) < LEVEL * given).mean(axis=0)
    inside_drawn = (np.abs(np.column_stack([np.log(a), d]) - as_drawn) < LEVEL * marginal).mean(
        axis=0
    )

    def rmse(x: Array, y: Array) -> float:
        return float(np.sqrt(((x - y) ** 2).mean()))

    return {
        "a linked": rmse(a * sd, truth.a * true_sd),
        "b linked": rmse((b - mean) / sd, (truth.b - true_mean) / true_sd),
        "ability linked": rmse((ability - mean) / sd, (truth.ability - true_mean) / true_sd),
        "a unlinked": rmse(a, truth.a),
        "b unlinked": rmse(b, truth.b),
        "ability unlinked": rmse(ability, truth.ability),
        "sd of abilities": float(sd),
        "coverage log a": float(inside[0]),
        "coverage d": float(inside[1]),
        "coverage log a, scale counted": float(inside_drawn[0]),
        "coverage d, scale counted": float(inside_drawn[1]),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    for name, missing in (("complete", 0.0), ("30% missing", 0.3)):
        for priors, given in (("fixed", FIXED), ("estimated", None)):
            runs = []
            for seed in range(options.seeds):
                truth = draw(seed, options.agents, options.items, missing)
                fit = calibrate(from_matrix(truth.outcomes), "2pl", name="x", priors=given)
                runs.append(errors(fit, truth) | {"converged": float(fit.converged)})
            figures[f"{name}, {priors} priors"] = {
                key: [float(np.mean([r[key] for r in runs])), float(np.std([r[key] for r in runs]))]
                for key in runs[0]
            }
    title = f"{options.agents} agents × {options.items} items, {options.seeds} seeds"
    table = TextTable(title=title)
    table.add_column("mean ± sd over seeds")
    for name in figures:
        table.add_column(name, justify="right")
    for key in next(iter(figures.values())):
        table.add_row(key, *(f"{f[key][0]:.3f} ± {f[key][1]:.3f}" for f in figures.values()))
    Console(width=130).print(table)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
