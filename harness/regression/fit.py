"""Normal regression whose blocks of weights have variances of their own, learned from the data.

The model of row i is ``y_i = μ + Σ_b x_ib w_b + residual_i + noise_i``: the noise has a known
variance, as what is explained is itself an estimate (a difficulty, an ability); the residual has an
unknown one. Weights of block b are ``N(0, τ_b² / columns)``, so that τ_b² is the variance that the
block brings about. The variances maximise the evidence (MacKay 1992; Tipping 2001), under a weak
prior that keeps them from 0 where there are few rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from harness.errors import InputError
from harness.irt import Array
from harness.regression.coding import Code, Coding, Design, learn_coding
from harness.regression.evidence import Evidence
from harness.regression.table import Column, Features

_FEWEST = 5


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictions of n rows."""

    names: tuple[str, ...]
    mean: Array
    """``(n,)``."""
    sd: Array
    """``(n,)`` of what is predicted, the residual included."""
    effects_sd: Array
    """``(n,)`` without the residual: how well the regression itself is known there, and what
    unknown cells leave open."""


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each feature adds to the prediction of each row, against a row of average features."""

    columns: tuple[Column, ...]
    mean: Array
    """``(n, c)``."""
    sd: Array
    """``(n, c)``."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """The rows that a regression was fitted to; each left out once, in closed form."""

    names: tuple[str, ...]
    y: Array
    """``(n,)`` what was observed, and"""
    noise: Array
    """``(n,)`` the variance of its error."""
    mean: Array
    """``(n,)`` prediction of each row from all others."""
    sd: Array
    """``(n,)`` of that prediction, without the noise."""


@dataclass(frozen=True, eq=False)
class Regression:
    """A fitted regression."""

    coding: Coding
    weights: Array
    """``(p,)`` posterior mean, the intercept first."""
    covariance: Array
    """``(p, p)``."""
    block_sd: tuple[tuple[str, float], ...]
    """τ of each block."""
    residual_sd: float
    log_evidence: float
    fitted: Fitted

    @property
    def n(self) -> int:
        """Rows it was fitted to."""
        return len(self.fitted.names)

    @cached_property
    def _cell_sd(self) -> Array:
        """``(c,)`` sd that a column brings about, by the variance of its block."""
        tau = np.array([self.block_sd[block][1] for block in self.coding.block_of])
        return np.asarray(tau * np.sqrt(self.coding.share))

    def _unknown_variance(self, design: Design) -> Array:
        """``(n, c)`` what unknown cells leave open: the effect of a level nobody has seen, or of a
        number that may be anything, with a weight that is known."""
        open_ = self._cell_sd**2
        for c, (code, place) in enumerate(zip(self.coding.codes, self.coding.places, strict=True)):
            if code.column.kind == "number":
                at = place.start
                open_[c] = self.weights[at] ** 2 + self.covariance[at, at]
        return np.asarray(design.unknown * open_)

    def predict(self, features: Features) -> Prediction:
        """Predictions of new rows.

        Raises:
            InputError: the table has none of the features that are used.
        """
        design = self.coding.design(features)
        mean = design.x @ self.weights
        variance = np.einsum("ip,pq,iq->i", design.x, self.covariance, design.x)
        variance = np.maximum(variance, 0.0) + self._unknown_variance(design).sum(axis=1)
        return Prediction(
            features.names, mean, np.sqrt(variance + self.residual_sd**2), np.sqrt(variance)
        )

    def contributions(self, features: Features) -> Contributions:
        """What each feature adds; with the intercept they sum to the predicted mean."""
        design = self.coding.design(features)
        unknown = self._unknown_variance(design)
        mean, sd = np.zeros(unknown.shape), np.zeros(unknown.shape)
        for c, place in enumerate(self.coding.places):
            x = design.x[:, place]
            mean[:, c] = x @ self.weights[place]
            own = np.einsum("ip,pq,iq->i", x, self.covariance[place, place], x)
            sd[:, c] = np.sqrt(np.maximum(own, 0.0) + unknown[:, c])
        return Contributions(tuple(code.column for code in self.coding.codes), mean, sd)

    def left_out(self) -> Prediction:
        """Each fitted row, predicted from all the others."""
        f = self.fitted
        effects = np.sqrt(np.maximum(f.sd**2 - self.residual_sd**2, 0.0))
        return Prediction(f.names, f.mean, f.sd, effects)

    def times(self, factor: float) -> "Regression":
        """The same regression of ``factor · y``."""
        f = self.fitted
        return replace(
            self,
            weights=factor * self.weights,
            covariance=factor**2 * self.covariance,
            block_sd=tuple((name, abs(factor) * sd) for name, sd in self.block_sd),
            residual_sd=abs(factor) * self.residual_sd,
            log_evidence=self.log_evidence - self.n * float(np.log(abs(factor))),
            fitted=Fitted(
                *(f.names, factor * f.y, factor**2 * f.noise, factor * f.mean),
                abs(factor) * f.sd,
            ),
        )

    def shares(self) -> tuple[tuple[str, float], ...]:
        """Share of the variance that each block brings about, and ``residual`` last."""
        parts = [(name, tau**2) for name, tau in self.block_sd]
        parts.append(("residual", self.residual_sd**2))
        total = sum(variance for _, variance in parts)
        return tuple((name, variance / total) for name, variance in parts)


def regress(
    features: Features,
    y: Sequence[float] | Array,
    noise: Sequence[float] | Array,
    *,
    beyond: bool = False,
) -> Regression:
    """Fit a regression.

    Args:
        features: of the n rows.
        y: ``(n,)`` what was observed.
        noise: ``(n,)`` variance of the error of each.
        beyond: follow lines beyond the numbers of these rows; else a number there counts as the
            end of their range.

    Raises:
        InputError: fewer than five rows, or a number that is not finite.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2))
    >>> table = Features(
    ...     tuple(map(str, range(200))),
    ...     (Column("a", "x", "number"), Column("b", "x", "number")),
    ...     tuple(map(tuple, x.tolist())),
    ... )
    >>> fit = regress(table, 1 + 2 * x[:, 0] + rng.normal(0, 0.5, 200), np.zeros(200))
    >>> fit.weights.round()[1], round(fit.residual_sd, 1), fit.n
    (np.float64(2.0), 0.5, 200)
    """
    target, error = np.asarray(y, float), np.asarray(noise, float)
    if len(target) < _FEWEST:
        raise InputError(
            f"{len(target)} rows are too few for a regression; at least {_FEWEST} are needed"
        )
    if not (np.isfinite(target).all() and np.isfinite(error).all() and (error >= 0).all()):
        at = int(np.argmin(np.isfinite(target) & np.isfinite(error) & (error >= 0)))
        raise InputError(f"what is to be explained of {features.names[at]!r} is not a number")
    coding = learn_coding(features, beyond=beyond)
    design = coding.design(features)
    evidence = Evidence(coding, design, target, error)
    return regression_at(evidence, features.names, evidence.maximise())


def regression_at(evidence: Evidence, names: tuple[str, ...], log_variance: Array) -> Regression:
    """The regression with these log variances: blocks, residual last."""
    found = evidence.at(log_variance)
    sd = np.exp(0.5 * log_variance)
    weights = found.covariance @ (evidence.design.x.T @ (evidence.y / found.own))
    left_out = evidence.y - found.pull / found.diagonal
    variance = np.maximum(1 / found.diagonal - evidence.noise, sd[-1] ** 2)
    return Regression(
        evidence.coding,
        weights,
        found.covariance,
        tuple(zip(evidence.coding.blocks, map(float, sd[:-1]), strict=True)),
        float(sd[-1]),
        found.value,
        Fitted(names, evidence.y, evidence.noise, left_out, np.sqrt(variance)),
    )


def to_dict(fit: Regression) -> dict[str, Any]:
    """Plain data for JSON."""
    f = fit.fitted
    return {
        "codes": [asdict(code) for code in fit.coding.codes],
        "notes": list(fit.coding.notes),
        "beyond": fit.coding.beyond,
        "weights": fit.weights.tolist(),
        "covariance": fit.covariance.tolist(),
        "block_sd": dict(fit.block_sd),
        "residual_sd": fit.residual_sd,
        "log_evidence": fit.log_evidence,
        "fitted": {
            "names": list(f.names),
            **{key: getattr(f, key).tolist() for key in ("y", "noise", "mean", "sd")},
        },
    }


def from_dict(content: Mapping[str, Any]) -> Regression:
    """The inverse of :func:`to_dict`.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    codes = tuple(
        Code(**{**code, "column": Column(**code["column"]), "levels": tuple(code["levels"])})
        for code in content["codes"]
    )
    f = content["fitted"]
    return Regression(
        Coding(codes, tuple(content["notes"]), content["beyond"]),
        np.array(content["weights"], float),
        np.array(content["covariance"], float),
        tuple((name, float(sd)) for name, sd in content["block_sd"].items()),
        float(content["residual_sd"]),
        float(content["log_evidence"]),
        Fitted(
            tuple(f["names"]),
            *(np.array(f[key], float) for key in ("y", "noise", "mean", "sd")),
        ),
    )
