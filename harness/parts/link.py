"""Benchmarks on one scale, through the models and scaffolds that their agents share.

Two stages. First each table of outcomes is calibrated by itself, which gives every agent an
ability on that benchmark's own scale, with the error that it is measured with. Then all abilities
are fitted together, by :mod:`harness.parts.link_model`: a part that several benchmarks saw has a
general effect, the same on all of them but for the unit, and a special one on each. What is
integrated over are all means, spreads and shares, so that intervals hold what is not known of
them. Between two benchmarks alone the data tell the correlation of general with general, and not
which of the two is the more special: that doubt is in the line too.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from harness.bank import ItemBank
from harness.calibrate.link import Link
from harness.calibrate.merge import apply_link, link_facts
from harness.errors import PlanError
from harness.irt import Array
from harness.parts.link_model import Likelihood, Scales, sample
from harness.parts.link_result import (
    Correlation,
    Estimate,
    Line,
    Linked,
    Place,
    Point,
    Refusal,
    Told,
)
from harness.parts.link_rows import location, rows_of
from harness.parts.shared import Member, Scale, Shared, members, shared_parts

FEWEST = 5
"""Models that two benchmarks must share: through fewer the line is mostly prior."""
BOUND = 0.5
"""Linking error, in sds of the first benchmark's agents, above which scales are barely linked."""
_DRAWS = 1000


