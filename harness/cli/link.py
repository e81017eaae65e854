"""The command ``bank link``: one bank onto the scale of another, and both as one."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.bank import ItemBank
from harness.bank_files import load_bank, save_bank
from harness.cli.common import json_option, say, to_json, write_json
from harness.errors import BankError

if TYPE_CHECKING:
    from harness.calibrate.link import Link, Method

_ABILITIES = (-1.0, 0.0, 1.0)
_METHODS = ("stocking-lord", "haebara", "mean-sigma", "agents")
_MUCH_DRIFT = 0.2
_MUCH_SCATTER = 3.0


@click.command("link")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write the merged bank to; it must not hold one. Without it nothing is written.",
)
@click.option(
    "--method",
    type=click.Choice(_METHODS),
    default="stocking-lord",
    show_default=True,
    help="Through common items by their curves or difficulties, or through common agents.",
)
@click.option(
    "--drop-drifted", is_flag=True, help="Leave out what drifts, instead of only naming it."
)
@click.option("--name", help="Name of the merged bank; that of its folder by default.")
@json_option
def link_banks(
    first: str,
    second: str,
    out: Path | None,
    method: "Method",
    drop_drifted: bool,
    name: str | None,
    json_target: str | None,
) -> None:
    """Bring bank B onto the scale of bank A through what they share, and merge them.

    Items that both have keep A's parameters, unless A only predicted them; those that only B has
    are moved, with the linking error added to their uncertainty.
    """
    from harness.calibrate.link import link
    from harness.calibrate.merge import apply_link, merge

    if out is not None:
        for file in ("bank.yaml", "items.csv", "covariance.csv", "agents.csv"):
            if (out / file).exists():
                raise BankError(f"{out} already holds {file}; name another folder by --out")
    bank_a, bank_b = load_bank(first), load_bank(second)
    found = link(bank_a, bank_b, method, drop_drifted=drop_drifted)
    merged = None
    if out is not None:
        merged = merge(bank_a, apply_link(bank_b, found), name=name or out.resolve().name)
        save_bank(merged, out)
    for remark in _remarks(found):
        say(f"remark: {remark}")
    if json_target is not None:
        write_json(to_json(_facts(found, bank_a, bank_b, merged, out)), json_target)
    if json_target != "-":
        for line in _lines(found, bank_a, bank_b):
            click.echo(line)
        if merged is not None:
            new = len(merged.items) - len(bank_a.items)
            click.echo(
                f"{out}: {len(merged.items)} items, {len(bank_a.items)} as in {bank_a.name} and "
                f"{new} of {bank_b.name}, hash {merged.hash}"
            )


def _noun(found: "Link") -> str:
    return "agents" if found.method == "agents" else "items"


def _drifting(found: "Link") -> list[str]:
    return sorted({drift.name for drift in found.drifted})


def _remarks(found: "Link") -> Iterator[str]:
    drifting, common = len(_drifting(found)), len(found.common)
    share = f"{drifting} of {common} common {_noun(found)} drift"
    if drifting > _MUCH_DRIFT * common:
        yield f"{share}: the banks may not measure the same, and then no line links them"
    elif drifting and not found.dropped:
        yield f"{share} and are used; --drop-drifted leaves them out"
    if not drifting or found.dropped:
        estimated, chosen = (matrix[1][1] ** 0.5 for matrix in (found.sampling, found.jackknife))
        if 0 < _MUCH_SCATTER * estimated < chosen:
            yield (
                f"common {_noun(found)} scatter {chosen / estimated:.0f} times as much as their "
                "estimation explains: what has one name in both banks may not be the same"
            )


def _lines(found: "Link", bank_a: ItemBank, bank_b: ItemBank) -> Iterator[str]:
    used = len(found.common) - len(found.dropped)
    yield (
        f"{bank_b.name} onto the scale of {bank_a.name}, by {found.method} through {used} common "
        f"{_noun(found)}"
    )
    estimated, chosen = (
        [matrix[k][k] ** 0.5 for k in (0, 1)] for matrix in (found.sampling, found.jackknife)
    )
    choice = f"choice of {_noun(found)}"
    yield f"          {'':8}  {'±':>6}   {'estimation':>10}  {choice:>16}"
    for k, (label, value) in enumerate((("slope", found.slope), ("shift", found.intercept))):
        se = (found.se_slope, found.se_intercept)[k]
        yield f"  {label:6}  {value:8.3f}  {se:6.3f}   {estimated[k]:10.3f}  {chosen[k]:16.3f}"
    yield "  an ability on B is, on A,"
    for ability in _ABILITIES:
        yield f"  {ability:6.0f}  {found.ability(ability):8.3f}  {found.se(ability):6.3f}"
    yield "  (standard errors of the link, beside those of the ability itself)"
    if not found.drifted:
        yield f"  none of the common {_noun(found)} drifts"
        return
    share = f"{len(_drifting(found))} of {len(found.common)}"
    yield f"  {share} common {_noun(found)} drift, {'left out' if found.dropped else 'kept'}:"
    width = max(len(drift.name) for drift in found.drifted)
    yield f"    {'':{width}}  {'':10}  {'B - A':>7}  {'z':>6}  {'p':>8}"
    for drift in found.drifted:
        yield (
            f"    {drift.name:{width}}  {drift.of:10}  {drift.difference:+7.2f}  "
            f"{drift.z:+6.1f}  {drift.p:8.2g}"
        )


def _facts(
    found: "Link", bank_a: ItemBank, bank_b: ItemBank, merged: ItemBank | None, out: Path | None
) -> dict[str, Any]:
    return {
        "a": {"name": bank_a.name, "hash": bank_a.hash},
        "b": {"name": bank_b.name, "hash": bank_b.hash},
        "link": found,
        "se_slope": found.se_slope,
        "se_intercept": found.se_intercept,
        "abilities": [
            {"on_b": ability, "on_a": found.ability(ability), "se": found.se(ability)}
            for ability in _ABILITIES
        ],
        "remarks": list(_remarks(found)),
        "merged": None
        if merged is None
        else {
            "bank": str(out),
            "name": merged.name,
            "hash": merged.hash,
            "items": len(merged.items),
            "added": [item.id for item in merged.items[len(bank_a.items) :]],
        },
    }
