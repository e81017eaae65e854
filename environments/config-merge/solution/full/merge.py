"""Apply layers to a tree, and remember each step."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from layered.errors import ConflictError, DirectiveError, Path

TOGETHER = ({""}, {"!"}, {"+"}, {"-"}, {"+", "-"})


@dataclass(frozen=True)
class Step:
    """What a layer did to a value: `action` is set, append, remove or delete."""

    layer: str
    action: str
    value: Any


@dataclass
class Merger:
    """Mappings of the tree are dicts; every other node is a value, never a mapping."""

    tree: dict[str, Any] = field(default_factory=dict)
    steps: dict[Path, list[Step]] = field(default_factory=dict)

    def apply(self, layer: str, mapping: dict[str, Any]) -> None:
        self.apply_at(layer, (), self.tree, mapping)

    def apply_at(
        self, layer: str, above: Path, node: dict[str, Any], mapping: dict[str, Any]
    ) -> None:
        for key, forms in by_key(mapping).items():
            path = (*above, key)
            if set(forms) not in TOGETHER:
                raise DirectiveError(path, layer, "these forms of a key exclude each other")
            if "!" in forms:
                self.replace(layer, path, node, forms["!"])
            elif "" in forms:
                self.put(layer, path, node, forms[""])
            else:
                for sign in "-+":
                    if sign in forms:
                        self.edit_list(layer, path, node, sign, forms[sign])

    def put(self, layer: str, path: Path, node: dict[str, Any], value: Any) -> None:
        key = path[-1]
        if value is None:
            self.delete(layer, path, node)
        elif key in node and isinstance(node[key], dict) != isinstance(value, dict):
            raise ConflictError(path, layer, "a mapping and a value cannot be merged; use `!`")
        elif isinstance(value, dict):
            self.apply_at(layer, path, node.setdefault(key, {}), value)
        else:
            node[key] = deepcopy(value)
            self.record(layer, path, "set", node[key])

    def delete(self, layer: str, path: Path, node: dict[str, Any]) -> None:
        gone = list(values_below(path, node, path[-1]))
        node.pop(path[-1], None)
        for one in gone:
            self.record(layer, one, "delete", None)

    def replace(self, layer: str, path: Path, node: dict[str, Any], value: Any) -> None:
        before = list(values_below(path, node, path[-1]))
        node.pop(path[-1], None)
        self.put(layer, path, node, value)
        after = set(values_below(path, node, path[-1]))
        for one in before:
            if one not in after:
                self.record(layer, one, "delete", None)

    def edit_list(
        self, layer: str, path: Path, node: dict[str, Any], sign: str, operand: Any
    ) -> None:
        key = path[-1]
        if not isinstance(operand, list) or not isinstance(node.get(key, []), list):
            raise DirectiveError(path, layer, f"`{sign}` needs a list on both sides")
        if sign == "+":
            node[key] = [*node.get(key, []), *deepcopy(operand)]
            self.record(layer, path, "append", node[key])
        elif key in node:
            kept = [one for one in node[key] if not any(same(one, other) for other in operand)]
            if len(kept) < len(node[key]):
                node[key] = kept
                self.record(layer, path, "remove", kept)

    def record(self, layer: str, path: Path, action: str, value: Any) -> None:
        self.steps.setdefault(path, []).append(Step(layer, action, deepcopy(value)))


def by_key(mapping: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Key without suffix -> suffix ("" for none) -> value."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in mapping.items():
        directive = len(name) > 1 and name[-1] in "+-!"
        key, suffix = (name[:-1], name[-1]) if directive else (name, "")
        found.setdefault(key, {})[suffix] = value
    return found


def values_below(path: Path, node: dict[str, Any], key: str) -> Iterator[Path]:
    """The paths of the values at `key` of `node`, which has the path `path`."""
    if key in node:
        if isinstance(node[key], dict):
            for inner in node[key]:
                yield from values_below((*path, inner), node[key], inner)
        else:
            yield path


def same(one: Any, other: Any) -> bool:
    """Equal in type and value at every depth."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)
