"""The exceptions that a user can meet. Every message names the culprit and says what to do next.

::

    HarnessError                 exit 1
    ├── InputError               exit 2   something the user gave us is wrong
    │   ├── BankError                     an item bank
    │   ├── ResponsesError                a file of outcomes
    │   ├── TaskError                     a task directory
    │   ├── PlanError                     a plan: selector, stopping rule, prior, width
    │   ├── JournalError                  a journal of a session
    │   └── AgentError                    an agent or model that cannot be loaded
    └── InfrastructureError      exit 4   the world around us failed
        └── DockerError                   the engine, an image, a container, an exec
"""

from typing import ClassVar, Literal

DockerCause = Literal["daemon", "image", "container", "exec"]


class HarnessError(Exception):
    """Base of everything the command line prints as a message instead of a traceback."""

    exit_code: ClassVar[int] = 1


class InputError(HarnessError):
    """Something the user gave us is wrong; nothing was lost."""

    exit_code = 2


class BankError(InputError):
    """An item bank that cannot be used."""


class ResponsesError(InputError):
    """A file of outcomes that cannot be used."""


class TaskError(InputError):
    """A task directory that cannot be used."""


class PlanError(InputError):
    """A plan that cannot be followed."""


class JournalError(InputError):
    """A journal that cannot be read or continued."""


class AgentError(InputError):
    """An agent, solver or model that cannot be loaded."""


class InfrastructureError(HarnessError):
    """The world around us failed: nothing here says anything about the agent."""

    exit_code = 4


class DockerError(InfrastructureError):
    """Docker failed; ``cause`` says which part of it."""

    def __init__(self, message: str, cause: DockerCause) -> None:
        # the cause leads the text because a trace keeps nothing of an exception but its text
        super().__init__(f"{cause}: {message}")
        self.cause = cause
