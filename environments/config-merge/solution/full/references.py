"""Replace `${path}` in the values of a merged tree."""

import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from layered.errors import InterpolationError, MissingError, Path, shown

REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")


@dataclass
class References:
    tree: dict[str, Any]
    done: dict[Path, Any] = field(default_factory=dict)
    active: list[Path] = field(default_factory=list)

    def at(self, path: Path) -> Any:
        """What is at `path` with its references replaced; MissingError if there is nothing."""
        node: Any = self.tree
        for depth, key in enumerate(path):
            if not isinstance(node, dict):
                node = self.value(path[:depth], node)
                return deepcopy(descend(node, path, depth))
            if key not in node:
                raise MissingError(f"{shown(path)} is not set")
            node = node[key]
        if isinstance(node, dict):
            return {key: self.at((*path, key)) for key in node}
        return deepcopy(self.value(path, node))

    def value(self, path: Path, raw: Any) -> Any:
        if path not in self.done:
            if path in self.active:
                chain = [*self.active[self.active.index(path) :], path]
                raise InterpolationError(path, "a cycle: " + " -> ".join(map(shown, chain)))
            self.active.append(path)
            self.done[path] = self.replaced(path, raw)
            self.active.pop()
        return self.done[path]

    def replaced(self, path: Path, raw: Any) -> Any:
        if isinstance(raw, list):
            return [self.replaced(path, one) for one in raw]
        if isinstance(raw, dict):
            return {key: self.replaced(path, one) for key, one in raw.items()}
        if not isinstance(raw, str):
            return raw
        whole = REFERENCE.fullmatch(raw)
        if whole and whole[1] is not None:
            return self.target(path, whole[1])
        return REFERENCE.sub(lambda match: self.text(path, match), raw)

    def target(self, path: Path, name: str) -> Any:
        try:
            return self.at(tuple(name.split(".")))
        except MissingError as error:
            raise InterpolationError(path, f"{name} is not set") from error

    def text(self, path: Path, match: re.Match[str]) -> str:
        if match[1] is None:
            return "${"
        value = self.target(path, match[1])
        if isinstance(value, list | dict):
            raise InterpolationError(path, f"{match[1]} is not a single value")
        return str(value).lower() if isinstance(value, bool) else str(value)


def descend(node: Any, path: Path, depth: int) -> Any:
    """Follow `path` from `depth` on; MissingError if it leads nowhere."""
    for key in path[depth:]:
        if not isinstance(node, dict) or key not in node:
            raise MissingError(f"{shown(path)} is not set")
        node = node[key]
    return node
