"""Tetrachoric and polychoric correlations of all pairs of items at once.

Two steps (Olsson 1979): thresholds from each item's own categories, then the correlation of each
pair by maximum likelihood. The bivariate normal distribution is the integral of its density over
the correlation (Plackett 1954), by Gauss-Legendre after the substitution of Drezner & Wesolowsky
(1990).
"""

import numpy as np
from scipy.special import ndtr, ndtri

from harness.irt import Array

LARGEST = 0.99
"""Correlations are kept between this and its negative, as tables with empty cells ask for ±1."""
_POINTS = 24
_STEPS = 40
_BEYOND = 8.0
"""Stands for an infinite threshold."""


def bivariate_normal(h: Array, k: Array, rho: Array) -> Array:
    """P(X <= h, Y <= k) of standard normals with correlation rho; all broadcast.

    >>> float(bivariate_normal(np.array(0.0), np.array(0.0), np.array(0.5)).round(6))
    0.333333
    """
    points, weights = np.polynomial.legendre.leggauss(_POINTS)
    half = np.arcsin(rho)[..., None] / 2
    angle = half * (points + 1)
    h, k = np.asarray(h)[..., None], np.asarray(k)[..., None]
    exponent = (2 * h * k * np.sin(angle) - h**2 - k**2) / (2 * np.cos(angle) ** 2)
    integral = (half * np.exp(np.minimum(exponent, 0.0)) @ weights[:, None])[..., 0]
    return np.asarray(ndtr(h[..., 0]) * ndtr(k[..., 0]) + integral / (2 * np.pi))


def polychoric(counts: Array) -> Array:
    """Correlations of the normal variables that ordinal items are thought to cut.

    Args:
        counts: ``(A, n, K)`` 1 for the category that an agent scored, all 0 where missing.

    Returns:
        ``(n, n)``; tetrachoric for two categories. NaN where an item has a single category, or
        fewer than three agents are shared.
    """
    _, n, top = counts.shape
    total = counts.sum(axis=0)
    upto = np.cumsum(total, axis=1)[:, :-1] / np.maximum(total.sum(axis=1, keepdims=True), 1.0)
    edges = np.full((n, top + 1), _BEYOND)
    edges[:, 0] = -_BEYOND
    edges[:, 1:-1] = np.clip(ndtri(upto), -_BEYOND, _BEYOND)
    i, j = np.triu_indices(n, 1)
    table = np.einsum("aik,ajl->ijkl", counts, counts, optimize=True)[i, j]
    varied = (total > 0).sum(axis=1) > 1
    usable = varied[i] & varied[j] & (table.sum(axis=(1, 2)) >= 3)
    found = np.full((n, n), np.nan)
    found[np.arange(n), np.arange(n)] = np.where(varied, 1.0, np.nan)
    rho = _maximum(table[usable], edges[i[usable]], edges[j[usable]])
    found[i[usable], j[usable]] = found[j[usable], i[usable]] = rho
    return found


def _maximum(table: Array, first: Array, second: Array) -> Array:
    """``(P,)`` maxima of the likelihood of P tables with thresholds ``(P, K + 1)``: Fisher's
    scoring, with bisection where a step leaves the bracket."""
    h, k = first[:, :, None], second[:, None, :]
    inner = (np.abs(h) < _BEYOND) & (np.abs(k) < _BEYOND)
    low, high = np.full(len(table), -LARGEST), np.full(len(table), LARGEST)
    rho = np.zeros(len(table))
    for _ in range(_STEPS):
        r = rho[:, None, None]
        away = 1 - r**2
        density = np.where(
            inner,
            np.exp((2 * r * h * k - h**2 - k**2) / (2 * away)) / (2 * np.pi * np.sqrt(away)),
            0.0,
        )
        cells = np.maximum(_rectangles(bivariate_normal(h, k, r)), 1e-12)
        slopes = _rectangles(density)
        slope = (table * slopes / cells).sum(axis=(1, 2))
        information = table.sum(axis=(1, 2)) * (slopes**2 / cells).sum(axis=(1, 2))
        low, high = np.where(slope > 0, rho, low), np.where(slope > 0, high, rho)
        step = rho + slope / np.maximum(information, 1e-12)
        moved = np.where((step > low) & (step < high), step, (low + high) / 2)
        done = float(np.abs(moved - rho).max(initial=0.0)) < 1e-7
        rho = moved
        if done:
            break
    return rho


def _rectangles(corners: Array) -> Array:
    return np.asarray(np.diff(np.diff(corners, axis=1), axis=2))
