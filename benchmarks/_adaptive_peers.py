"""What people would use instead of this program, as functions over the same inputs.

A peer takes what is known from the training agents, outcomes ``(A, n)`` of agents under test (-1
is missing), the sizes of test at which it is asked, and a seed. It answers with predicted pass
rates ``(A, sizes)`` over the tasks that an agent has outcomes on. Those written here test all
agents in lockstep; the two packages go agent by agent.

Every peer that estimates an ability is given the stronger form of a prediction: the tasks it has
seen count as they came out, the others with their probability at the estimate. That is what ATLAS
calls p-IRT, and what tinyBenchmarks (Maia Polo et al. 2024) has under the same name; Fluid
Benchmarking, catsim and adaptivetesting stop at the ability.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
Outcomes = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Parameters:
    """Binary items with point estimates: ``P = lower + (1 - lower) σ(slope (θ - difficulty))``."""

    slope: Array
    """``(n,)``, as the next two."""
    difficulty: Array
    lower: Array

    def p(self, ability: Array) -> Array:
        """``(A, n)`` probabilities to pass at abilities ``(A,)``."""
        reach = expit(self.slope * (ability[:, None] - self.difficulty))
        return np.asarray(self.lower + (1 - self.lower) * reach)

    def information(self, ability: Array) -> Array:
        """``(A, n)`` Fisher information: ``a² (q/p) ((p - c) / (1 - c))²`` (Lord 1980)."""
        reach = expit(self.slope * (ability[:, None] - self.difficulty))
        # with r = (p - c) / (1 - c), q = (1 - c) (1 - r): no difference of near equals is taken
        miss = expit(-self.slope * (ability[:, None] - self.difficulty))
        passed = self.lower + (1 - self.lower) * reach
        share = np.divide(reach**2, passed, out=np.zeros_like(reach), where=passed > 0)
        return np.asarray(self.slope**2 * (1 - self.lower) * miss * share)


@dataclass(frozen=True, eq=False)
class Training:
    """What is known from B agents before the test."""

    single: Outcomes
    """``(B, n)`` one trial of each cell; -1 is missing."""
    rates: Array
    """``(B, n)`` pass rate over the trials of each cell; NaN is missing."""
    two: Parameters
    """2PL."""
    three: Parameters
    """3PL."""

    @cached_property
    def item_rates(self) -> Array:
        """``(n,)`` share of the training agents that pass a task."""
        return np.asarray(np.nanmean(self.rates, axis=0))


@dataclass(frozen=True, eq=False)
class Found:
    """What a method says of A agents at S sizes."""

    rates: Array
    """``(A, S)`` predicted pass rates."""
    ability: Array | None = None
    """``(A, S)``, of methods that have one."""
    taken: Outcomes | None = None
    """``(A, N)`` tasks in their order, -1 where none was left to give."""


Peer = Callable[[Training, Outcomes, Sequence[int], int], Found]


# --- without a model --------------------------------------------------------------------------


def random_order(allowed: Mask, seed: int) -> Outcomes:
    """``(A, n)`` the allowed tasks of each agent in random order, then the others."""
    draw = np.random.default_rng(seed).random(allowed.shape)
    return np.argsort(np.where(allowed, draw, np.inf), axis=1)


def running_mean(values: Array, used: Mask) -> Array:
    """``(A, n)`` mean of the first k used values of each row, at every k; 1/2 of none."""
    total = np.cumsum(np.where(used, values, 0.0), axis=1)
    count = np.cumsum(used, axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), 0.5))


def random_mean(_: Training, outcomes: Outcomes, sizes: Sequence[int], seed: int) -> Found:
    """Random tasks, and their mean."""
    return _plain_mean(outcomes, outcomes >= 0, sizes, seed)


def middle(training: Training) -> Mask:
    """``(n,)`` tasks that 30 to 70% of the training agents pass."""
    return np.asarray((training.item_rates >= 0.3) & (training.item_rates <= 0.7))


def filtered_mean(training: Training, outcomes: Outcomes, sizes: Sequence[int], seed: int) -> Found:
    """Random among the tasks of intermediate difficulty, and their mean (Ndzomga 2026).

    An agent that has had all of them is given no more.
    """
    return _plain_mean(outcomes, (outcomes >= 0) & middle(training), sizes, seed)


def _plain_mean(outcomes: Outcomes, allowed: Mask, sizes: Sequence[int], seed: int) -> Found:
    order = random_order(allowed, seed)
    used = np.take_along_axis(allowed, order, axis=1)
    means = running_mean(np.take_along_axis(outcomes, order, axis=1).astype(float), used)
    taken = np.where(used, order, -1)[:, : max(sizes)]
    return Found(means[:, np.array(sizes) - 1], taken=taken)


def filtered_regression(
    training: Training, outcomes: Outcomes, sizes: Sequence[int], seed: int
) -> Found:
    """:func:`filtered_mean`, its mean brought to the pass rate over all tasks.

    By least squares over the training agents: their pass rates over all tasks on their means over
    the very tasks that the agent was given, one trial each as it had. So a mean of few tasks, which
    tells little, is shrunk towards the average agent.
    """
    plain = filtered_mean(training, outcomes, sizes, seed)
    assert plain.taken is not None
    known = (training.single >= 0).astype(float)
    passed = np.where(training.single > 0, 1.0, 0.0)
    whole = np.nanmean(training.rates, axis=1)
    rates = np.empty_like(plain.rates)
    for column, size in enumerate(sizes):
        chosen = _indicator(plain.taken[:, :size], outcomes.shape[1])
        count = known @ chosen.T
        # (B, A): mean of each training agent over the tasks of each agent under test
        mean = np.divide(passed @ chosen.T, count, out=np.full(count.shape, 0.5), where=count > 0)
        centred = mean - mean.mean(axis=0)
        spread = (centred**2).sum(axis=0)
        slope = np.divide(
            centred.T @ (whole - whole.mean()), spread, out=np.zeros_like(spread), where=spread > 0
        )
        rates[:, column] = whole.mean() + slope * (plain.rates[:, column] - mean.mean(axis=0))
    return Found(np.clip(rates, 0.0, 1.0), taken=plain.taken)


def _indicator(taken: Outcomes, n: int) -> Array:
    """``(A, n)`` 1 where a task is among those taken."""
    chosen = np.zeros((len(taken), n + 1))
    np.put_along_axis(chosen, taken, 1.0, axis=1)
    # -1, none, was written into the last column
    return chosen[:, :n]


# --- with item response theory ----------------------------------------------------------------

Choose = Callable[[int, Array, Mask], Outcomes]
"""From the number of tasks given, abilities ``(A,)`` and what is open ``(A, n)`` to rows ``(A,)``.
Agents with nothing open get any row, which is not used."""
Estimate = Callable[[Parameters, Outcomes], Array]
"""From answers ``(A, n)``, -1 where there is none, to abilities ``(A,)``."""


def lockstep(
    parameters: Parameters,
    outcomes: Outcomes,
    sizes: Sequence[int],
    choose: Choose,
    estimate: Estimate,
) -> Found:
    """Test all agents at once, from an ability of 0, one task a round."""
    agents, n = outcomes.shape
    rows = np.arange(agents)
    answers = np.full((agents, n), -1)
    ability = np.zeros(agents)
    taken = np.full((agents, max(sizes)), -1)
    rates, abilities = [], []
    for count in range(max(sizes)):
        open_ = (outcomes >= 0) & (answers < 0)
        who = rows[open_.any(axis=1)]
        item = choose(count, ability, open_)[who]
        answers[who, item] = outcomes[who, item]
        taken[who, count] = item
        ability = estimate(parameters, answers)
        if count + 1 in sizes:
            rates.append(predicted_rates(parameters, outcomes >= 0, answers, ability))
            abilities.append(ability)
    return Found(np.stack(rates, axis=1), np.stack(abilities, axis=1), taken)


def predicted_rates(
    parameters: Parameters, counted: Mask, answers: Outcomes, ability: Array
) -> Array:
    """``(A,)`` pass rates over the counted tasks: answers where known, else their probabilities."""
    score = np.where(answers >= 0, answers, parameters.p(ability))
    return np.asarray((score * counted).sum(axis=1) / counted.sum(axis=1))


def eap(parameters: Parameters, answers: Outcomes, low: float, high: float, nodes: int) -> Array:
    """``(A,)`` posterior means under N(0, 1) by a sum over equally spaced nodes."""
    grid = np.linspace(low, high, nodes)
    p = np.clip(parameters.p(grid), 1e-300, 1.0)
    miss = np.clip(1 - p, 1e-300, 1.0)
    log_weights = (answers == 1) @ np.log(p).T + (answers == 0) @ np.log(miss).T - grid**2 / 2
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return np.asarray(weights @ grid / weights.sum(axis=1))


def map_2pl(parameters: Parameters, answers: Outcomes, low: float = -4, high: float = 4) -> Array:
    """``(A,)`` posterior modes under N(0, 1) within a range, for items without asymptotes.

    The log-posterior of a 2PL is concave, so the mode is where its derivative
    ``Σ a (x - P(θ)) - θ`` passes 0, found by halving.
    """
    answered = answers >= 0
    earned = np.where(answered, answers, 0) @ parameters.slope
    below, above = np.full(len(answers), float(low)), np.full(len(answers), float(high))
    for _ in range(50):
        centre = (below + above) / 2
        expected = (answered * parameters.p(centre)) @ parameters.slope
        rising = earned - expected - centre > 0
        below, above = np.where(rising, centre, below), np.where(rising, above, centre)
    return np.asarray((below + above) / 2)


def most_informative(parameters: Parameters, _: int, ability: Array, open_: Mask) -> Outcomes:
    """Maximum Fisher information at the current estimate (Lord 1980)."""
    return np.asarray(np.where(open_, parameters.information(ability), -np.inf).argmax(axis=1))


def random_irt(training: Training, outcomes: Outcomes, sizes: Sequence[int], seed: int) -> Found:
    """The tasks of :func:`random_mean`, 2PL, posterior mean under N(0, 1)."""
    order = random_order(outcomes >= 0, seed)
    return lockstep(
        training.two,
        outcomes,
        sizes,
        lambda count, ability, open_: order[:, count],
        partial(eap, low=-6, high=6, nodes=241),
    )


def fluid(training: Training, outcomes: Outcomes, sizes: Sequence[int], seed: int) -> Found:
    """Fluid Benchmarking (Hofmann et al. 2025): 2PL, posterior mode under N(0, 1) within ±4,
    maximum information, from an ability of 0; nothing in it is random."""
    return lockstep(training.two, outcomes, sizes, partial(most_informative, training.two), map_2pl)


def atlas(training: Training, outcomes: Outcomes, sizes: Sequence[int], seed: int) -> Found:
    """ATLAS (Li et al. 2025): 3PL, posterior mean under N(0, 1) on 33 nodes within ±4.

    The first task is drawn from those within 1/2 of ability 0, or is the nearest to it; each
    further one from the 5 with the most information. ATLAS would not stop before 30 tasks and
    then at a standard error: here its running estimate is taken at every size.
    """
    parameters = training.three
    draws = np.random.default_rng(seed).random((max(sizes), len(outcomes)))

    def choose(count: int, ability: Array, open_: Mask) -> Outcomes:
        if count:
            order = np.argsort(-np.where(open_, parameters.information(ability), -np.inf), axis=1)
            among = np.minimum(open_.sum(axis=1), 5)
        else:
            distance = np.where(open_, np.abs(parameters.difficulty), np.inf)
            order = np.argsort(distance, axis=1)
            among = np.maximum((distance < 0.5).sum(axis=1), 1)
        drawn = (draws[count] * among).astype(np.intp)
        return np.asarray(np.take_along_axis(order, drawn[:, None], axis=1)[:, 0])

    return lockstep(parameters, outcomes, sizes, choose, partial(eap, low=-4, high=4, nodes=33))


# --- packages, agent by agent -----------------------------------------------------------------

Step = tuple[int, float]
"""A task, and the ability after its outcome."""


def one_by_one(
    parameters: Parameters,
    outcomes: Outcomes,
    sizes: Sequence[int],
    session: Callable[[Parameters, Outcomes], Iterator[Step]],
) -> Found:
    """Run a session that gives one step after the other, for each agent in turn."""
    agents, longest = len(outcomes), max(sizes)
    rates, ability = np.empty((agents, len(sizes))), np.empty((agents, len(sizes)))
    taken = np.full((agents, longest), -1)
    for agent, mine in enumerate(outcomes):
        steps = session(parameters, mine)
        answers, theta = np.full(len(mine), -1), 0.0
        for count in range(longest):
            if (mine >= 0).sum() > count:
                item, theta = next(steps)
                answers[item] = mine[item]
                taken[agent, count] = item
            if count + 1 in sizes:
                column = list(sizes).index(count + 1)
                ability[agent, column] = theta
                rates[agent, column] = predicted_rates(
                    parameters, (mine >= 0)[None], answers[None], np.array([theta])
                )[0]
    return Found(rates, ability, taken)


def catsim(training: Training, outcomes: Outcomes, sizes: Sequence[int], seed: int) -> Found:
    """catsim 0.21 with its MaxInfoSelector and its NumericalSearchEstimator, 2PL.

    It estimates by maximum likelihood, and as long as all outcomes agree by Dodd's step from the
    estimate before. Its defects are kept away: asymptotes of exactly 0 and 1, where information
    and likelihood become NaN, and estimates outside of the range ±6 that it searches.
    """
    return one_by_one(training.two, outcomes, sizes, catsim_session)


def catsim_session(
    parameters: Parameters, outcomes: Outcomes, estimator: Any = None
) -> Iterator[Step]:
    """Steps of catsim with one agent, and with its own estimator unless another is given."""
    from catsim.estimation import NumericalSearchEstimator
    from catsim.item_bank import ItemBank
    from catsim.selection import MaxInfoSelector

    margin = np.full(len(outcomes), 1e-12)
    columns = [parameters.slope, parameters.difficulty, parameters.lower + margin, 1 - margin]
    # its check of a bank prints
    bank = ItemBank(np.column_stack(columns), validate=False)
    selector, estimator = MaxInfoSelector(), estimator or NumericalSearchEstimator()
    missing = np.flatnonzero(outcomes < 0).tolist()
    given: list[int] = []
    passed: list[bool] = []
    theta = 0.0
    while True:
        with np.errstate(all="ignore"):
            item = selector.select(
                item_bank=bank, administered_items=given + missing, est_theta=theta
            )
            assert item is not None
            given.append(int(item))
            passed.append(bool(outcomes[item]))
            theta = estimator.estimate(
                item_bank=bank, administered_items=given, response_vector=passed, est_theta=theta
            )
        theta = float(np.clip(theta, -6, 6))
        yield given[-1], theta


def catsim_eap(nodes: Array, weights: Array) -> Any:
    """An estimator in catsim's form: the posterior mean on nodes ``(Q,)`` of given weights.

    catsim has none; with this one it estimates as this program does.
    """
    from catsim.estimation import BaseEstimator

    class PosteriorMean(BaseEstimator):
        """The sum over nodes, over all answers anew as catsim's own does."""

        def estimate(
            self,
            index: int | None = None,
            item_bank: Any = None,
            administered_items: Any = None,
            response_vector: Any = None,
            est_theta: float | None = None,
        ) -> float:
            a, b, c, d = item_bank.items[administered_items, :4].T
            p = c + (d - c) * expit(a * (nodes[:, None] - b))
            posterior = np.where(response_vector, p, 1 - p).prod(axis=1) * weights
            return float(posterior @ nodes / posterior.sum())

    return PosteriorMean()


