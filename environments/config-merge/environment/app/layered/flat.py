"""The simple merge: whole top-level sections replace each other."""

from collections.abc import Iterable
from typing import Any

from layered.sources import Layer


def merge_flat(layers: Iterable[Layer]) -> dict[str, Any]:
    """Later layers win, one top-level key at a time."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update(layer.data)
    return merged
