"""Whether agents and items hang together: only then is there one scale."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from harness.errors import ResponsesError
from harness.responses import Responses


@dataclass(frozen=True)
class Part:
    """Agents and items that are linked by outcomes, directly or through others."""

    agents: tuple[str, ...]
    items: tuple[str, ...]


def parts(responses: Responses) -> tuple[Part, ...]:
    """The connected parts of the graph of agents and items, largest first; idle ones are left out.

    >>> from harness.responses import from_matrix
    >>> found = parts(from_matrix(np.array([[1, 0, -1, -1], [-1, -1, 0, 1]])))
    >>> [part.items for part in found]
    [('item0', 'item1'), ('item2', 'item3')]
    """
    a, n = len(responses.agents), len(responses.items)
    edges = sparse.coo_array(
        (np.ones(len(responses.agent)), (responses.agent, a + responses.item)), (a + n, a + n)
    )
    _, label = connected_components(edges, directed=False)
    found = []
    for one in np.unique(label[responses.agent]):
        members = np.flatnonzero(label == one)
        found.append(
            Part(
                tuple(responses.agents[m] for m in members if m < a),
                tuple(responses.items[m - a] for m in members if m >= a),
            )
        )
    return tuple(sorted(found, key=lambda part: -len(part.agents) * len(part.items)))


def check_connected(responses: Responses, anchors: frozenset[str]) -> None:
    """Refuse data without one common scale.

    Args:
        anchors: items that hold the scale by themselves.

    Raises:
        ResponsesError: naming the parts.
    """
    found = parts(responses)
    loose = [part for part in found if not anchors & set(part.items)]
    if len(found) > 1 and loose:
        shown = "; ".join(
            f"{len(part.agents)} agents ({_some(part.agents)}) with {len(part.items)} items "
            f"({_some(part.items)})"
            for part in found[:4]
        )
        more = f"; and {len(found) - 4} more" if len(found) > 4 else ""
        raise ResponsesError(
            f"{responses.source}: agents and items fall into {len(found)} parts that no outcome "
            f"connects, so they have no common scale: {shown}{more}. Calibrate each part alone, or "
            "bring outcomes of an agent on items of both"
        )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
