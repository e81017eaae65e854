"""A benchmark as the protocols see it: outcomes in the order of names, and what is known of tasks.

Rows and columns are sorted by name, so that folds do not depend on the order of a file.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputError, ResponsesError
from harness.irt import Array
from harness.regression import Features
from harness.responses import Responses

Indices = NDArray[np.intp]
Truth = NDArray[np.bool_]
_FEWEST_AGENTS, _FEWEST_ITEMS = 5, 10
_ROWS = ("agent", "item", "trial", "category", "usd", "seconds", "tokens", "turns")


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A agents on n items that are passed or failed; see :func:`make_benchmark`."""

    name: str
    responses: Responses
    """Sorted by name."""
    features: Features | None
    """Of the items, in their order."""

    @cached_property
    def counts(self) -> Array:
        """``(A, n, 2)`` failures and passes of each cell."""
        return self.responses.counts()

    @cached_property
    def seen(self) -> Truth:
        """``(A, n)`` cells with an outcome."""
        return self.responses.attempts > 0

    def within(self, cells: Truth) -> Responses:
        """The outcomes of some cells ``(A, n)``; agents and items keep their positions."""
        rows = np.flatnonzero(cells[self.responses.agent, self.responses.item])
        return replace(
            self.responses, **{name: getattr(self.responses, name)[rows] for name in _ROWS}
        )


def make_benchmark(name: str, responses: Responses, features: Features | None = None) -> Benchmark:
    """Check outcomes and features, and sort both.

    Agents and items without any outcome are left out.

    Raises:
        ResponsesError: items of more than two categories, or too few agents or items.
        InputError: features of none of the items.

    >>> from harness.responses import from_matrix
    >>> found = make_benchmark("demo", from_matrix(np.eye(12)[:, ::-1]))
    >>> found.responses.agents[:3]
    ('agent0', 'agent1', 'agent10')
    """
    where = responses.source or name
    if responses.n_categories.size and responses.n_categories.max() > 2:
        item = responses.items[int(responses.n_categories.argmax())]
        raise ResponsesError(
            f"{where}: item {item!r} has {responses.n_categories.max()} categories, and these "
            "protocols are about passing; say from which category on an item is passed, as in "
            "--score 'category>=2'"
        )
    agents = [responses.agents[a] for a in np.unique(responses.agent)]
    items = [responses.items[i] for i in np.unique(responses.item)]
    if len(agents) < _FEWEST_AGENTS or len(items) < _FEWEST_ITEMS:
        raise ResponsesError(
            f"{where}: outcomes of {len(agents)} agents on {len(items)} items; at least "
            f"{_FEWEST_AGENTS} agents and {_FEWEST_ITEMS} items are needed"
        )
    known = responses.subset(agents=sorted(agents), items=sorted(items))
    if features is not None:
        if not set(features.names) & set(items):
            raise InputError(
                f"the features are of {features.names[0]!r} and others, none of which is an item "
                f"of {where}; its first is {known.items[0]!r}"
            )
        features = features.of(known.items)
    return Benchmark(name, known, features)
