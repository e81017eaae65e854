"""A logistic factor model fitted in a fraction of a second, to compare numbers of abilities.

Variational Bayes with the quadratic bound of Jaakkola & Jordan (2000): agents and items have
normal posteriors, and the priors of loadings and intercepts are estimated with them. It ranks
models by what they predict; the item parameters of a bank come from :mod:`harness.calibrate`.
"""

from dataclasses import dataclass

import numpy as np

from harness.irt import Array

_PASSES, _PASSES_MORE = 60, 40
_LEAST_VARIANCE = 0.25
"""Of the loadings on further abilities: left to itself the bound lets weak ones vanish."""


@dataclass(frozen=True, eq=False)
class Factors:
    """Normal posteriors of a model with logits ``a·θ + d``: A agents, n items, D abilities."""

    ability: Array
    """``(A, D)`` means."""
    item: Array
    """``(n, D + 1)`` mean loadings, then the intercept."""
    ability_moment: Array
    """``(A, D + 1, D + 1)`` second moments of (θ, 1)."""
    item_moment: Array
    """``(n, D + 1, D + 1)`` second moments of (a, d)."""

    def predict(self) -> Array:
        """``(A, n)`` expected scores, averaged over the uncertainty of the logits by MacKay's
        (1992) approximation."""
        logit = _extended(self.ability) @ self.item.T
        variance = np.maximum(_square(self) - logit**2, 0.0)
        return np.asarray(1 / (1 + np.exp(-logit / np.sqrt(1 + np.pi * variance / 8))))


def fit_one(score: Array, weight: Array) -> Factors:
    """The model of one ability.

    Args:
        score: ``(A, n)`` between 0 and 1; anything finite where the weight is 0.
        weight: ``(A, n)`` trials that each score stands for; 0 where missing.
    """
    total = np.maximum(weight.sum(axis=0), 1e-9)
    centred = weight * (score - (weight * score).sum(axis=0) / total)
    start = _scaled(centred.sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9))
    return _ascend(score, weight, start[:, None], _PASSES + _PASSES_MORE)


def fit_another(score: Array, weight: Array, one: Factors) -> Factors:
    """The model of one ability more, started where residuals of the smaller one vary most."""
    p = one.predict()
    residual = np.where(weight > 0, (score - p) / np.sqrt(np.maximum(p * (1 - p), 1e-3)), 0.0)
    component = np.linalg.svd(residual, full_matrices=False)[0][:, 0]
    start = np.column_stack([one.ability, _scaled(component)])
    return _ascend(score, weight, start, _PASSES_MORE)


def _scaled(values: Array) -> Array:
    away = values - values.mean()
    return np.asarray(away / max(float(away.std()), 1e-9))


def _extended(ability: Array) -> Array:
    return np.column_stack([ability, np.ones(len(ability))])


def _square(found: Factors) -> Array:
    """``(A, n)`` second moments of the logits."""
    d = found.item.shape[1]
    return np.asarray(
        found.ability_moment.reshape(-1, d * d) @ found.item_moment.reshape(-1, d * d).T
    )


def _ascend(score: Array, weight: Array, start: Array, passes: int) -> Factors:
    agents, n = score.shape
    d = start.shape[1] + 1
    push = weight * (score - 0.5)
    bend = weight / 8  # λ(ξ) of the bound, at ξ = 0
    ability = start
    x = _extended(ability)
    moment = x[:, :, None] * x[:, None, :]
    mean, precision = np.zeros(d), np.ones(d)
    least = np.full(d, 1e-6)
    least[1:-1] = _LEAST_VARIANCE
    for _ in range(passes):
        prec = np.diag(precision) + 2 * (bend.T @ moment.reshape(agents, -1)).reshape(n, d, d)
        spread = np.linalg.inv(prec)
        item = np.einsum("nij,nj->ni", spread, precision * mean + push.T @ _extended(ability))
        item_moment = spread + item[:, :, None] * item[:, None, :]
        mean = item.mean(axis=0)
        mean[1:-1] = 0.0  # only the first ability is one that items have in common
        variance = spread[:, range(d), range(d)].mean(axis=0) + ((item - mean) ** 2).mean(axis=0)
        precision = 1 / np.clip(variance, least, 25.0)

        second = (bend @ item_moment.reshape(n, -1)).reshape(agents, d, d)
        prec = np.eye(d - 1) + 2 * second[:, :-1, :-1]
        spread = np.linalg.inv(prec)
        ability = np.einsum("aij,aj->ai", spread, push @ item[:, :-1] - 2 * second[:, :-1, -1])
        x = _extended(ability)
        moment = x[:, :, None] * x[:, None, :]
        moment[:, :-1, :-1] += spread
        found = Factors(ability, item, moment, item_moment)
        xi = np.sqrt(np.maximum(_square(found), 1e-8))
        bend = weight * np.tanh(xi / 2) / (4 * xi)
    return found
