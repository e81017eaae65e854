"""Series: many short sessions of one line of models over the steps of a training run.

The files of a series are the truth (``definition``, ``files``, ``history``); a database indexes
them and hands out work (``index``); a ``worker`` holds the sessions.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.series.hooks import Series

__all__ = ["Series"]


def __getattr__(name: str) -> Any:
    # the modules below need each other but not the hooks, nor does the worker that runs them
    if name == "Series":
        from harness.series.hooks import Series

        return Series
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
