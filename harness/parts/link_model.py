"""Abilities on several scales, as one Gaussian model of the parts that agents share.

Ability of row i, an agent on benchmark k, in units of that benchmark's spread::

    θ_i = a_k + m_i + s_i + e_i,      y_i = θ_i + error of measurement, of known variance

with model, scaffold and agent effects whose sds on benchmark k are ``t_k``, ``c_k`` and ``s_k``.
The effect of one part on two benchmarks correlates by ``r_k r_l``: the share ``r_k²`` of its
variance is general, the rest is special to the benchmark. So the general part of ability on k is
``a_k + r_k t_k g``, and two scales are linked by the line between their general parts.

Models seen on one benchmark alone have a mean, a trend and an sd ``u_k`` of their own, as boards
differ in whom they test: they tell nothing of the line but through scaffolds that are shared.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, ndtri

from harness.irt import Array

Codes = NDArray[np.intp]
_WIDE = 10.0
"""Prior sd of means and trends, in sds of ability: as good as flat."""
_DIFFER = 0.5
"""Prior sd of the logarithm of how much more scaffolds matter on one benchmark than models do,
against another benchmark."""
_FREEDOM = 8.0
"""Degrees of freedom of proposals: heavier tails than a posterior has."""
_ROUND = 400
_LEAST_ROUNDS = 5
_MOST_ROUNDS = 20
_ENOUGH = 400.0
"""Independent draws that a sample should be worth."""


@dataclass(frozen=True, eq=False)
class Rows:
    """N abilities on K benchmarks, each in units of its benchmark's spread."""

    y: Array
    """``(N,)``; NaN where the ability is to be told."""
    error: Array
    """``(N,)`` variances."""
    bench: Codes
    """``(N,)``, as the next three: which benchmark, model, scaffold and agent."""
    model: Codes
    scaffold: Codes
    agent: Codes
    board: Codes
    """``(N,)``: 0 and more for models that several benchmarks have, one number for each set of
    benchmarks; -1 for those of one benchmark alone."""
    year: Array
    """``(N,)`` date of the model, or of the agent where its model is unknown; 0 in the middle and
    where unknown."""
    scaffolds: bool
    """Whether scaffolds differ, so that there is such an effect."""

    @property
    def k(self) -> int:
        """Benchmarks."""
        return int(self.bench.max()) + 1


@dataclass(frozen=True, eq=False)
class Scales:
    """What the parameters stand for: all ``(K,)``, in units of each benchmark's spread."""

    model: Array
    general: Array
    """``r_k``."""
    agent: Array
    own: Array
    """Sd of models that the benchmark alone has."""
    scaffold: Array


def _half_normal(deviate: Array) -> Array:
    return np.asarray(-ndtri(ndtr(-deviate) / 2))


