"""Where the banks and environments that come with the program live."""

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent


def shipped(kind: Literal["item_banks", "environments"]) -> Path:
    """The folder of shipped banks or environments, installed or in a source checkout."""
    installed = _PACKAGE / "_shipped" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind
