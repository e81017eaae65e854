"""Uniform ability nodes that are as dense and as wide as the posteriors ask for.

The error of a uniform grid falls like ``exp(-2π²s²/h²)`` with the spacing h and the sd s of the
narrowest posterior: with ``h = s`` it is 3e-9, with ``h = 2s`` already 7e-3. What is right for a
short test is wrong for a long one, so the grid is chosen while calibrating.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from harness.errors import InputError
from harness.irt import Array

_MOST_NODES = {1: 1201, 2: 14_641, 3: 35_937}
"""1201, 121² and 33³: bounds memory and time where posteriors are very narrow."""
_NEGLIGIBLE = {1: 1e-9, 2: 1e-7, 3: 1e-6}
"""Weight at the rim that is let be."""
_SPACING = {1: 1.1, 2: 1.25, 3: 1.5}
"""In sds of the narrowest posterior; the error of the last, 2e-4, is the price of a third
ability."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Nodes ``(Q, D)`` of a uniform product grid; corners of no weight may be cut off."""

    nodes: Array
    reach: tuple[float, ...]
    """Largest absolute node of each ability."""
    spacing: tuple[float, ...]

    @cached_property
    def log_cell(self) -> float:
        """Log volume of the cell that a node stands for, such that a standard normal sums to 1.

        That is the product of the spacings, but for nodes that end within a few sds.
        """
        log_density = -0.5 * (self.nodes**2 + np.log(2 * np.pi)).sum(axis=1)
        return -float(logsumexp(log_density))

    @property
    def abilities(self) -> int:
        """D."""
        return int(self.nodes.shape[1])


def uniform(reach: tuple[float, ...], spacing: tuple[float, ...]) -> Grid:
    """Nodes from ``-reach`` to ``reach``, at most so far apart; of several abilities an ellipse.

    >>> uniform((6.0,), (0.1,)).nodes.shape, uniform((6.0, 6.0), (0.5, 0.5)).nodes.shape
    ((121, 1), (441, 2))
    """
    most = math.floor(_MOST_NODES[len(reach)] ** (1 / len(reach)) + 1e-9) // 2
    halves = [min(math.ceil(r / h - 1e-9), most) for r, h in zip(reach, spacing, strict=True)]
    axes = [np.linspace(-r, r, 2 * n + 1) for r, n in zip(reach, halves, strict=True)]
    nodes = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    if len(reach) > 1:
        nodes = nodes[((nodes / np.array(reach)) ** 2).sum(axis=1) <= 1 + 1e-9]
    return Grid(nodes, reach, tuple(r / n for r, n in zip(reach, halves, strict=True)))


def first(abilities: int) -> Grid:
    """A coarse grid to begin the search on."""
    return uniform((6.0,) * abilities, ({1: 0.2, 2: 0.5, 3: 0.75}[abilities],) * abilities)


def given(nodes: Array) -> Grid:
    """A grid of the caller: ``(Q,)`` or a full product grid ``(Q, D)``.

    Raises:
        InputError: the nodes are not uniform.
    """
    nodes = nodes[:, None] if nodes.ndim == 1 else nodes
    axes = [np.unique(nodes[:, d].round(12)) for d in range(nodes.shape[1])]
    even = all(len(a) > 2 and np.allclose(np.diff(a, 2), 0, atol=1e-9) for a in axes)
    if not even or math.prod(map(len, axes)) != len(nodes):
        raise InputError("ability nodes for calibration must be uniform: use numpy.linspace")
    return Grid(
        nodes,
        tuple(float(np.abs(a).max()) for a in axes),
        tuple(float(a[1] - a[0]) for a in axes),
    )


def edge(grid: Grid) -> NDArray[np.bool_]:
    """``(Q,)`` nodes at the rim: weight there says that the grid is too small."""
    scaled = np.abs(grid.nodes) / np.array(grid.reach)
    step = np.array(grid.spacing) / np.array(grid.reach)
    if grid.abilities == 1:
        return np.asarray(scaled[:, 0] > 1 - step[0] / 2)
    return np.asarray(np.sqrt((scaled**2).sum(axis=1)) > 1 - step.max())


def refined(grid: Grid, sd: Array, edge_weight: float) -> Grid:
    """A grid dense and wide enough for these posteriors; the same object if it is already.

    Args:
        sd: ``(D,)`` smallest posterior sd of each ability.
        edge_weight: largest weight of a posterior at the rim.
    """
    reach, spacing = np.array(grid.reach), np.array(grid.spacing)
    if edge_weight > _NEGLIGIBLE[grid.abilities]:
        reach = reach + 2.0
    # posteriors narrower than the spacing are not resolved, so their sd is a guess
    wanted = sd * _SPACING[grid.abilities]
    finer = np.where(wanted < spacing * 0.9, np.maximum(wanted, spacing / 3), spacing)
    new = uniform(tuple(reach), tuple(finer))
    return grid if new.nodes.shape == grid.nodes.shape and new.reach == grid.reach else new
