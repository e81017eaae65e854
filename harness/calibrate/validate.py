"""Choosing a response model: how well do models predict outcomes that they have not seen?

Cells (agent × item, with all their trials) are held out in turn. *By cell* a bank is calibrated
on the other cells, the agent's posterior comes from its other cells, and the held-out cell is
predicted by averaging the bank's compiled table over that posterior, as a session would. *By
agent* whole agents are left out of the calibration, and each of their cells is predicted from
their other cells, as happens to the agent of the next session.

The log score of a cell is the log probability of all its trials together, in the order they came.
Where items have an agent × item effect, the trials of a cell share it, so their probability is a
mixture over the effect; a model that takes five trials for five independent facts pays for it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from scipy.special import logsumexp

from harness.bank import ItemBank
from harness.calibrate.heldout import (
    BASELINES,
    Cells,
    Mask,
    Split,
    baselines,
    by_agent,
    by_cell,
    compile_cells,
    make_cells,
    part_of,
    ranks,
)
from harness.calibrate.metrics import (
    Bin,
    Estimate,
    Ordering,
    brier_scores,
    calibration_curve,
    calibration_error,
    clustered_mean,
    log_scores,
    ordering,
    ranked_probability_scores,
    resamples,
)
from harness.errors import InputError, PlanError, ResponsesError
from harness.irt import Array
from harness.responses import Responses

By = Literal["cell", "agent"]
Progress = Callable[[int, int], None]
_T = TypeVar("_T")

_RESAMPLES = 200


@dataclass(frozen=True)
class InSample:
    """How well a model fits the data that it was calibrated on."""

    log_likelihood: float
    """Marginal over ability, in nats."""
    parameters: int
    agents: int
    """What counts as independent observations."""

    @property
    def aic(self) -> float:
        """``2 k - 2 log L`` (Akaike 1974); lower is better.

        >>> InSample(-100.0, 5, 20).aic
        210.0
        """
        return 2 * self.parameters - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """``k log A - 2 log L`` (Schwarz 1978) over A agents; lower is better."""
        return self.parameters * math.log(self.agents) - 2 * self.log_likelihood


@dataclass(frozen=True)
class Candidate:
    """A way to calibrate a bank, under the name that the result is reported by."""

    name: str
    fit: Callable[[Responses], ItemBank]
    in_sample: Callable[[Responses], InSample] | None = None
    """Fit to all of the data, for AIC and BIC."""


# --- results ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Metrics:
    """How good the predictions of one model were, over all held-out cells."""

    log_score: float
    """Mean log probability of all trials of a cell together, in nats; higher is better."""
    log_score_per_trial: float
    """Mean log probability of a trial on its own, in nats; higher is better."""
    brier: float
    """Per trial; lower is better, as the next one."""
    ranked_probability_score: float
    auc: float
    """Probability that of two trials the one with the higher score was predicted higher."""
    calibration_error: float
    """Mean distance of observed from predicted scores over ten bins."""
    curve: tuple[Bin, ...]


@dataclass(frozen=True)
class Difference:
    """The first of two models minus the second, over the same cells. Standard errors take agents
    as independent; that of the AUC comes from a bootstrap over agents."""

    first: str
    second: str
    log_score: Estimate
    log_score_per_trial: Estimate
    brier: Estimate
    ranked_probability_score: Estimate
    auc: Estimate


@dataclass(frozen=True, eq=False)
class Result:
    """What one model, or baseline, predicted."""

    name: str
    baseline: bool
    predicted: Array
    """``(C, K)`` category probabilities of a trial of each cell."""
    log_score: Array
    """``(C,)`` log probability of all trials of the cell."""
    metrics: Metrics
    auc_resampled: Array
    """``(B,)`` AUC in each bootstrap sample of the agents."""
    unplaced: int
    """Cells whose item had no parameters, because none of its outcomes was left for training."""
    unconverged: int
    """Calibrations that say so of themselves."""
    agent_log_likelihood: Array | None
    """``(A,)`` marginal log-likelihood of all outcomes of each agent under the bank calibrated
    without it, NaN without outcomes; None by cell and for baselines."""
    in_sample: InSample | None


@dataclass(frozen=True, eq=False)
class Validation:
    """Held-out predictions of several models and the baselines, and what follows from them."""

    by: By
    folds: int
    """Number of calibrations of each model."""
    seed: int
    cells: Cells
    results: tuple[Result, ...]
    """Models in the order given, then the baselines."""

    def __getitem__(self, name: str) -> Result:
        return next(result for result in self.results if result.name == name)

    def difference(self, first: str, second: str) -> Difference:
        """How much better the first of two models or baselines is than the second."""
        one, other = self[first], self[second]
        cells, trials = self.cells, self.cells.trials

        def mean(measure: Callable[[Result], Array], weights: Array = trials) -> Estimate:
            return clustered_mean(measure(one) - measure(other), weights, cells.agent)

        log_score = mean(lambda r: r.log_score, np.ones(len(trials)))
        gaps = one.auc_resampled - other.auc_resampled
        gaps = gaps[np.isfinite(gaps)]
        return Difference(
            first,
            second,
            log_score,
            mean(lambda r: log_scores(r.predicted, cells.counts)),
            mean(lambda r: brier_scores(r.predicted, cells.counts)),
            mean(lambda r: ranked_probability_scores(r.predicted, cells.counts, cells.top)),
            Estimate(
                one.metrics.auc - other.metrics.auc,
                float(gaps.std(ddof=1)) if log_score.agents > 1 and len(gaps) > 1 else math.nan,
                log_score.agents,
            ),
        )

    def _above(self, first: str, second: str) -> Estimate:
        return clustered_mean(
            self[first].log_score - self[second].log_score,
            np.ones(len(self.cells.agent)),
            self.cells.agent,
        )

    def _ranked(self, *, baselines: bool) -> list[str]:
        """Names of models or of baselines by log score, best first."""
        found = [result for result in self.results if result.baseline == baselines]
        return [r.name for r in sorted(found, key=lambda r: -r.metrics.log_score)]

    @property
    def recommended(self) -> str | None:
        """The simplest model whose log score the best one does not beat by more than its error.

        Models are given simplest first. By more than its error means that the 90% interval of the
        difference, which takes agents as independent, lies above 0. None where no model beats the
        best baseline by more than its error.
        """
        best, guess = (self._ranked(baselines=which)[0] for which in (False, True))
        for result in self.results:
            enough = result.name == best or not self._above(best, result.name).positive
            if not result.baseline and enough and self._above(result.name, guess).positive:
                return result.name
        return None

    @property
    def sentence(self) -> str:
        """Which model to use, and by how much."""
        models, guess = self._ranked(baselines=False), self._ranked(baselines=True)[0]
        where = f"{len(self.cells.agent):,} held-out cells"
        if self.by == "agent":
            where = f"{len(self.cells.agent):,} cells of held-out agents"
        best, use = models[0], self.recommended
        if use is None:
            gap = self._above(best, guess)
            return (
                f"Use none of these yet: on {where} no model predicts better than the baseline "
                f"{guess!r} by more than its error; the log score of {best}, the best of them, is "
                f"{_signed(gap)} nats a cell {_side(gap)} it."
            )
        lead = f"Use {use}: on {where}"
        against = f"{_signed(self._above(use, guess))} above the baseline {guess!r}"
        if use != best:
            gap = self._above(best, use)
            return (
                f"{lead} the log score of {best} is only {_signed(gap)} nats a cell above it, "
                f"which is within the error, and {use} is simpler; it is {against}."
            )
        score = f"{lead} its log score is {self[use].metrics.log_score:.3f} nats a cell"
        if len(models) == 1:
            return f"{score}, {against}."
        gap = self._above(use, models[1])
        remark = "the next best" if gap.positive else "the next best and less simple"
        return f"{score}, {_signed(gap)} above {models[1]}, {remark}, and {against}."

    def summary(self) -> dict[str, Any]:
        """All but the single cells, as plain data for JSON and pages."""
        use = self.recommended or self._ranked(baselines=False)[0]
        return {
            "by": self.by,
            "folds": self.folds,
            "seed": self.seed,
            "cells": len(self.cells.agent),
            "trials": int(self.cells.trials.sum()),
            "agents": len(np.unique(self.cells.agent)),
            "items": len(np.unique(self.cells.item)),
            "categories": int(self.cells.n_categories.max()),
            "recommended": self.recommended,
            "sentence": self.sentence,
            "results": [_result_facts(result) for result in self.results],
            "reference": use,
            "differences": [
                _difference_facts(self.difference(result.name, use))
                for result in self.results
                if result.name != use
            ],
        }


def _signed(gap: Estimate) -> str:
    """The size of a difference with its standard error, two digits of which count."""
    if not math.isfinite(gap.error):
        return f"{abs(gap.value):.4f} (of one agent, so of unknown error)"
    places = min(max(1 - math.floor(math.log10(gap.error)), 2), 6) if gap.error > 0 else 4
    return f"{abs(gap.value):.{places}f} ± {gap.error:.{places}f}"


def _side(gap: Estimate) -> str:
    return "above" if gap.value >= 0 else "below"


def _result_facts(result: Result) -> dict[str, Any]:
    likelihood, fit = result.agent_log_likelihood, result.in_sample
    return {
        "name": result.name,
        "baseline": result.baseline,
        **asdict(result.metrics),
        "auc": _known(result.metrics.auc),
        "unplaced_cells": result.unplaced,
        "unconverged_calibrations": result.unconverged,
        "log_likelihood_per_agent": None if likelihood is None else float(np.nanmean(likelihood)),
        "in_sample": None if fit is None else {**asdict(fit), "aic": fit.aic, "bic": fit.bic},
    }


def _difference_facts(difference: Difference) -> dict[str, Any]:
    def facts(estimate: Estimate) -> dict[str, float | None]:
        low, high = estimate.interval.low, estimate.interval.high
        numbers = {"value": estimate.value, "error": estimate.error, "low": low, "high": high}
        return {name: _known(number) for name, number in numbers.items()}

    measures = ("log_score", "log_score_per_trial", "brier", "ranked_probability_score", "auc")
    return {
        "first": difference.first,
        "second": difference.second,
        **{measure: facts(getattr(difference, measure)) for measure in measures},
    }


def _known(number: float) -> float | None:
    """A number as JSON can hold it."""
    return number if math.isfinite(number) else None


# --- putting it together ----------------------------------------------------------------------


def cross_validate(
    responses: Responses,
    candidates: Sequence[Candidate],
    *,
    by: By = "cell",
    folds: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> Validation:
    """Predict every cell with models that were calibrated without it.

    Args:
        responses: outcomes; the trials of a cell are held out together.
        candidates: models, simplest first; the baselines are added.
        by: hold out cells, or whole agents. A held-out agent's cells are predicted in five parts,
            each from the other four.
        folds: calibrations of each candidate; with as many folds as agents, or more, each agent
            is left out on its own.
        seed: of the folds, which do not depend on the order of the data, and of the bootstrap.
        progress: called with (calibrations done, all) after each.

    Raises:
        PlanError: no candidate, a name that is taken, or fewer than two folds.
        ResponsesError: too few outcomes, or a candidate that cannot be calibrated on a part.
        BankError: a candidate's bank disagrees with the data about the categories of an item.

    >>> from harness.bank import Item
    >>> from harness.responses import from_matrix
    >>> one = ItemBank("one", (Item("item0", "2pl", (1.0,), (0.0,)),))
    >>> found = cross_validate(
    ...     from_matrix(np.array([[0], [1], [1]])), [Candidate("fixed", lambda _: one)], folds=3
    ... )
    >>> round(found["fixed"].metrics.log_score, 3), round(found["item"].metrics.log_score, 3)
    (-0.693, -1.426)
    """
    _check(responses, candidates, folds)
    cells = make_cells(responses)
    splits = by_cell(cells, folds, seed) if by == "cell" else by_agent(cells, folds, seed)
    if len(splits) < 2:
        raise ResponsesError(
            f"{responses.source}: nothing to calibrate on is left when the outcomes of one "
            f"{by} are held out; bring more {by}s"
        )
    # first, so that what is wrong with all of the data is not told of a part of them
    fits = [_fit(c.name, c.in_sample, responses) if c.in_sample else None for c in candidates]
    names = [candidate.name for candidate in candidates]
    records = {name: _record(cells, len(splits)) for name in (*names, *BASELINES)}
    for number, split in enumerate(splits):
        part = part_of(responses, cells, split.calibration)
        for position, candidate in enumerate(candidates):
            what = (
                f"{candidate.name}, without fold {number + 1} of {len(splits)} by {by} (more folds "
                "leave more to calibrate on)"
            )
            bank = _fit(what, candidate.fit, part)
            _add_bank(records[candidate.name], bank, cells, split, number)
            if progress:
                progress(number * len(names) + position + 1, len(splits) * len(names))
        _addbaselines([records[name] for name in BASELINES], cells, split)
    rank = ranks(cells.agents)
    weights = resamples(len(rank), _RESAMPLES, seed)[:, rank].astype(float)
    results = (
        _result(name, record, cells, weights, by, fit)
        for (name, record), fit in zip(
            records.items(), [*fits, *(None for _ in BASELINES)], strict=True
        )
    )
    return Validation(by, len(splits), seed, cells, tuple(results))


def _check(responses: Responses, candidates: Sequence[Candidate], folds: int) -> None:
    names = [candidate.name for candidate in candidates]
    if not names:
        raise PlanError("no model to validate: name at least one")
    for position, name in enumerate(names):
        if name in BASELINES or name in names[:position]:
            raise PlanError(f"two predictors are called {name!r}; every model needs its own name")
    if folds < 2:
        raise PlanError(f"{folds} folds leave nothing to calibrate on; take 2 or more")
    if not len(responses.category):
        raise ResponsesError(f"{responses.source}: no outcome to hold out")


def _fit(what: str, fit: Callable[[Responses], _T], responses: Responses) -> _T:
    try:
        return fit(responses)
    except InputError as error:
        raise ResponsesError(f"{what}: {error}") from error


@dataclass(frozen=True, eq=False)
class _Record:
    """What is filled in split by split; the fields of :class:`Result`."""

    predicted: Array
    log_score: Array
    agent_log_likelihood: Array
    unplaced: Mask
    """``(C,)``."""
    unconverged: Mask
    """``(S,)`` by split."""


def _record(cells: Cells, splits: int) -> _Record:
    c, k = len(cells.agent), cells.pattern_counts.shape[1]
    return _Record(
        np.full((c, k), np.nan),
        np.full(c, np.nan),
        np.full(len(cells.agents), np.nan),
        np.zeros(c, bool),
        np.zeros(splits, bool),
    )


def _add_bank(record: _Record, bank: ItemBank, cells: Cells, split: Split, number: int) -> None:
    compiled = compile_cells(bank, cells)
    record.unconverged[number] = _unconverged(bank)
    for known, held in split.tests:
        record.predicted[held], record.log_score[held] = compiled.predict(cells, known, held)
        record.unplaced[held] = ~compiled.placed[cells.item[held]]
    new = np.setdiff1d(cells.agent, cells.agent[split.calibration])
    if len(new):
        everything = np.ones(len(cells.agent), bool)
        log_weights = compiled.log_posteriors(cells, everything, new)
        record.agent_log_likelihood[new] = logsumexp(log_weights, axis=1)


def _unconverged(bank: ItemBank) -> bool:
    """Whether the provenance of a calibrated bank says that its calibration did not converge."""
    fit = bank.provenance.get("fit")
    return isinstance(fit, Mapping) and fit.get("converged") is False


def _addbaselines(records: Sequence[_Record], cells: Cells, split: Split) -> None:
    seen = np.bincount(cells.item[split.calibration], minlength=len(cells.items)) > 0
    for known, held in split.tests:
        found = baselines(cells, split.calibration, known, held)
        for record, predicted in zip(records, found, strict=True):
            record.predicted[held] = predicted
            record.log_score[held] = log_scores(predicted, cells.counts[held])
            record.unplaced[held] = ~seen[cells.item[held]]


def _result(
    name: str, record: _Record, cells: Cells, weights: Array, by: By, in_sample: InSample | None
) -> Result:
    predicted, trials = record.predicted, float(cells.trials.sum())
    order = ordering(predicted, cells.counts, cells.top, cells.agent)
    baseline = name in BASELINES
    return Result(
        name=name,
        baseline=baseline,
        predicted=predicted,
        log_score=record.log_score,
        metrics=_metrics(predicted, record.log_score, cells, order, trials),
        auc_resampled=np.array([order.auc(w) for w in weights]),
        unplaced=int(record.unplaced.sum()),
        unconverged=int(record.unconverged.sum()),
        agent_log_likelihood=None if baseline or by == "cell" else record.agent_log_likelihood,
        in_sample=in_sample,
    )


def _metrics(
    predicted: Array, log_score: Array, cells: Cells, order: Ordering, trials: float
) -> Metrics:
    counts, top = cells.counts, cells.top
    curve = calibration_curve(predicted, counts, top, cells.agent)
    return Metrics(
        log_score=float(log_score.mean()),
        log_score_per_trial=float(log_scores(predicted, counts).sum() / trials),
        brier=float(brier_scores(predicted, counts).sum() / trials),
        ranked_probability_score=float(
            ranked_probability_scores(predicted, counts, top).sum() / trials
        ),
        auc=order.auc(),
        calibration_error=calibration_error(curve),
        curve=curve,
    )
