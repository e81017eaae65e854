"""New agents: nothing is known of them but their parts, and items are known from other agents."""

import numpy as np
from scipy.special import ndtr

from harness.ability import Prior
from harness.bank import Item, ItemBank
from harness.coldstart.benchmark import Benchmark, Indices
from harness.coldstart.fits import Oracle, any_item, fit_known, pass_rates
from harness.coldstart.forecast import Forecast, Placed, Places
from harness.coldstart.splits import Fold
from harness.coldstart.tell_cells import all_items
from harness.parts.ability import Parts, lacks_parts
from harness.parts.prior import choose_priors


def tell_agents(benchmark: Benchmark, fold: Fold, oracle: Oracle) -> dict[str, Forecast]:
    """All methods on one fold; its new agents are those that it tells of."""
    responses = benchmark.responses
    new = np.flatnonzero(fold.told.any(axis=1))
    known = np.flatnonzero(fold.known.any(axis=1))
    train = benchmark.within(fold.known).subset(agents=[responses.agents[a] for a in known])
    shape = benchmark.seen.shape
    one = fit_known(train, "2pl")
    items = all_items(one, benchmark)
    item, _, _ = any_item(one.bank)

    def told(priors: list[Prior], of: list[Item]) -> Forecast:
        weights = np.array([np.exp(prior.log_weights(one.nodes)) for prior in priors])
        everywhere = np.full(shape, np.nan)
        everywhere[new] = one.passing(of, weights)
        return Forecast(everywhere, None, _placed(priors, new, truth))

    truth = _on_scale(one.bank, known, oracle.ability)
    anybody = [one.bank.population] * len(new)
    found = {
        "item mean": Forecast(np.broadcast_to(pass_rates(train, axis=0), shape)),
        "population": told(anybody, items),
    }
    if not lacks_parts(one.bank):
        parts = tuple(
            Parts(responses.llm[a], responses.scaffold[a], responses.date[a]) for a in new
        )
        priors = [chosen.prior for chosen in choose_priors("auto", one.bank, parts)]
        found["ability only"] = told(priors, [item])
        found["parts"] = told(priors, items)
    return found | {"oracle": Forecast(oracle.passing)}


def _on_scale(bank: ItemBank, known: Indices, full: Places) -> Places:
    """Abilities from all outcomes on the scale of the agents that calibrated.

    Each scale has its own agents at mean 0 and sd 1, and those of a date are not those of all
    dates. The agents that calibrated have an ability on either.
    """
    here = np.array([agent.ability[0] for agent in bank.calibrants])
    there = full.value[known]
    unit = here.std() / there.std()
    return Places(here.mean() + unit * (full.value - there.mean()), unit * full.error)


def _placed(priors: list[Prior], rows: Indices, truth: Places) -> Placed:
    value, error = truth.value[rows], truth.error[rows]
    parts = [prior.mixture or ((1.0, prior.mean[0], prior.sd[0]),) for prior in priors]
    below = [
        sum(weight * ndtr((x - mean) / np.hypot(sd, se)) for weight, mean, sd in mixture)
        for x, se, mixture in zip(value, error, parts, strict=True)
    ]
    mean, sd = np.array([(prior.mean[0], prior.sd[0]) for prior in priors]).T
    return Placed(rows, mean, sd, value, np.array(below))
