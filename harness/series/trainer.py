"""A callback for ``transformers.Trainer``, without importing that library."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.series.hooks import Series


class TrainerCallback:
    """In the shape that ``transformers.Trainer`` expects of its callbacks."""

    def __init__(
        self, series: "Series", settings: Mapping[str, Any], stop_on_alarm: bool, wait: bool
    ) -> None:
        self.series = series
        self._settings = settings
        self._stop_on_alarm = stop_on_alarm
        self._wait = wait

    def __getattr__(self, name: str) -> Callable[..., None]:
        # the other events, and those that a later trainer may have
        if name.startswith("on_"):
            return lambda *args, **kwargs: None
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Register the checkpoint that was saved; ask to stop where there is an alarm."""
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            self.series.on_checkpoint(state.global_step, path=folder, **self._settings)
        if self._stop_on_alarm and _agreed(bool(self.series.alarms())):
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Wait for the worker, if that was asked for."""
        if self._wait and state.is_world_process_zero:
            self.series.close()


def _agreed(found: bool) -> bool:
    """What the first process of a distributed run has found: all have to stop at the same step."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return found
    told = [found]
    distributed.broadcast_object_list(told, src=0)
    return told[0]
