"""Configuration from several layers: defaults, site files, the environment."""

from layered.errors import ConfigError
from layered.flat import merge_flat
from layered.sources import Layer, env_layer, read_layer

__all__ = ["ConfigError", "Layer", "env_layer", "merge_flat", "read_layer"]
