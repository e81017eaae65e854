"""The command line: thin commands over public functions."""

import os
import sys
from importlib.metadata import version

import click

from harness.cli.abilities import abilities
from harness.cli.agents import agents
from harness.cli.calibrate import calibrate
from harness.cli.compare import compare
from harness.cli.explain import explain
from harness.cli.features import features
from harness.cli.health import health
from harness.cli.inventory import bank, env
from harness.cli.machine import doctor
from harness.cli.models import models
from harness.cli.predict import predict
from harness.cli.rescore import rescore
from harness.cli.series import series
from harness.cli.sessions import report, resume, run
from harness.cli.studies import replay, simulate
from harness.cli.study import study
from harness.cli.validity import validity
from harness.errors import HarnessError

INTERRUPTED = 130


class _Program(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        """The reader of our output, such as head, may have had enough; that is no failure."""
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, SystemExit) as end:
            # rich has made an exit of it by now
            if isinstance(end, SystemExit) and not isinstance(end.__context__, BrokenPipeError):
                raise
            # what is left in the buffer has to go somewhere at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


@click.group(
    cls=_Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(version("cat-harness"), prog_name="cat-harness")
def cli() -> None:
    """Adaptive evaluation of agents in Docker sandboxes, from calibrated item banks.

    Every option can be set by an environment variable CAT_HARNESS_COMMAND_OPTION too.

    \b
    Exit codes: 0 done; 1 a gate failed, or an alarm was confirmed; 2 usage or bad input; 3 stopped
    without the asked precision, or nothing to compare; 4 infrastructure or too many voids;
    130 interrupted.
    """


for command in (
    *(run, resume, rescore, compare, report, series, replay, simulate, study),
    *(calibrate, models, abilities, health, validity),
    *(features, predict, explain, agents, bank, env, doctor),
):
    cli.add_command(command)


def main() -> None:
    """Entry point of the command ``cat-harness``."""
    try:
        code = cli.main(auto_envvar_prefix="CAT_HARNESS", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except HarnessError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)
