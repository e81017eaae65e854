"""The evidence of variances: what the observed rows say of the spread of weights and residuals.

It is that of a normal with covariance ``C = X Λ Xᵀ + D``: Λ has the prior variances of the weights,
D what each row shares with no other. Everything is worked out in the p weights, not the n rows
(Woodbury).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.irt import Array
from harness.regression.coding import Coding, Design

_FLAT = 1e3
"""Prior variance of the intercept, in variances of y."""
_LOG_SD = 2.0
"""Prior sd of the log of each variance: a factor of 50 either way within two sds."""


@dataclass(frozen=True, eq=False)
class Solved:
    """What the variances imply."""

    value: float
    """Log evidence."""
    gradient: Array
    """By the log variances: blocks, residual last."""
    prior: Array
    """``(p,)`` prior variances of the weights."""
    own: Array
    """``(n,)`` variance of each row that it shares with no other."""
    covariance: Array
    """``(p, p)`` posterior."""
    pull: Array
    """``(n,)`` α = C⁻¹ y."""
    diagonal: Array
    """``(n,)`` of C⁻¹."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """The evidence of variances, given coded rows and what was observed of them."""

    coding: Coding
    design: Design
    y: Array
    noise: Array

    @cached_property
    def _variance(self) -> float:
        return max(float(self.y.var()), 1e-8)

    @cached_property
    def _block(self) -> Array:
        """``(p,)`` block of each weight; -1 for the intercept."""
        found = np.full(self.coding.size, -1)
        for block, place in zip(self.coding.block_of, self.coding.places, strict=True):
            found[place] = block
        return found

    @cached_property
    def _share(self) -> Array:
        """``(p,)`` of the block's variance."""
        found = np.ones(self.coding.size)
        for share, place in zip(self.coding.share, self.coding.places, strict=True):
            found[place] = share
        return found

    @cached_property
    def _open(self) -> Array:
        """``(n, blocks)`` variance of what is unknown of a row, in variances of the block."""
        found = np.zeros((len(self.y), len(self.coding.blocks)))
        for c, block in enumerate(self.coding.block_of):
            found[:, block] += self.coding.share[c] * self.design.unknown[:, c]
        return found

    def at(self, log_variance: Array) -> Solved:
        """The evidence of ``(blocks + 1,)`` log variances, the residual's last."""
        x, y = self.design.x, self.y
        variance = np.exp(log_variance)
        prior = np.where(self._block < 0, _FLAT * self._variance, 0.0)
        inside = self._block >= 0
        prior[inside] = variance[self._block[inside]] * self._share[inside]
        own = self.noise + variance[-1] + self._open @ variance[:-1]
        scaled = x / own[:, None]
        gram = x.T @ scaled
        # (I + Λ½ G Λ½) is well conditioned however small a variance is
        root = np.sqrt(prior)
        inner = np.eye(len(prior)) + root[:, None] * gram * root
        covariance = root[:, None] * np.linalg.inv(inner) * root
        _, log_det = np.linalg.slogdet(inner)
        pull = (y - x @ (covariance @ (scaled.T @ y))) / own
        diagonal = 1 / own - np.einsum("ip,pq,iq->i", scaled, covariance, scaled)
        value = -0.5 * (log_det + np.log(own).sum() + y @ pull + len(y) * np.log(2 * np.pi))
        by_row = pull**2 - diagonal
        by_weight = prior * ((x.T @ pull) ** 2 - np.diag(gram - gram @ covariance @ gram))
        gradient = np.empty(len(variance))
        for block in range(len(self.coding.blocks)):
            gradient[block] = by_weight[self._block == block].sum()
            gradient[block] += variance[block] * (self._open[:, block] @ by_row)
        gradient[-1] = variance[-1] * by_row.sum()
        return Solved(float(value), 0.5 * gradient, prior, own, covariance, pull, diagonal)

    def maximise(self) -> Array:
        """``(blocks + 1,)`` log variances."""
        from scipy.optimize import minimize

        blocks = len(self.coding.blocks)
        # one half of the variance of y is for the residual, the other for the blocks, in like parts
        shares = np.append(np.full(blocks, 0.5 / max(blocks, 1)), 0.5)
        middle = np.log(self._variance * shares)

        def loss(log_variance: Array) -> tuple[float, Array]:
            found = self.at(log_variance)
            off = (log_variance - middle) / _LOG_SD
            return 0.5 * float(off @ off) - found.value, off / _LOG_SD - found.gradient

        reach = list(zip(middle - 12.0, middle + 12.0, strict=True))
        return np.asarray(minimize(loss, middle, jac=True, method="L-BFGS-B", bounds=reach).x)
