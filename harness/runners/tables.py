"""Replay and simulation as tables for a terminal."""

from typing import TYPE_CHECKING

from harness.runners.accuracy import Accuracy
from harness.runners.replay import Checkpoint, Replay
from harness.runners.simulate import Band, Simulation

if TYPE_CHECKING:
    from rich.table import Table


def replay_table(replay: Replay) -> "Table":
    """One row a checkpoint, the stopping rule last; scores in points of 0 to 100."""
    from rich.table import Table

    table = Table(title=f"{len(replay.agents)} agents on {replay.bank}, {replay.select}")
    table.add_column("items", justify="right")
    table.add_column("agents", justify="right")
    inside = f"in {replay.level:.0%}"
    for name in ("score MAE", "bias", "ρ", inside, "random MAE", "ρ", "θ MAE", "bias", "ρ", inside):
        table.add_column(name, justify="right")
    for point in (*replay.checkpoints, replay.at_stop):
        label = str(point.items) if point.items is not None else f"stop: {replay.items.mean:.1f}"
        table.add_row(
            label,
            str(point.agents),
            *_accuracy(point.score, 100),
            *_random(point),
            # further abilities are in the JSON
            *_accuracy(point.ability[0], 1),
        )
    return table


def simulation_table(simulation: Simulation) -> "Table":
    """All simulated agents, then by bands of true ability."""
    from rich.table import Table

    table = Table(title=f"{simulation.agents} simulated agents on {simulation.bank}")
    inside = f"in {simulation.level:.0%}"
    table.add_column("true θ")
    for name in ("agents", "items", "sd", "θ bias", "RMSE", inside, "score MAE", inside):
        table.add_column(name, justify="right")
    for band in (simulation.overall, *simulation.bands):
        table.add_row(
            _band(band, simulation),
            str(band.agents),
            f"{band.items.median:.0f} ({band.items.low:.0f}–{band.items.high:.0f})",
            f"{band.sd:.2f}",
            f"{band.ability[0].bias:+.2f}",
            f"{band.ability[0].rmse:.2f}",
            f"{band.ability[0].coverage:.0%}",
            f"{100 * band.score.mae:.1f}",
            f"{band.score.coverage:.0%}",
        )
    return table


def _band(band: Band, simulation: Simulation) -> str:
    return "all" if band is simulation.overall else f"{band.low:+.1f} to {band.high:+.1f}"


def _accuracy(found: Accuracy, scale: float) -> tuple[str, str, str, str]:
    digits = 1 if scale > 1 else 2
    return (
        f"{scale * found.mae:.{digits}f}",
        f"{scale * found.bias:+.{digits}f}",
        _rank(found.spearman),
        f"{found.coverage:.0%}",
    )


def _random(point: Checkpoint) -> tuple[str, str]:
    if point.baseline is None:
        return "", ""
    found = point.baseline
    return f"{100 * found.mae:.1f} ± {100 * found.mae_spread:.1f}", _rank(found.spearman)


def _rank(spearman: float | None) -> str:
    return "" if spearman is None else f"{spearman:.2f}"
