"""The latent distribution of ability: normal, with means that may depend on groups and covariates.

Agent i is ``N(x_i B, Σ_g)``: ``x_i`` holds group indicators and covariates, and ``Σ_g`` has the sds
of the agent's group and a correlation that all groups share. Whether a part is free is a matter of
the scale: without anchors the first group is N(0, 1) while items are being placed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.irt import Array

_STRONGEST = 0.999
"""Partial correlation of two abilities that are one and the same: not quite 1, so that their
covariance can be inverted."""


@dataclass(frozen=True, eq=False)
class Design:
    """What is known of the agents, and which parameters of the population are free."""

    x: Array
    """``(A, C)`` group indicators, then covariates."""
    names: tuple[str, ...]
    """Of the columns of ``x``."""
    group: NDArray[np.intp]
    """``(A,)``."""
    groups: tuple[str, ...]
    free_mean: NDArray[np.bool_]
    """``(C,)`` rows of B that are free."""
    free_sd: NDArray[np.bool_]
    """``(G,)`` groups whose spread is free."""
    free_correlation: bool


@dataclass(frozen=True, eq=False)
class Population:
    """Parameters of the latent distribution."""

    coefficients: Array
    """B, ``(C, D)``."""
    log_sd: Array
    """``(G, D)``."""
    partial: Array
    """``(D(D-1)/2,)`` inverse hyperbolic tangents of the partial correlations of abilities."""

    @property
    def abilities(self) -> int:
        """D."""
        return int(self.coefficients.shape[1])


def one_group(agents: int) -> Design:
    """Everybody from one population, whose mean and sd define the scale."""
    return Design(
        np.ones((agents, 1)),
        ("all",),
        np.zeros(agents, np.intp),
        ("all",),
        np.zeros(1, bool),
        np.zeros(1, bool),
        False,
    )


def standard(design: Design, abilities: int) -> Population:
    """Everybody N(0, 1), abilities independent."""
    return Population(
        np.zeros((design.x.shape[1], abilities)),
        np.zeros((len(design.groups), abilities)),
        np.zeros(abilities * (abilities - 1) // 2),
    )


def correlation(partial: Array, abilities: int) -> Array:
    """R ``(D, D)`` from partial correlations (Joe 2006); positive definite for any input.

    >>> correlation(np.arctanh([0.5]), 2).round(2).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    r = np.eye(abilities, dtype=partial.dtype)
    within = _STRONGEST * np.tanh(partial)
    if abilities > 1:
        r[0, 1] = r[1, 0] = within[0]
    if abilities > 2:
        r[0, 2] = r[2, 0] = within[1]
        rest = np.sqrt((1 - r[0, 1] ** 2) * (1 - r[0, 2] ** 2))
        r[1, 2] = r[2, 1] = r[0, 1] * r[0, 2] + within[2] * rest
    return r


def partial_from(matrix: Array) -> Array:
    """The inverse of :func:`correlation`."""
    d = len(matrix)
    if d == 1:
        return np.zeros(0)
    within = [matrix[0, 1]]
    if d == 3:
        rest = np.sqrt((1 - matrix[0, 1] ** 2) * (1 - matrix[0, 2] ** 2))
        within += [matrix[0, 2], (matrix[1, 2] - matrix[0, 1] * matrix[0, 2]) / rest]
    return np.asarray(np.arctanh(np.clip(np.array(within) / _STRONGEST, -0.999, 0.999)))


def covariance(population: Population, group: int) -> Array:
    """``(D, D)`` of a group."""
    sd = np.exp(population.log_sd[group])
    return np.asarray(np.outer(sd, sd) * correlation(population.partial, population.abilities))


def log_weights(
    design: Design, population: Population, rows: slice, nodes: Array, log_cell: float
) -> Array:
    """``(rows, Q)`` log prior probability of each agent's ability lying in the cell of each
    node."""
    x, group = design.x[rows], design.group[rows]
    if len(design.names) == 1:
        kinds, which = np.array([[1.0, 0.0]]), np.zeros(len(x), np.intp)
    else:
        kinds, which = np.unique(np.column_stack([x, group]), axis=0, return_inverse=True)
    mean = kinds[:, :-1] @ population.coefficients
    found = np.empty((len(kinds), len(nodes)))
    for g in np.unique(kinds[:, -1].astype(int)):
        here = kinds[:, -1] == g
        sigma = covariance(population, g)
        precision = np.linalg.inv(sigma)
        _, log_det = np.linalg.slogdet(2 * np.pi * sigma)
        pull = mean[here] @ precision
        found[here] = (
            pull @ nodes.T
            - 0.5 * (pull * mean[here]).sum(axis=1, keepdims=True)
            - 0.5 * ((nodes @ precision) * nodes).sum(axis=1)
            - 0.5 * log_det
            + log_cell
        )
    return found[which.ravel()]


@dataclass(frozen=True, eq=False)
class Slope:
    """Gradient ``(n,)`` and complete-data information ``(n, n)`` of the free parameters."""

    gradient: Array
    information: Array


def _directions(design: Design, population: Population, group: int) -> list[tuple[int, Array]]:
    """``(position among free spread parameters, ∂Σ_g)`` of those that move a group's spread."""
    d = population.abilities
    found = []
    sigma = covariance(population, group)
    position = 0
    for g in np.flatnonzero(design.free_sd):
        for j in range(d):
            if g == group:
                change = np.zeros((d, d))
                change[j] += sigma[j]
                change[:, j] += sigma[:, j]
                found.append((position, change))
            position += 1
    if design.free_correlation:
        sd = np.exp(population.log_sd[group])
        for j in range(len(population.partial)):
            # complex step: exact to rounding, as the map is analytic (Squire & Trapp 1998)
            moved = population.partial.astype(complex)
            moved[j] += 1e-30j
            change = correlation(moved, d).imag / 1e-30
            found.append((position + j, np.outer(sd, sd) * change))
    return found


