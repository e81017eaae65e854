"""Banks on the nodes that ability moves over: one bank, or two whose abilities go together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from harness.ability import Prior, normalise
from harness.bank import ItemBank, compile_bank
from harness.errors import PlanError
from harness.irt import Array, Table
from harness.schedule.drift import Cell, Drift, Move, cells, make_move, settled, slopes

SPAN = 5.0
"""Nodes reach so many population sds to either side."""
_NODES = {1: 121, 2: 51}


@dataclass(frozen=True, eq=False)
class Scale:
    """One bank on the nodes of its ability: n items, at most K categories, Q nodes."""

    bank: ItemBank
    table: Table
    """Compiled on the nodes."""
    cuts: Array
    """``(n, K + 1, Q)`` bounds of the categories on a latent scale that is standard normal given
    ability: the probability of a category is the normal mass between two of them."""

    @property
    def name(self) -> str:
        """Of the bank."""
        return self.bank.name

    @property
    def nodes(self) -> Array:
        """``(Q,)`` abilities."""
        return self.table.nodes[:, 0]

    @property
    def sd(self) -> float:
        """Of the bank's population: the unit of drift, and of alarms."""
        return self.bank.sd[0]


def scale_of(bank: ItemBank, size: int) -> Scale:
    """A bank on ``size`` nodes.

    Raises:
        PlanError: it has several abilities.
    """
    if len(bank.mean) > 1:
        raise PlanError(
            f"bank {bank.name!r} has {len(bank.mean)} abilities; a series follows banks of one "
            "ability each, and two of them together as one ability of two dimensions"
        )
    nodes = np.linspace(bank.mean[0] - SPAN * bank.sd[0], bank.mean[0] + SPAN * bank.sd[0], size)
    table = compile_bank(bank, nodes[:, None])
    n, k, q = table.p.shape
    below = table.p.cumsum(axis=1)[:, :-1]
    above = table.p[:, ::-1].cumsum(axis=1)[:, -2::-1]
    cuts = np.full((n, k + 1, q), np.inf)
    cuts[:, 0] = -np.inf
    # from the smaller tail, which loses no digits
    cuts[:, 1:k] = np.where(
        below < above, ndtri(np.minimum(below, 0.5)), -ndtri(np.minimum(above, 0.5))
    )
    return Scale(bank, table, cuts)


@dataclass(frozen=True, eq=False)
class Space:
    """Everything about a series that does not depend on its answers."""

    scales: tuple[Scale, ...]
    """One, or two that move together."""
    drift: Drift
    _moves: dict[tuple[int, bool], Move] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        """Nodes of each ability."""
        return len(self.scales[0].nodes)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Ways in which the run may move, length H."""
        return cells(self.drift, len(self.scales))

    @cached_property
    def slopes(self) -> Array:
        """``(S,)``."""
        return slopes(self.drift)

    @property
    def spacing(self) -> float:
        """Of the nodes, in sds of the population."""
        return 2 * SPAN / (self.size - 1)

    def move(self, gap: int, jump: bool) -> Move:
        """The move over so many training steps, made once."""
        if (gap, jump) not in self._moves:
            self._moves[gap, jump] = make_move(
                self.drift, gap, jump, len(self.scales), self.spacing, self.size
            )
        return self._moves[gap, jump]

    def axis(self, bank: str) -> int:
        """Which ability is that of a bank.

        Raises:
            PlanError: the space has no such bank.
        """
        for axis, scale in enumerate(self.scales):
            if scale.name == bank:
                return axis
        names = ", ".join(scale.name for scale in self.scales)
        raise PlanError(f"bank {bank!r} is not in this series, which has {names}")

    def along(self, values: Array, axis: int) -> Array:
        """Values of one ability, shaped so that they multiply a belief: ``(Q,)`` all of it,
        ``(B, Q)`` each of B beliefs by its own."""
        shape = [1] * len(self.scales)
        shape[axis] = self.size
        return values.reshape(*((len(values), 1, 1) if values.ndim > 1 else ()), *shape)

    def one(self, p: Array, axis: int) -> Array:
        """``(..., H, S, Q)`` of ``(..., H, S, Q...)``: one ability, summed over another."""
        return p if len(self.scales) == 1 else p.sum(axis=-2 if axis else -1)

    @cached_property
    def prior(self) -> Array:
        """``(H, S, Q...)`` before any checkpoint: the population of each bank; sums to 1."""
        abilities = [self._population(way) for way in self.cells]
        slope = np.ones(1)
        if self.drift.trend:
            slope = normalise(-0.5 * (self.slopes / self.drift.slope_sd) ** 2)
        shape = (1, len(slope)) + (1,) * len(self.scales)
        weights = np.array([way.weight for way in self.cells])
        weights = weights.reshape((-1, 1) + (1,) * len(self.scales))
        return np.asarray(weights * slope.reshape(shape) * np.stack(abilities)[:, None])

    def _population(self, way: Cell) -> Array:
        if len(self.scales) == 1:
            scale = self.scales[0]
            return np.exp(scale.bank.population.log_weights(scale.table.nodes))
        first, second = self.scales
        grid = np.stack(np.meshgrid(first.nodes, second.nodes, indexing="ij"), axis=-1)
        mean = (first.bank.mean[0], second.bank.mean[0])
        r = way.correlation
        prior = Prior(mean, (first.sd, second.sd), ((1.0, r), (r, 1.0)))
        return np.exp(prior.log_weights(grid.reshape(-1, 2))).reshape(grid.shape[:2])


def make_spaces(
    banks: Sequence[ItemBank], drift: Drift, joint: bool = False, steps: Sequence[int] = ()
) -> tuple[Space, ...]:
    """A space for each bank; a single one for two banks whose abilities move together.

    Args:
        steps: of the checkpoints so far, which say what the unit is where the drift does not.

    Raises:
        PlanError: no bank, two of the same name, one of several abilities, or not two together.
    """
    drift = settled(drift, steps)
    names = [bank.name for bank in banks]
    if not banks or len(set(names)) < len(names):
        raise PlanError("a series needs at least one bank, and each of them once")
    if not joint:
        return tuple(Space((scale_of(bank, _NODES[1]),), drift) for bank in banks)
    if len(banks) != 2 or drift.trend:
        raise PlanError("abilities move together for two banks, and without a trend")
    return (Space(tuple(scale_of(bank, _NODES[2]) for bank in banks), drift),)
