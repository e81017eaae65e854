"""Everything that can be wrong with a configuration."""


class ConfigError(Exception):
    """The parent of all errors of this package."""


class SourceError(ConfigError):
    """A layer that cannot be read."""
