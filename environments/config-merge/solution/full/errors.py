"""Everything that can be wrong with a configuration."""

from collections.abc import Sequence

Path = tuple[str, ...]


def shown(path: Sequence[str]) -> str:
    return ".".join(path)


class ConfigError(Exception):
    """The parent of all errors of this package."""


class SourceError(ConfigError):
    """A layer that cannot be read."""


class MissingError(ConfigError):
    """A path that is not in the result."""


class LayerError(ConfigError):
    """Something in a layer that cannot be applied."""

    def __init__(self, path: Path, layer: str, problem: str) -> None:
        super().__init__(f"{shown(path)} in {layer}: {problem}")
        self.path = path
        self.layer = layer


class ConflictError(LayerError):
    """A mapping over a value, or a value over a mapping."""


class DirectiveError(LayerError):
    """A directive that does not fit its operand or what it is applied to."""


class InterpolationError(ConfigError):
    """A reference that cannot be replaced."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{shown(path)}: {problem}")
        self.path = path
