"""Rotation of exploratory loadings to simple structure.

Gradient projection (Jennrich 2001, 2002; Bernaards & Jennrich 2005): ``Λ* = Λ (T')⁻¹``, abilities
``θ* = T'θ`` with correlation ``T'T``; T is orthogonal for varimax and has unit columns for oblimin.
"""

from typing import Literal

import numpy as np

from harness.irt import Array

Rotation = Literal["oblimin", "varimax", "none"]


def rotation(loadings: Array, method: Rotation) -> Array:
    """T ``(D, D)`` that brings ``loadings (n, D)`` to simple structure.

    Axes are put in the order of the variance that they explain, each pointing to better scores.

    >>> turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    >>> simple = np.array([[1.0, 0.0]] * 4 + [[0.0, 1.2]] * 4)
    >>> t = rotation(simple @ turn, "varimax")
    >>> np.abs(simple @ turn @ np.linalg.inv(t.T)).round(3)[[0, 7]].tolist()
    [[0.0, 1.0], [1.2, 0.0]]
    """
    d = loadings.shape[1]
    t = np.eye(d)
    if method != "none" and d > 1:
        starts = [np.eye(d)]
        rng = np.random.default_rng(0)
        starts += [np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(8)]
        # simple structure has local optima: keep the best of several starts
        t = min((_project(loadings, start, method) for start in starts), key=lambda f: f[1])[0]
    rotated = loadings @ np.linalg.inv(t.T)
    order = np.argsort(-(rotated**2).sum(axis=0), kind="stable")
    signs = np.where(rotated.sum(axis=0) < 0, -1.0, 1.0)
    return np.asarray((t * signs)[:, order])


def _criterion(rotated: Array, method: Rotation) -> tuple[float, Array]:
    """Value and gradient by the rotated loadings."""
    square = rotated**2
    if method == "varimax":
        off = square - square.mean(axis=0)
        return -float((off**2).sum()) / 4, -rotated * off
    others = square.sum(axis=1, keepdims=True) - square
    return float((square * others).sum()) / 4, rotated * others


def _project(loadings: Array, t: Array, method: Rotation) -> tuple[Array, float]:
    oblique = method == "oblimin"
    step = 1.0
    rotated = loadings @ np.linalg.inv(t.T)
    value, slope = _criterion(rotated, method)
    for _ in range(1000):
        gradient = -(rotated.T @ slope @ np.linalg.inv(t)).T
        if oblique:
            projected = gradient - t * (t * gradient).sum(axis=0)
        else:
            inner = t.T @ gradient
            projected = gradient - t @ (inner + inner.T) / 2
        size = float((projected**2).sum())
        if size < 1e-14:
            break
        step *= 2
        for _ in range(40):
            moved = t - step * projected
            if oblique:
                new = moved / np.sqrt((moved**2).sum(axis=0))
            else:
                u, _, v = np.linalg.svd(moved)
                new = u @ v
            candidate = loadings @ np.linalg.inv(new.T)
            new_value, new_slope = _criterion(candidate, method)
            if new_value < value - 0.5 * size * step:
                break
            step /= 2
        else:
            break
        t, rotated, value, slope = new, candidate, new_value, new_slope
    return t, value
