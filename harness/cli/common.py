"""What several commands share: options of a plan, plan files, JSON output, logging."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

from harness.ability import Prior
from harness.bank import ItemBank
from harness.errors import InputError, PlanError
from harness.events import Plan, default_selector
from harness.grammar import parse_estimator, parse_selector, parse_stop
from harness.parts.ability import Parts
from harness.parts.prior import PRIOR_NAMES, ChosenPrior, choose_priors
from harness.select import PerCost, Unit
from harness.stop import MaxCost, MaxItems, MaxSeconds, Rule, any_of

F = TypeVar("F", bound=Callable[..., Any])

_POSITIVE = click.FloatRange(0, min_open=True)

_UNKNOWN = Parts()

RESPONSES_PATH = click.Path(exists=True, path_type=Path)
"""Type of an option for logged outcomes: a file or a folder."""

json_option = click.option(
    "--json",
    "json_target",
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    help="Write the result as JSON to FILE, or to stdout when no FILE is given.",
)


def _load_plan_file(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    """Values of a plan file become the defaults of the command."""
    if path is None:
        return
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlanError(f"plan file {path} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise PlanError(f"plan file {path} must map option names to values, as in 'width: 2'")
    values = {str(key).replace("-", "_"): value for key, value in values.items()}
    known = {p.name for p in context.command.params if p.name and p.name != "plan_file"}
    if unknown := sorted(set(values) - known):
        options = ", ".join(sorted(known))
        raise PlanError(f"plan file {path}: unknown entry {unknown[0]!r}; known: {options}")
    context.default_map = {**(context.default_map or {}), **values}


plan_file_option = click.option(
    "--plan",
    "plan_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_load_plan_file,
    help="YAML file with values for these options; flags and variables win over it.",
)


def plan_options(*, stop: str, max_items: int | None) -> Callable[[F], F]:
    """The options that make up a plan, with a command's defaults."""
    options = [
        plan_file_option,
        click.option(
            "--select",
            default="auto",
            show_default=True,
            help="Selector; auto is max-information with one ability and min-variance with "
            "several. Others are min-variance, score-variance or random; docs/selection.md.",
        ),
        click.option(
            "--per",
            type=click.Choice(["usd", "seconds"]),
            help="Choose by gain per expected dollar or second.",
        ),
        click.option(
            "--stop",
            default=stop,
            show_default=True,
            help="Stopping rule, as in 'sd<0.3 and items>=5 or usd>=2'; docs/stopping.md.",
        ),
        click.option(
            "--max-items",
            type=click.IntRange(1),
            default=max_items,
            show_default=True,
            help="Also stop after so many items.",
        ),
        click.option(
            "--max-cost",
            type=_POSITIVE,
            metavar="USD",
            help="Also stop once so many dollars are spent.",
        ),
        click.option("--max-seconds", type=_POSITIVE, help="Also stop after so many seconds."),
        click.option(
            "--prior",
            metavar="auto|parts|trend|population|normal|MEAN,SD",
            default="auto",
            show_default=True,
            help="Prior over ability, from the bank's calibrating agents: by the model, scaffold "
            "and date of the agent, by the trend at its date, all of them, a normal like them, or "
            "any normal; auto takes parts where model or scaffold are known, else the trend where "
            "dates are, else the population.",
        ),
        click.option(
            "--estimator",
            default="eap",
            show_default=True,
            help="Point estimate: eap, map or catsim:NAME.",
        ),
        click.option(
            "--seed",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Of all random choices.",
        ),
        click.option(
            "--level",
            type=float,
            default=0.9,
            show_default=True,
            help="Probability of the reported intervals.",
        ),
    ]

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def make_plan(
    bank: ItemBank,
    *,
    select: str,
    per: Unit | None,
    stop: str,
    max_items: int | None,
    max_cost: float | None,
    max_seconds: float | None,
    prior: str,
    estimator: str,
    seed: int,
    level: float,
    width: int = 1,
    max_attempts: int = 2,
    llm: str | None = None,
    scaffold: str | None = None,
    agent_date: str | None = None,
) -> Plan:
    """A plan from the options of a command.

    Raises:
        PlanError: naming the option that cannot be used.
    """
    selector = default_selector(len(bank.mean)) if select == "auto" else parse_selector(select)
    if per is not None:
        selector = PerCost(selector, per)
    rules: list[Rule] = [parse_stop(stop)]
    rules += [MaxItems(max_items)] if max_items else []
    rules += [MaxCost(max_cost)] if max_cost else []
    rules += [MaxSeconds(max_seconds)] if max_seconds else []
    return Plan(
        select=selector,
        stop=any_of(*rules),
        prior=parse_prior(prior, bank, Parts(llm or "", scaffold or "", agent_date or "")).prior,
        estimator=parse_estimator(estimator),
        seed=seed,
        width=width,
        max_attempts=max_attempts,
        level=level,
    )


