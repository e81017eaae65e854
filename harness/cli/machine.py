"""The command about the machine: doctor."""

from dataclasses import asdict

import click

from harness.cli.common import json_option, say, to_json, write_json

_INFRASTRUCTURE = 4


@click.command()
@click.option(
    "--fix",
    "repair",
    is_flag=True,
    help="Install and start what is missing, where that is possible.",
)
@json_option
def doctor(repair: bool, json_target: str | None) -> int:
    """Look at everything a sandbox needs, and say what to do about what is missing."""
    from harness.sandbox.doctor import diagnose, fix

    checks = fix(say) if repair else diagnose()
    if json_target != "-":
        for check in checks:
            click.echo(f"{'ok' if check.ok else 'MISSING':8} {check.name:12} {check.detail}")
            if not check.ok:
                click.echo(f"{'':8} {'':12} next: {check.fix}")
    if json_target is not None:
        write_json(to_json([asdict(check) for check in checks]), json_target)
    return 0 if all(check.ok for check in checks) else _INFRASTRUCTURE