def slope(design: Design, population: Population, mean: Array, second: Array) -> Slope:
    """How the expected log density of abilities changes with the free parameters.

    Args:
        mean: ``(A, D)`` posterior means.
        second: ``(A, D, D)`` posterior second moments about 0.
    """
    d = population.abilities
    at = design.x @ population.coefficients
    free_x = design.x[:, design.free_mean]
    n_mean = free_x.shape[1] * d
    n_sd = int(design.free_sd.sum()) * d
    n = n_mean + n_sd + (len(population.partial) if design.free_correlation else 0)
    gradient, information = np.zeros(n), np.zeros((n, n))
    for g in range(len(design.groups)):
        here = design.group == g
        if not here.any() or not n:
            continue
        precision = np.linalg.inv(covariance(population, g))
        off = mean[here] - at[here]
        gradient[:n_mean] += (free_x[here].T @ (off @ precision)).ravel()
        cross = free_x[here].T @ free_x[here]
        information[:n_mean, :n_mean] += np.kron(cross, precision)
        m = at[here]
        about = second[here].sum(axis=0) - mean[here].T @ m - m.T @ mean[here] + m.T @ m
        half = [(k, precision @ change) for k, change in _directions(design, population, g)]
        excess = about @ precision - here.sum() * np.eye(d)
        for k, one in half:
            gradient[n_mean + k] += 0.5 * np.trace(one @ excess)
            for other_k, other in half:
                information[n_mean + k, n_mean + other_k] += (
                    0.5 * here.sum() * np.trace(one @ other)
                )
    return Slope(gradient, information)


def agent_scores(design: Design, population: Population, rows: slice, nodes: Array) -> Array:
    """``(rows, n, Q)`` derivatives of each agent's log density at the nodes, free parameters."""
    d = population.abilities
    at = (design.x @ population.coefficients)[rows]
    free_x = design.x[rows][:, design.free_mean]
    group = design.group[rows]
    n_mean = free_x.shape[1] * d
    n = n_mean + int(design.free_sd.sum()) * d
    n += len(population.partial) if design.free_correlation else 0
    found = np.zeros((len(at), n, len(nodes)))
    for g in np.unique(group):
        here = np.flatnonzero(group == g)
        precision = np.linalg.inv(covariance(population, int(g)))
        off = nodes[None] - at[here, None]
        pull = off @ precision
        found[here, :n_mean] = np.einsum("ac,aqd->acdq", free_x[here], pull).reshape(
            len(here), n_mean, len(nodes)
        )
        for k, change in _directions(design, population, int(g)):
            inner = np.einsum("aqd,de,aqe->aq", pull, change, pull)
            found[here, n_mean + k] = 0.5 * (inner - np.trace(precision @ change))
    return found


def pack(design: Design, population: Population) -> Array:
    """The free parameters as a vector."""
    parts = [population.coefficients[design.free_mean].ravel()]
    parts.append(population.log_sd[design.free_sd].ravel())
    parts.append(population.partial if design.free_correlation else np.zeros(0))
    return np.concatenate(parts)


def unpack(design: Design, population: Population, vector: Array) -> Population:
    """The population with these free parameters."""
    d = population.abilities
    coefficients, log_sd = population.coefficients.copy(), population.log_sd.copy()
    first = int(design.free_mean.sum()) * d
    second = first + int(design.free_sd.sum()) * d
    coefficients[design.free_mean] = vector[:first].reshape(-1, d)
    log_sd[design.free_sd] = vector[first:second].reshape(-1, d)
    partial = vector[second:] if design.free_correlation else population.partial
    return Population(coefficients, log_sd, partial)


def free_names(design: Design, abilities: int) -> list[str]:
    """Names of the free parameters in the order of :func:`pack`."""
    ability = [f" of ability {j + 1}" if abilities > 1 else "" for j in range(abilities)]
    names = [
        f"mean {c}{a}"
        for c, f in zip(design.names, design.free_mean, strict=True)
        if f
        for a in ability
    ]
    names += [
        f"log sd {g}{a}"
        for g, f in zip(design.groups, design.free_sd, strict=True)
        if f
        for a in ability
    ]
    if design.free_correlation:
        names += [f"partial correlation {k + 1}" for k in range(abilities * (abilities - 1) // 2)]
    return names


def pooled(design: Design, population: Population) -> tuple[Array, Array]:
    """Mean ``(D,)`` and covariance ``(D, D)`` of ability over all agents of the design."""
    at = design.x @ population.coefficients
    mean = at.mean(axis=0)
    within = sum(
        (design.group == g).mean() * covariance(population, g) for g in range(len(design.groups))
    )
    off = at - mean
    return mean, np.asarray(within + off.T @ off / len(off))


def rescaled(design: Design, population: Population, mean: Array, sd: Array) -> Population:
    """The population in units in which ability θ is ``(θ - mean) / sd``."""
    coefficients = population.coefficients.copy()
    indicators = range(len(design.groups))
    coefficients[list(indicators)] -= mean
    return replace(
        population, coefficients=coefficients / sd, log_sd=population.log_sd - np.log(sd)
    )


def by_group(names: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Groups, the largest first, and the group of each agent."""
    unique, inverse, counts = np.unique(np.array(names), return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    return tuple(str(unique[k]) for k in order), rank[inverse]
