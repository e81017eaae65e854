"""Configuration from several layers: defaults, site files, the environment."""

from layered.errors import (
    ConfigError,
    ConflictError,
    DirectiveError,
    InterpolationError,
    MissingError,
)
from layered.flat import merge_flat
from layered.merge import Step
from layered.resolved import Resolved, merge
from layered.sources import Layer, env_layer, read_layer

__all__ = [
    "ConfigError",
    "ConflictError",
    "DirectiveError",
    "InterpolationError",
    "Layer",
    "MissingError",
    "Resolved",
    "Step",
    "env_layer",
    "merge",
    "merge_flat",
    "read_layer",
]
