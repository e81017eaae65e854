"""Numbers of a series for Weights & Biases and MLflow, beside those of the training run."""

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness.errors import InputError

STEP: Final = "checkpoint/step"
"""Axis of all numbers at Weights & Biases."""

RUN: Final = "cat-harness"
"""Name of the run where a target names none."""

FAILURE_SECONDS: Final = 20


@dataclass(frozen=True)
class Wandb:
    """``wandb:PROJECT`` or ``wandb:PROJECT/RUN``."""

    project: str
    run: str | None = None


@dataclass(frozen=True)
class Mlflow:
    """``mlflow:EXPERIMENT``."""

    experiment: str


Target = Wandb | Mlflow


def parse_target(text: str) -> Target:
    """Where numbers go.

    Raises:
        InputError: it cannot be read.

    >>> parse_target("wandb:llm/run-7"), parse_target("mlflow:safety of llm")
    (Wandb(project='llm', run='run-7'), Mlflow(experiment='safety of llm'))
    """
    kind, _, name = text.strip().partition(":")
    match kind, name.split("/"):
        case "wandb", [project] if project:
            return Wandb(project)
        case "wandb", [project, run] if project and run:
            return Wandb(project, run)
        case "mlflow", _ if name:
            return Mlflow(name)
    raise InputError(
        f"metrics {text!r} cannot be read; write wandb:PROJECT, wandb:PROJECT/RUN or "
        "mlflow:EXPERIMENT"
    )


def checked(targets: tuple[str, ...]) -> tuple[Target, ...]:
    """The targets, once each can be read and its library is there.

    Raises:
        InputError: one cannot be read, or its library is not installed.
    """
    parsed = tuple(map(parse_target, targets))
    for target in parsed:
        _library(target)
    return parsed


def publish(
    targets: tuple[str, ...],
    numbers: Mapping[str, float],
    step: int,
    say: Callable[[str], None],
) -> None:
    """Send the numbers of a checkpoint to each target; a target that fails is said, never raised.

    Steps may come in any order: sessions often end long after training has gone on. A run of
    Weights & Biases or MLflow that is active in this process is used, whatever the target names.
    Otherwise a run is opened, and continued by the next process: that of the name in the target
    or "cat-harness".

    Args:
        targets: as ``parse_target`` reads them.
        numbers: by name, such as ``odcv/ability``.
        step: training step of the checkpoint.
        say: is told of targets that fail.

    Raises:
        InputError: see ``checked``.
    """
    for text, target in zip(targets, checked(targets), strict=True):
        try:
            match target:
                case Wandb():
                    _wandb(_library(target), target, numbers, step)
                case Mlflow():
                    _mlflow(_library(target), target, numbers, step)
        except Exception as error:  # whatever a client may raise
            reason = " ".join(str(error).split())[:300]
            say(f"metrics of step {step} did not reach {text}: {type(error).__name__}: {reason}")


def _library(target: Target) -> Any:
    name = "wandb" if isinstance(target, Wandb) else "mlflow"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"metrics to {name} need its library ({error}): pip install 'cat-harness[{name}]'"
        ) from error


def _wandb(wandb: Any, target: Wandb, numbers: Mapping[str, float], step: int) -> None:
    if wandb.run:
        _log(wandb.run, numbers, step)
        return
    # On a terminal, opening a run would wait for a key for ever.
    wandb.login(timeout=FAILURE_SECONDS)
    name = target.run or RUN
    # Ended at once: a run that is left open would be handed to a training loop that opens its own.
    with wandb.init(
        project=target.project,
        id=name,
        name=name,
        resume="allow",
        reinit="create_new",
        settings=wandb.Settings(silent=True, console="off", init_timeout=FAILURE_SECONDS),
    ) as run:
        _log(run, numbers, step)


def _log(run: Any, numbers: Mapping[str, float], step: int) -> None:
    # An axis of our own: the run's own step never goes back.
    run.define_metric(STEP, hidden=True)
    for name in numbers:
        run.define_metric(name, step_metric=STEP)
    run.log({**numbers, STEP: step})


def _mlflow(mlflow: Any, target: Mlflow, numbers: Mapping[str, float], step: int) -> None:
    active = mlflow.active_run()
    run_id = active.info.run_id if active else _continued(mlflow, target)
    mlflow.log_metrics(dict(numbers), step=step, run_id=run_id)


def _continued(mlflow: Any, target: Mlflow) -> str:
    # By default an absent server is asked for four minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(FAILURE_SECONDS))
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(target.experiment)
    number = experiment.experiment_id if experiment else client.create_experiment(target.experiment)
    runs = client.search_runs([number], f"attributes.run_name = '{RUN}'", max_results=1)
    run = runs[0] if runs else client.create_run(number, run_name=RUN)
    return str(run.info.run_id)
