"""All diagnoses of a benchmark in one call."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TypeAlias

import numpy as np

from harness.health.agents.analysis import AgentsFit, analyse_agents
from harness.health.better.greedy import Budget, Where
from harness.health.better.subset import Reduction, analyse_subset
from harness.health.evidence import Evidence, without_items
from harness.health.flags import Flag
from harness.health.graders.contradictions import Contradictions, analyse_contradictions
from harness.health.graders.judges import Graders, HigherIs, analyse_graders
from harness.health.items.gaps import Gaps, analyse_gaps
from harness.health.items.item_fit import ItemFits, analyse_item_fit
from harness.health.items.item_groups import ItemGroups, analyse_item_groups
from harness.health.items.noise import Noise, analyse_noise
from harness.health.items.saturation import Saturation, analyse_saturation
from harness.health.items.scale_use import ScaleUse, analyse_scale_use
from harness.health.items.slopes import Slopes, analyse_slopes
from harness.health.structure.dependence import Dependence, analyse_dependence
from harness.health.structure.dimensions import Dimensions, analyse_dimensions
from harness.health.structure.functioning import Functioning, analyse_functioning
from harness.health.structure.model_fit import ModelFit, analyse_model_fit
from harness.health.structure.reliability import Reliability, analyse_reliability
from harness.irt import Array
from harness.responses import Responses
from harness.responses.families import maker_in
from harness.responses.ratings import Grader, Ratings

Part: TypeAlias = (
    Slopes
    | ItemFits
    | ItemGroups
    | Dependence
    | Saturation
    | Gaps
    | Noise
    | ScaleUse
    | Graders
    | Contradictions
    | Dimensions
    | ModelFit
    | Functioning
    | AgentsFit
    | Reliability
    | Reduction
)
"""What one analysis found."""


@dataclass(frozen=True, eq=False)
class Health:
    """What was found; ``None`` where the outcomes have nothing to say of it."""

    name: str
    """Of the benchmark."""
    source: str
    sha256: str
    version: str
    """Of this program."""
    seed: int
    agents: int
    items: int
    answers: int
    missing: float
    """Share of agent × item cells without an outcome."""
    bank: str
    """Name and hash of the bank that was given, or what was calibrated on these outcomes."""
    notes: tuple[str, ...]
    """What was left out, and why."""
    slopes: Slopes
    fit: ItemFits
    item_groups: ItemGroups
    dependence: Dependence
    saturation: Saturation
    gaps: Gaps
    noise: Noise | None
    scale_use: ScaleUse | None
    graders: Graders | None
    contradictions: Contradictions | None
    dimensions: Dimensions
    model_fit: ModelFit
    functioning: Functioning
    agents_fit: AgentsFit
    reliability: Reliability
    subset: Reduction | None

    @property
    def parts(self) -> tuple[Part, ...]:
        """All analyses that were made, in the order of what to do about them."""
        every: tuple[Part | None, ...] = (
            *(self.slopes, self.fit, self.item_groups, self.graders, self.contradictions),
            self.dependence,
            *(self.saturation, self.gaps, self.noise, self.scale_use, self.functioning),
            *(self.agents_fit, self.dimensions, self.model_fit, self.reliability, self.subset),
        )
        return tuple(part for part in every if part is not None)

    @property
    def flags(self) -> tuple[Flag, ...]:
        """Of all parts."""
        return tuple(flag for part in self.parts for flag in part.flags)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What cannot be concluded, each once."""
        return tuple(dict.fromkeys(text for part in self.parts for text in part.cautions))


