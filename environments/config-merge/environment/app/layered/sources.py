"""Where layers come from: JSON files, TOML files, and environment variables."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layered.errors import SourceError


@dataclass(frozen=True)
class Layer:
    """A name to show to people, and nested dicts, lists and scalars."""

    name: str
    data: dict[str, Any]


def read_layer(path: Path) -> Layer:
    """A `.json` or `.toml` file; the layer is called like the file."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: {error}") from error
    if not isinstance(data, dict):
        raise SourceError(f"{path}: the top level must be a mapping")
    return Layer(path.name, data)


def env_layer(environ: Mapping[str, str], prefix: str = "APP") -> Layer:
    """Variables such as `APP__DB__PORT=5432`, read as `{"db": {"port": 5432}}`.

    Values are JSON where that is possible and text otherwise.
    """
    data: dict[str, Any] = {}
    for name, text in sorted(environ.items()):
        first, *keys = name.split("__")
        if first != prefix or not all(keys) or not keys:
            continue
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        inner = data
        for key in keys[:-1]:
            inner = inner.setdefault(key.lower(), {})
            if not isinstance(inner, dict):
                raise SourceError(f"{name}: a shorter variable already has a value")
        inner[keys[-1].lower()] = value
    return Layer("environment", data)