def parse_prior(text: str, bank: ItemBank, agent: Parts = _UNKNOWN) -> ChosenPrior:
    """A prior from the text of an option, for an agent of which something may be known.

    Raises:
        PlanError: the text cannot be read, or there is no such prior for the agent.
    """
    return parse_agent_priors(text, bank, [agent])[0]


def parse_agent_priors(
    text: str, bank: ItemBank, agents: Sequence[Parts], names: Sequence[str] = ()
) -> tuple[ChosenPrior, ...]:
    """Priors of several agents, as :func:`parse_prior`; one that the bank was calibrated with, by
    its name, is predicted from the others."""
    if text in PRIOR_NAMES:
        return choose_priors(text, bank, agents, names)
    try:
        mean, sd = (float(part) for part in text.split(","))
    except ValueError:
        raise PlanError(
            "--prior is auto, parts, trend, population, normal, or a mean and an sd as in 0,1.5, "
            f"not {text!r}"
        ) from None
    prior = Prior((mean,) * len(bank.mean), (sd,) * len(bank.mean))
    return (ChosenPrior(prior, "normal", ("the prior is as given",)),) * len(agents)


def write_json(content: str, target: str) -> None:
    """JSON text to a file, or to stdout for ``-``."""
    if target == "-":
        click.echo(content)
        return
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_text(content + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"the JSON cannot be written to {target}: {error.strerror}") from None


def write_page(page: str, target: Path) -> None:
    """An HTML page to a file, whose place is said."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"the page cannot be written to {target}: {error.strerror}") from None
    say(f"Page: {target}")


def to_json(content: Any) -> str:
    """Readable JSON of plain data, dataclasses, numpy numbers and arrays."""
    from pydantic import TypeAdapter

    plain = TypeAdapter(Any).dump_python(content, mode="json", fallback=_plain)
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=True)


def _plain(value: Any) -> Any:
    """What pydantic does not know: numpy's numbers and arrays, and others by their text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def say(text: str) -> None:
    """Progress goes to stderr; that nobody reads it any more is no reason to stop."""
    with suppress(OSError):
        click.echo(text, err=True)


def log_to_stderr() -> None:
    """Show what our own modules log, such as the building of images; Inspect logs for itself."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    said: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return not (text in said or said.add(text))  # type: ignore[func-returns-value]

    handler.addFilter(is_new)
    logger = logging.getLogger("harness")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def show_origins(context: click.Context) -> None:
    """Print each option with its value and where the value comes from."""
    names = {
        "COMMANDLINE": "flag",
        "ENVIRONMENT": "environment variable",
        "DEFAULT_MAP": "plan file",
        "DEFAULT": "default",
    }
    for parameter in context.command.params:
        if parameter.name and parameter.name in context.params:
            source = context.get_parameter_source(parameter.name)
            value = context.params[parameter.name]
            origin = names.get(source.name if source else "", "default")
            click.echo(f"{parameter.name.replace('_', '-'):16} {value!s:40} {origin}")


def print_table(table: Any) -> None:
    """A rich table on stdout, wide enough when another program reads it."""
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(table)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr for (done, all); silent off a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """One bar at a time for (what is being done, done, all)."""
    with ExitStack() as stack:
        current: dict[str, Callable[[int, int], None]] = {}

        def tick(what: str, done: int, total: int) -> None:
            if what not in current:
                stack.close()
                current.clear()
                current[what] = stack.enter_context(progress_bar(what))
            current[what](done, total)

        yield tick
