"""What to expect of a run before it costs anything."""

from dataclasses import dataclass
from pathlib import Path

from harness.bank import ItemBank
from harness.environments import find_environment
from harness.errors import DockerError
from harness.events import Plan
from harness.runners.simulate import Simulation, Spread, simulate

_AGENTS = 500
_BASE_BYTES = 110_000_000
"""Size of our base image, for the estimate of a build that has not happened yet."""


@dataclass(frozen=True)
class Images:
    """Images that the run would still have to build."""

    missing: tuple[str, ...]
    bytes: int
    """About how much they add to the disk, the base image included where it is missing too."""


@dataclass(frozen=True)
class Expectation:
    """Simulated sessions of the plan, and what has to be built first."""

    simulation: Simulation
    images: Images | None
    """None where Docker does not answer."""


def expect(bank: ItemBank, plan: Plan, environments: Path | None) -> Expectation:
    """Simulate a plan from its prior, and look at the images; nothing is run or built.

    Raises:
        TaskError: an item has no task directory.
    """
    simulation = simulate(bank, plan, n_agents=_AGENTS, seed=plan.seed)
    try:
        return Expectation(simulation, _images(bank, environments))
    except DockerError:
        return Expectation(simulation, None)


def _images(bank: ItemBank, folder: Path | None) -> Images:
    from harness.sandbox import images

    found = [find_environment(item.environment or item.id, folder) for item in bank.items]
    missing = [e for e in found if e.image is None and not images.is_built(e.context, e.name)]
    size = sum(p.stat().st_size for e in missing for p in e.context.rglob("*") if p.is_file())
    if missing and images.present_base() is None:
        size += _BASE_BYTES
    return Images(tuple(e.name for e in missing), size)


def expectation_text(expectation: Expectation) -> str:
    """The expectation for people."""
    simulation, images = expectation.simulation, expectation.images
    items = simulation.overall.items
    ends = ", ".join(f"{share:.0%} {end}" for end, share in simulation.outcomes.items() if share)
    if images is None:
        build = "unknown, Docker does not answer (see: cat-harness doctor)"
    elif images.missing:
        build = f"{len(images.missing)} to build, about {images.bytes / 1e6:.1f} MB"
    else:
        build = "all there"
    return "\n".join(
        [
            f"Expected of {simulation.select} on {simulation.bank} until {simulation.stop}",
            f"(from {simulation.agents} agents simulated from the prior):",
            f"  items   median {items.median:.0f}, 80% range {items.low:.0f} to {items.high:.0f}",
            f"  sd      {simulation.overall.sd:.2f} at the end",
            f"  ends    {ends}",
            f"  cost    {_range(simulation.usd, '${:.2f}')}",
            f"  time    {_range(simulation.seconds, '{:.0f} s')}",
            f"  images  {build}",
        ]
    )


def _range(spread: Spread | None, form: str) -> str:
    if spread is None:
        return "unknown: the items of the bank carry none"
    low, high = form.format(spread.low), form.format(spread.high)
    return f"median {form.format(spread.median)}, 80% range {low} to {high}"