class Likelihood:
    """Density of the parameters, with means and trends integrated out."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.seen = np.isfinite(rows.y)
        own = rows.board < 0
        self._same_model = np.equal.outer(rows.model, rows.model)
        self._own = self._same_model & own[:, None]
        self._same_model &= ~own[:, None]
        self._same_scaffold = np.equal.outer(rows.scaffold, rows.scaffold)
        self._same_agent = np.equal.outer(rows.agent, rows.agent)
        self._same_bench = np.equal.outer(rows.bench, rows.bench)

    def scales(self, x: Array) -> Scales:
        """From parameters ``(5 K + 1,)``, all N(0, 1) beforehand: each is the normal deviate of a
        prior's quantile, so that a posterior that knows nothing is normal too.

        Sds are half-normal with scale 1, general shares have density 2r² in r², and how much more
        scaffolds matter than models differs between benchmarks by a factor of 1.6 either way.
        """
        t, share, s, u, differ = x[:-1].reshape(5, self.rows.k)
        model = _half_normal(t)
        return Scales(
            model=model,
            general=ndtr(share) ** 0.25,
            agent=_half_normal(s),
            own=_half_normal(u),
            scaffold=model * _half_normal(x[-1:]) * np.exp(_DIFFER * differ) * self.rows.scaffolds,
        )

    def design(self, found: Scales) -> Array:
        """``(N, P)``: means ``a_k`` first, then what models of each set of benchmarks differ by and
        the trend of those, both on the general scale, then mean and trend of a benchmark's own."""
        rows = self.rows
        at = np.arange(rows.k) == rows.bench[:, None]
        shared = (rows.board >= 0)[:, None]
        along = (found.general * found.model)[rows.bench][:, None]
        sets = np.arange(1, max(int(rows.board.max()) + 1, 1)) == rows.board[:, None]
        year = rows.year[:, None]
        return np.hstack(
            [at, along * sets, along * shared * year, at & ~shared, (at & ~shared) * year]
        )

    def covariance(self, found: Scales) -> Array:
        """``(N, N)`` of the abilities about what the design says."""
        rows = self.rows
        r = found.general[rows.bench]
        alike = np.where(self._same_bench, 1.0, np.multiply.outer(r, r))
        parts = np.zeros_like(alike)
        for same, sd in (
            (self._same_model, found.model),
            (self._same_scaffold, found.scaffold),
            (self._same_agent, found.agent),
        ):
            by_row = sd[rows.bench]
            parts += same * np.multiply.outer(by_row, by_row)
        by_row = found.own[rows.bench]
        return np.asarray(parts * alike + self._own * np.multiply.outer(by_row, by_row))

    def log_density(self, x: Array) -> float:
        """Log posterior density up to a constant; -inf where it cannot be computed."""
        found = self.scales(x)
        try:
            fit = self._means(found, self.covariance(found))
        except np.linalg.LinAlgError:
            return -np.inf
        return fit.log_evidence - float(x @ x) / 2

    def coefficients(self, found: Scales) -> tuple[Array, Array]:
        """Mean ``(P,)`` and covariance ``(P, P)`` of the coefficients of the design."""
        fit = self._means(found, self.covariance(found))
        inverse = np.linalg.inv(fit.half)
        return fit.mean, inverse.T @ inverse

    def unseen(self, found: Scales) -> tuple[Array, Array]:
        """Mean and variance, both ``(U,)``, of the abilities that are to be told."""
        from scipy.linalg import cho_solve, solve_triangular

        full = self.covariance(found)
        fit = self._means(found, full)
        seen, out = self.seen, ~self.seen
        design = self.design(found)
        across = full[np.ix_(seen, out)]
        weights = cho_solve((fit.root, True), across)
        left = design[out] - weights.T @ design[seen]
        mean = weights.T @ self.rows.y[seen] + left @ fit.mean
        doubt = solve_triangular(fit.half, left.T, lower=True)
        variance = np.diag(full)[out] - (across * weights).sum(0) + (doubt**2).sum(0)
        return mean, np.maximum(variance, 0.0)

    def _means(self, found: Scales, full: Array) -> "_Means":
        from scipy.linalg import solve_triangular

        seen = self.seen
        noisy = full[np.ix_(seen, seen)]
        noisy[np.diag_indices_from(noisy)] += self.rows.error[seen]
        root = np.linalg.cholesky(noisy)
        both = np.column_stack([self.design(found)[seen], self.rows.y[seen]])
        white = solve_triangular(root, both, lower=True, check_finite=False)
        x, y = white[:, :-1], white[:, -1]
        half = np.linalg.cholesky(x.T @ x + np.eye(x.shape[1]) / _WIDE**2)
        along = solve_triangular(half, x.T @ y, lower=True)
        mean = solve_triangular(half.T, along, lower=False)
        log_evidence = (
            -np.log(np.diag(root)).sum() - np.log(np.diag(half)).sum() - (y @ y - along @ along) / 2
        )
        return _Means(np.asarray(root), np.asarray(half), np.asarray(mean), float(log_evidence))


@dataclass(frozen=True, eq=False)
class _Means:
    root: Array
    """Lower Cholesky factor of the covariance of what was seen."""
    half: Array
    """Lower Cholesky factor of the precision of the coefficients."""
    mean: Array
    log_evidence: float


