"""The result of a merge."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

from layered.errors import MissingError, Path, shown
from layered.merge import Merger, Step
from layered.references import References, descend
from layered.sources import Layer

RAISE = object()


class Resolved:
    """Merged data, and where each value came from. What it returns is the caller's to change."""

    def __init__(self, tree: dict[str, Any], steps: dict[Path, list[Step]]) -> None:
        self._tree = tree
        self._steps = steps
        self._data: dict[str, Any] = References(tree).at(())

    @property
    def data(self) -> dict[str, Any]:
        return deepcopy(self._data)

    def get(self, path: str | Sequence[str], default: Any = RAISE) -> Any:
        """The value or mapping at `path`; MissingError if there is none and no default."""
        keys = as_path(path)
        try:
            return deepcopy(descend(self._data, keys, 0))
        except MissingError:
            if default is RAISE:
                raise
            return default

    def origin(self, path: str | Sequence[str]) -> str:
        """The layer that a value came from."""
        keys = as_path(path)
        descend(self._data, keys, 0)
        owner = self._owner(keys)
        if owner is None:
            raise MissingError(f"{shown(keys)} is a mapping; ask for a value in it")
        return self._steps[owner][-1].layer

    def history(self, path: str | Sequence[str]) -> list[Step]:
        """All steps of a value, oldest first."""
        keys = as_path(path)
        return deepcopy(self._steps.get(self._owner(keys) or keys, []))

    def _owner(self, keys: Path) -> Path | None:
        """The path of the layers' value that `keys` is or, through a reference, is inside of."""
        try:
            descend(self._data, keys, 0)
        except MissingError:
            return None
        node: Any = self._tree
        for depth, key in enumerate(keys, start=1):
            if key not in node:
                return None
            node = node[key]
            if not isinstance(node, dict):
                return keys[:depth]
        return None


def as_path(path: str | Sequence[str]) -> Path:
    return tuple(path.split(".")) if isinstance(path, str) else tuple(path)


def merge(layers: Iterable[Layer]) -> Resolved:
    """Apply `layers`, lowest first, and replace the references."""
    merger = Merger()
    for layer in layers:
        merger.apply(layer.name, layer.data)
    return Resolved(merger.tree, merger.steps)