def link_parts(
    scales: Sequence[Scale],
    *,
    fewest: int = FEWEST,
    bound: float = BOUND,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Linked | Refusal:
    """Put benchmarks on the scale of the first, by one joint fit of the parts of their agents.

    Args:
        scales: at least two; abilities that are NaN are told by the fit.
        fewest: models that two benchmarks must share for a direct link.
        bound: linking error, in sds of the first benchmark's agents, that counts as large.
        seed: of the draws.

    Raises:
        PlanError: fewer than two scales, two of one name, or a date that is none.
    """
    if len(scales) < 2:
        raise PlanError("a link takes at least two benchmarks: name one more as NAME=RESPONSES")
    names = tuple(scale.name for scale in scales)
    if len(set(names)) < len(names):
        raise PlanError(f"two benchmarks have one name, of {', '.join(names)}: rename one")
    shared = shared_parts(scales)
    if apart := _apart(names, shared, fewest):
        return _refuse(shared, apart, names, fewest)
    agents = members(scales)
    centre, spread = np.array([location(scale) for scale in scales]).T
    likelihood = Likelihood(rows_of(agents, scales, centre, spread))
    k = len(scales)
    draws, worth = sample(likelihood.log_density, 5 * k + 1, _DRAWS, seed, progress)
    found = [likelihood.scales(x) for x in draws]
    rng = np.random.default_rng([seed, 1])
    means = np.array([_draw(rng, *likelihood.coefficients(one))[:k] for one in found])
    general = np.array([one.general for one in found])
    loading = spread * general * np.array([one.model for one in found])
    places = centre + spread * means
    beta = loading / loading[:, :1]
    alpha = places - beta * places[:, :1]
    lines = [
        _line(
            one,
            alpha[:, j],
            beta[:, j],
            (centre[j], spread[j], spread[0]),
            _places(one, scales[0], scales[j]),
        )
        for one in shared[: k - 1]
        for j in (names.index(one.second),)
    ]
    return Linked(
        names=names,
        shared=shared,
        lines=tuple(lines),
        general=tuple((name, _estimate(general[:, j] ** 2)) for j, name in enumerate(names)),
        correlations=tuple(
            Correlation(names[i], names[j], _estimate(general[:, i] * general[:, j]))
            for i, j in combinations(range(k), 2)
        ),
        told=_told(likelihood, found, rng, agents, names, centre, spread),
        fewest=fewest,
        bound=bound,
        worth=worth,
    )


def _draw(rng: np.random.Generator, mean: Array, covariance: Array) -> Array:
    return np.asarray(rng.multivariate_normal(mean, covariance, check_valid="ignore"))


def on_first(bank: ItemBank, linked: Linked, name: str) -> ItemBank:
    """The bank of a benchmark on the scale of the first, with the link in its provenance.

    Items carry the linking error, as :func:`harness.calibrate.merge.apply_link` says.
    """
    if name == linked.names[0]:
        return bank
    line = next(line for line in linked.lines if line.name == name)
    moved = apply_link(bank, line.link)
    shared = next(
        one for one in linked.shared if (one.first, one.second) == (linked.names[0], name)
    )
    facts = {
        **link_facts(line.link),
        "method": "shared models and scaffolds",
        "with": list(linked.names),
        "alpha": line.alpha.value,
        "beta": line.beta.value,
        "error_at_mean": line.points[1].error,
        "shared": {
            "models": len(shared.models),
            "scaffolds": len(shared.scaffolds),
            "pairs": len(shared.pairs),
            "agents": len(shared.agents),
        },
        "barely": name in linked.barely,
    }
    return replace(moved, provenance={**moved.provenance, "link": facts})


def _apart(names: Sequence[str], shared: Sequence[Shared], fewest: int) -> tuple[str, ...]:
    """Benchmarks that no chain of direct links joins to the first."""
    joined, grew = {names[0]}, True
    while grew:
        ends = [{s.first, s.second} for s in shared if len(s.models) >= fewest]
        new = {name for pair in ends if pair & joined for name in pair} - joined
        joined |= new
        grew = bool(new)
    return tuple(name for name in names if name not in joined)


def _refuse(
    shared: tuple[Shared, ...], apart: tuple[str, ...], names: Sequence[str], fewest: int
) -> Refusal:
    near = [s for s in shared if (s.first in apart) != (s.second in apart)]
    best = max(near, key=lambda s: len(s.models))
    held = (
        f"share {len(best.models)} models"
        + (f" ({', '.join(best.models)})" if best.models else "")
        + f" and {len(best.scaffolds)} scaffolds"
        if best.models or best.scaffolds
        else "share nobody: no model, no scaffold and no agent"
    )
    which = ", ".join(apart)
    unknown = (
        "If the same models are there under other names, or their names are blank, say so in "
        "a table with agent,llm,scaffold,date (--agents NAME=FILE; cat-harness agents suggest "
        "writes one to review)."
    )
    return Refusal(
        shared,
        apart,
        f"{which} cannot be put on the scale of {names[0]}: {best.first} and {best.second} {held}, "
        f"and a link takes {fewest} models that both have.",
        f"Run at least {fewest - len(best.models)} more of the models of {best.first} on "
        f"{best.second}, or the other way about, best under the same scaffold. {unknown}",
    )


def _estimate(draws: Array) -> Estimate:
    low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
    return Estimate(float(middle), float(low), float(high))


def _line(
    shared: Shared,
    alpha: Array,
    beta: Array,
    agents: tuple[float, float, float],
    places: tuple[Place, ...],
) -> Line:
    """The line from draws ``(S,)``; of the agents, mean and sd here and sd on the first scale."""
    mean, sd, unit = agents
    slope = 1 / beta
    middle = (mean - alpha) * slope
    # an inverse of what may be near 0 has no variance: the outermost 2% are drawn in
    both = np.array([np.clip(v, *np.quantile(v, [0.01, 0.99])) for v in (slope, middle)])
    turn = np.array([[1.0, 0.0], [-mean, 1.0]])
    (a, b), (c, d) = (turn @ np.cov(both) @ turn.T).tolist()
    typical = float(np.median(slope))
    link = Link(
        slope=typical,
        intercept=float(np.median(middle) - typical * mean),
        covariance=((a, b), (c, d)),
        method="agents",
        onto=shared.first,
        common=shared.models,
    )
    points, course = (
        [Point(float(x), _estimate((x - alpha) * slope), link.se(float(x))) for x in mean + sd * at]
        for at in (np.arange(-1.0, 2.0), np.linspace(-2.5, 2.5, 21))
    )
    return Line(
        name=shared.second,
        alpha=_estimate(alpha),
        beta=_estimate(beta),
        points=(points[0], points[1], points[2]),
        relative_error=float(points[1].error / unit),
        course=tuple(course),
        places=places,
        link=link,
    )


def _places(shared: Shared, first: Scale, other: Scale) -> tuple[Place, ...]:
    rows = [row for row in members([first, other]) if row.seen]
    ability = np.concatenate([one.ability[np.isfinite(one.ability)] for one in (first, other)])
    error = np.concatenate([one.error[np.isfinite(one.ability)] for one in (first, other)])
    found = []
    for name in shared.models:
        (key,) = {row.model for row in rows if row.bench == 0 and row.shown[0] == name}
        numbers = []
        for bench in (1, 0):
            mine = [row.model == key and row.bench == bench for row in rows]
            numbers += [ability[mine].mean(), np.sqrt(error[mine].sum()) / sum(mine)]
        found.append(Place(name, *map(float, numbers)))
    return tuple(found)


def _told(
    likelihood: Likelihood,
    found: Sequence[Scales],
    rng: np.random.Generator,
    agents: Sequence[Member],
    names: Sequence[str],
    centre: Array,
    spread: Array,
) -> tuple[Told, ...]:
    """Abilities that were not seen, over all draws."""
    rows = [row for row in agents if not row.seen]
    if not rows:
        return ()
    each = np.array([likelihood.unseen(one) for one in found])
    draws = each[:, 0] + np.sqrt(each[:, 1]) * rng.standard_normal(each[:, 0].shape)
    bench = [row.bench for row in rows]
    draws = centre[bench] + spread[bench] * draws
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    return tuple(
        Told(names[row.bench], row.shown[2], *map(float, numbers))
        for row, *numbers in zip(rows, draws.mean(0), draws.std(0), low, high, strict=True)
    )