def sample(
    log_density: Callable[[Array], float],
    d: int,
    n: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Array, float]:
    """``(n, d)`` draws from a density, and how many independent ones they are worth.

    Adaptive multiple importance sampling (Cornuet et al. 2012) from the mode on: every round
    proposes from a multivariate t with the mean and covariance of all draws so far, and all draws
    are weighed against the mixture of all proposals. Weights are capped (Ionides 2008).
    """
    rng = np.random.default_rng(seed)
    centre = _mode(log_density, d)
    cov = np.linalg.inv(_curvature(log_density, centre))
    draws, log_p = np.empty((0, d)), np.empty(0)
    proposals: list[tuple[Array, Array]] = []
    for step in range(_MOST_ROUNDS):
        proposals.append((centre, np.linalg.cholesky(cov)))
        stretch = np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, _ROUND))[:, None]
        moves = stretch * rng.standard_normal((_ROUND, d))
        new = centre + moves @ proposals[-1][1].T
        draws = np.vstack([draws, new])
        log_p = np.concatenate([log_p, [log_density(x) for x in new]])
        log_weight = log_p - _log_mixture(draws, proposals)
        weight = _weights(log_weight)
        worth = float(1 / (weight**2).sum())
        if progress is not None:
            progress(step + 1, _MOST_ROUNDS)
        if step + 1 >= _LEAST_ROUNDS and worth >= _ENOUGH:
            break
        # flattened while few draws carry all the weight: they would make too narrow a proposal
        soft = next(
            w
            for power in (1.0, 0.7, 0.5, 0.3, 0.1, 0.0)
            if 1 / ((w := _weights(log_weight, power)) ** 2).sum() >= 10 * d
        )
        centre = soft @ draws
        off = draws - centre
        cov = 1.1 * (off * soft[:, None]).T @ off + 1e-4 * np.eye(d)
    if progress is not None:
        progress(_MOST_ROUNDS, _MOST_ROUNDS)
    places = (rng.random() + np.arange(n)) / n
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), places), len(draws) - 1)
    return draws[chosen], worth


def _weights(log_weight: Array, power: float = 1.0) -> Array:
    weight = np.exp(power * (log_weight - log_weight.max()))
    weight = np.minimum(weight, weight.mean() * np.sqrt(len(weight)))
    return np.asarray(weight / weight.sum())


def _log_mixture(draws: Array, proposals: list[tuple[Array, Array]]) -> Array:
    """``(n,)`` log density, up to a constant, of the mixture of t distributions."""
    from scipy.linalg import solve_triangular

    d = draws.shape[1]
    each = []
    for centre, root in proposals:
        off = solve_triangular(root, (draws - centre).T, lower=True)
        tail = -(_FREEDOM + d) / 2 * np.log1p((off**2).sum(0) / _FREEDOM)
        each.append(tail - np.log(np.diag(root)).sum())
    return np.asarray(logsumexp(each, axis=0) - np.log(len(proposals)))


def _mode(log_density: Callable[[Array], float], d: int) -> Array:
    from scipy.optimize import minimize

    def loss(x: Array) -> float:
        return -log_density(x)

    start: Array = np.zeros(d)
    found = minimize(loss, start, method="L-BFGS-B", bounds=[(-4.0, 4.0)] * d)
    return np.asarray(found.x)


def _curvature(log_density: Callable[[Array], float], at: Array) -> Array:
    """``(d, d)`` negative second differences; no direction is flatter than the prior, 1."""
    d, step = len(at), 1e-2
    moves = step * np.eye(d)
    hessian = np.empty((d, d))
    for i in range(d):
        for j in range(i + 1):
            up, across = moves[i] + moves[j], moves[i] - moves[j]
            alike = log_density(at + up) + log_density(at - up)
            unlike = log_density(at + across) + log_density(at - across)
            hessian[i, j] = hessian[j, i] = (unlike - alike) / (4 * step**2)
    values, vectors = np.linalg.eigh(hessian)
    return np.asarray((vectors * np.maximum(values, 1.0)) @ vectors.T)
