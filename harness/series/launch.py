"""What the sessions of a checkpoint are launched with."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from harness.errors import AgentError
from harness.events import Launch
from harness.series.files import Registered
from harness.series.serve import Endpoint, filled
from harness.series.state import Loaded


def variables_of(known: Registered) -> dict[str, str]:
    """What fills the placeholders of its commands and names."""
    return {"step": str(known.step), "path": known.path, "name": Path(known.path).name}


def is_own(known: Registered) -> bool:
    """Whether a checkpoint has more to it than the series' own agent and model."""
    given = (known.model, known.agent, known.model_args, known.agent_args, known.serve)
    return any(given)


def launch_of(loaded: Loaded, known: Registered, bank: str) -> Launch:
    """What is launched for a checkpoint: its own model, agent and arguments before the series'."""
    default = loaded.definition.launch
    return replace(
        default,
        bank=next(b.path for b in loaded.definition.banks if b.name == bank),
        agent=default.agent if known.agent is None else known.agent,
        agent_args=known.agent_args or default.agent_args,
        model=default.model if known.model is None else known.model,
        model_args=known.model_args or default.model_args,
    )


def filled_in(launch: Launch, known: Registered, endpoint: Endpoint | None) -> Launch:
    """The launch with the place of the checkpoint in the name and arguments of its model.

    Raises:
        InputError: a placeholder that nothing fills in.
    """
    if launch.model is None:
        return launch
    names = variables_of(known)
    args = dict(launch.model_args)
    if endpoint is not None:
        args["base_url"] = _base_url(endpoint.url)
        if endpoint.model is not None:
            names["model"] = endpoint.model
        elif "{model}" in launch.model:
            raise AgentError(
                f"{{model}} in {launch.model!r} is what the serving command calls its model, and "
                "it printed no name: let it print its URL and the name on one line"
            )
    return replace(
        launch,
        model=filled(launch.model, names, quote=str),
        model_args=tuple((name, filled(text, names, quote=str)) for name, text in args.items()),
    )


def _base_url(url: str) -> str:
    """What servers say of themselves is their address, and their API is below it.

    >>> _base_url("http://127.0.0.1:8000"), _base_url("http://127.0.0.1:8000/v1")
    ('http://127.0.0.1:8000/v1', 'http://127.0.0.1:8000/v1')
    """
    return url if urlsplit(url).path else f"{url}/v1"


__all__ = ["filled_in", "is_own", "launch_of", "variables_of"]
