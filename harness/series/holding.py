"""Holding one session of a series to its end."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

from harness.errors import InfrastructureError
from harness.events import Event, Launch, Plan, Voided
from harness.schedule.events import Proposal
from harness.schedule.plan import session_plan
from harness.series import files, history
from harness.series.engine import Say
from harness.series.files import Work
from harness.series.launch import filled_in, launch_of, variables_of
from harness.series.serve import serving
from harness.series.state import Loaded
from harness.session import Session

Notify = Callable[[Session, Event], None]


def hold_session(
    loaded: Loaded, work: Work, *, stops: Sequence[str], notify: Notify | None, say: Say
) -> str:
    """Hold the session of a work to its end; its checkpoint is served meanwhile if it asks for it.

    Args:
        loaded: the series.
        work: begun or gone on with.
        stops: what may end it earlier besides its own rule, as stopping rules.
        notify: called after every event.
        say: told what is done and why.

    Returns:
        Why it failed; empty where it did not.

    Raises:
        InputError: it cannot be launched.
        InfrastructureError: it cannot be held, for no fault of its checkpoint.
    """
    known, _ = loaded.at(work.step)
    say(
        f"Testing step {work.step} on {work.bank}, {work.purpose}, at most {work.tasks} tasks: "
        f"{work.why}"
    )
    with ExitStack() as stack:
        endpoint = None
        if known.serve:
            variables = variables_of(known)
            try:
                endpoint = stack.enter_context(serving(known.serve, variables=variables, say=say))
            except InfrastructureError as error:
                return str(error)
        session = follow(
            files.session_folder(loaded.folder, work),
            filled_in(launch_of(loaded, known, work.bank), known, endpoint),
            _plan(loaded, work, stops),
            served=endpoint is not None,
            notify=notify,
            say=say,
        )
        if session.stopped is None or session.stopped.outcome != "voids":
            return ""
        last = [event for event in session.events if isinstance(event, Voided)][-1]
        parts = [session.stopped.reason, f"the last was {last.cause}: {last.detail}"]
        if endpoint is not None and (ended := endpoint.problem()):
            parts.append(ended)
        return "; ".join(parts)


def _plan(loaded: Loaded, work: Work, stops: Sequence[str]) -> Plan:
    definition = loaded.definition
    given = {field.name: getattr(work, field.name) for field in fields(Proposal)}
    stop = " or ".join(filter(None, (work.stop, *stops)))
    return session_plan(
        loaded.situation.course(work.bank),
        Proposal(**{**given, "stop": stop}),
        seed=definition.seed,
        width=definition.width,
        max_attempts=definition.max_attempts,
        level=definition.level,
    )


def follow(
    run: Path,
    launch: Launch,
    plan: Plan,
    *,
    served: bool,
    notify: Notify | None,
    say: Say,
) -> Session:
    """The session of a run folder, begun or gone on with."""
    from harness.runners import live

    notify = notify or (lambda session, event: None)
    if not history.begun(run):
        return live.start(run, launch, plan, notify=notify, say=say)
    # the journal knows the endpoint of back then
    model = live.make_model(launch) if served else None
    return live.resume(run, model=model, notify=notify, say=say)


__all__ = ["Notify", "follow", "hold_session"]