_MOST_APART = 0.25
"""Share of the items that may be left out of the search for dimensions."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def assess(
    evidence: Evidence,
    *,
    name: str | None = None,
    ratings: Ratings | None = None,
    high_is: HigherIs | None = None,
    grades: tuple[Ratings, tuple[Grader, Grader]] | None = None,
    in_order: bool = False,
    subset: bool = True,
    budget: Budget | None = None,
    subset_for: Where = "agents",
    seed: int = 0,
    progress: Progress | None = None,
) -> Health:
    """Look at items, structure, agents and graders.

    Args:
        evidence: see :func:`harness.health.evidence.gather`.
        name: of the benchmark; that of its file when None.
        ratings: of the same outcomes by several judges.
        high_is: what a high rating says of the agent; for the words.
        grades: of the same outcomes by two graders, and when each says yes.
        in_order: the rows of each agent stand in the order in which it was given the items.
        subset: look for a smaller benchmark.
        budget: of the smaller benchmark; a tenth of the items when None.
        subset_for: whose abilities it is to tell apart.
        seed: of what is drawn.

    >>> from harness.health.evidence import gather
    >>> from harness.responses import from_matrix
    >>> rng = np.random.default_rng(0)
    >>> ahead = rng.normal(size=40)[:, None] - np.linspace(-1.5, 1.5, 20)
    >>> right = rng.random(ahead.shape) < 1 / (1 + np.exp(-2 * ahead))
    >>> right[:, 7] = ~right[:, 7]
    >>> health = assess(gather(from_matrix(right)), subset=False)
    >>> [flag.names for flag in health.flags if flag.kind == "reversed"]
    [('item7',)]
    """
    responses, bank = evidence.responses, evidence.bank
    models = "/".join(sorted({item.model for item in bank.items}))
    steps = 12 + subset
    done = 0

    def step(what: str) -> None:
        nonlocal done
        if progress:
            progress("looking at " + what, done, steps)
        done += 1

    reduction = None
    if subset:
        # first, so that a budget that cannot be kept is said at once
        step("a smaller benchmark")
        reduction = analyse_subset(evidence, budget, where=subset_for, seed=seed)
    step("slopes")
    slopes = analyse_slopes(evidence)
    item_groups = analyse_item_groups(evidence, slopes, seed)
    step("fit of items")
    fit = analyse_item_fit(evidence)
    step("dependence between items")
    dependence = analyse_dependence(evidence, seed)
    step("saturation and gaps")
    saturation, gaps = analyse_saturation(evidence), analyse_gaps(evidence, responses.date)
    step("repeated trials")
    noise = analyse_noise(evidence)
    step("categories")
    scale_use = analyse_scale_use(evidence)
    step("graders")
    graders = analyse_graders(ratings, _families(evidence, ratings), high_is) if ratings else None
    contradictions = analyse_contradictions(*grades) if grades else None
    step("fit of the model")
    model_fit = analyse_model_fit(evidence)
    step("differential functioning")
    functioning = analyse_functioning(evidence)
    step("dimensions")
    dimensions = _dimensions(evidence, (*dependence.flags, *functioning.flags), seed)
    step("agents")
    order = _order(responses) if in_order else None
    agents_fit = analyse_agents(evidence, responses.date, order)
    step("reliability")
    reliability = analyse_reliability(evidence)
    if progress:
        progress("done", steps, steps)
    return Health(
        name=name or responses.source or "outcomes",
        source=responses.source,
        sha256=responses.sha256,
        version=version("cat-harness"),
        seed=seed,
        agents=len(responses.agents),
        items=len(responses.items),
        answers=len(responses.item),
        missing=responses.missing,
        bank=f"a {models} bank calibrated on these outcomes"
        if evidence.fitted
        else f"{bank.name}, hash {bank.hash}",
        notes=evidence.notes,
        slopes=slopes,
        fit=fit,
        item_groups=item_groups,
        dependence=dependence,
        saturation=saturation,
        gaps=gaps,
        noise=noise,
        scale_use=scale_use,
        graders=graders,
        contradictions=contradictions,
        dimensions=dimensions,
        model_fit=model_fit,
        functioning=functioning,
        agents_fit=agents_fit,
        reliability=reliability,
        subset=reduction,
    )


def _order(responses: Responses) -> Array:
    """``(A, n)`` place of each item's first row; NaN where missing."""
    order = np.full((len(responses.agents), len(responses.items)), np.nan)
    # backwards, so that the first of several trials is written last
    rows = np.arange(len(responses.item))[::-1]
    order[responses.agent[rows], responses.item[rows]] = rows
    return order


def _dimensions(evidence: Evidence, flags: tuple[Flag, ...], seed: int) -> Dimensions:
    """Dimensions of the items that have no other reason to go together: what one family knows, or
    what is asked twice, would be one more ability by itself."""
    items = evidence.responses.items
    apart = {
        name for flag in flags if flag.kind == "differential functioning" for name in flag.names
    }
    apart |= {name for flag in flags if flag.kind == "duplicate" for name in flag.names[1:]}
    apart &= {*items}
    if not apart or len(apart) > _MOST_APART * len(items):
        return analyse_dimensions(evidence, seed)
    found = analyse_dimensions(without_items(evidence, apart), seed)
    caution = (
        f"{len(apart)} item{'s' * (len(apart) > 1)} left out here: flagged as duplicates, or as "
        "easier or harder for a group, which would make an ability of their own"
    )
    return replace(found, cautions=(caution, *found.cautions))


def _families(evidence: Evidence, ratings: Ratings) -> dict[str, str]:
    """Of agents and judges, by name."""
    known = dict(zip(evidence.responses.agents, evidence.groups.get("family", ()), strict=False))
    return {name: maker_in(name) for name in (*ratings.agents, *ratings.judges)} | known
