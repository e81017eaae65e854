#!/bin/bash
# First milestone: a plain recursive merge that notes the last layer of each value.
set -eu
cat > layered/merge.py <<'PY'
"""Deep merge."""

from layered.errors import ConfigError


class MissingError(ConfigError):
    """A path that is not in the result."""


class Resolved:
    def __init__(self):
        self.data = {}
        self.origins = {}

    def apply(self, name, data, node, path=()):
        for key, value in data.items():
            if isinstance(value, dict):
                self.apply(name, value, node.setdefault(key, {}), (*path, key))
            else:
                node[key] = value
                self.origins[(*path, key)] = name

    def get(self, path, *default):
        node = self.data
        for key in path.split(".") if isinstance(path, str) else path:
            if key not in node:
                if default:
                    return default[0]
                raise MissingError(path)
            node = node[key]
        return node

    def origin(self, path):
        return self.origins[tuple(path.split(".")) if isinstance(path, str) else path]


def merge(layers):
    resolved = Resolved()
    for layer in layers:
        resolved.apply(layer.name, layer.data, resolved.data)
    return resolved
PY
echo 'from layered.merge import MissingError, Resolved, merge  # noqa: F401' >> layered/__init__.py