def adaptivetesting(
    training: Training, outcomes: Outcomes, sizes: Sequence[int], seed: int
) -> Found:
    """adaptivetesting 1.1 with its maximum information criterion and its Bayes modal estimator
    under N(0, 1), 2PL."""
    return one_by_one(training.two, outcomes, sizes, adaptivetesting_session)


def adaptivetesting_session(
    parameters: Parameters, outcomes: Outcomes, mean: bool = False
) -> Iterator[Step]:
    """Steps of adaptivetesting with one agent: posterior modes, or posterior means within ±6."""
    from adaptivetesting.math.estimators import BayesModal, ExpectedAPosteriori, NormalPrior
    from adaptivetesting.math.item_selection import maximum_information_criterion
    from adaptivetesting.models import TestItem

    pool = []
    columns = zip(parameters.slope, parameters.difficulty, parameters.lower, strict=True)
    for row, (a, b, c) in enumerate(columns):
        item = TestItem()
        item.id, item.a, item.b, item.c = row, float(a), float(b), float(c)
        if outcomes[row] >= 0:
            pool.append(item)
    prior = NormalPrior(0, 1)
    answered: list[Any] = []
    passed: list[int] = []
    theta = 0.0
    while True:
        with np.errstate(all="ignore"):
            item = maximum_information_criterion(pool, theta)
            pool.remove(item)
            answered.append(item)
            passed.append(int(outcomes[item.id]))
            estimator = (
                ExpectedAPosteriori(passed, answered, prior, (-6, 6))
                if mean
                else BayesModal(passed, answered, prior)
            )
            theta = float(estimator.get_estimation())
        yield item.id, theta


PEERS: dict[str, Peer] = {
    "random + mean": random_mean,
    "30–70% + mean": filtered_mean,
    "30–70% + regression": filtered_regression,
    "random + 2PL EAP": random_irt,
    "Fluid Benchmarking": fluid,
    "ATLAS": atlas,
    "catsim": catsim,
    "adaptivetesting": adaptivetesting,
}
"""By their name in tables."""
SLOW = {"catsim": "catsim", "adaptivetesting": "adaptivetesting"}
"""Distributions that peers need, which are also those that test one agent after the other."""
