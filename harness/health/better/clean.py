"""A cleaned bank: what to do with each item, by what was flagged of it.

Parameters stay as they were calibrated. Adjacent categories of a graded item are merged by leaving
out the threshold between them, which the graded model allows without a new fit (Samejima 1969);
other models need one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from harness.bank import Item, ItemBank
from harness.bank_files import save_bank
from harness.errors import BankError
from harness.health.better.greedy import curves_of
from harness.health.evidence import Evidence
from harness.health.flags import Flag, Kind
from harness.irt import Array

Action = Literal["drop", "merge", "collapse", "look", "keep"]
"""Strongest first: what an item is flagged for most strongly decides."""
_ORDER: tuple[Action, ...] = get_args(Action)

ACTIONS: Mapping[Kind, Action] = {
    "reversed": "drop",
    "low discrimination": "drop",
    "duplicate": "merge",
    "unused category": "collapse",
    "sparse category": "look",
    "disordered categories": "look",
    "misfit": "look",
    "noise": "look",
    "disputed item": "look",
    "contradiction": "look",
    "cluster": "look",
    "differential functioning": "look",
    "group of items": "look",
    "never solved": "keep",
    "always solved": "keep",
}
"""What follows from a flag of an item; kinds that are not here are about something else."""

_WHY: Mapping[Kind, str] = {
    "never solved": "a better agent may solve it; dropping it is a choice",
    "always solved": "it tells of weaker agents; dropping it is a choice",
    "misfit": "the model describes it badly, which does not make it a bad task",
    "noise": "more trials help as much as another task",
    "sparse category": "merging a category that was used changes what scores mean",
    "disordered categories": "merging a category that was used changes what scores mean",
}
_LISTED = 3
"""Flags of one kind that a reason quotes."""


@dataclass(frozen=True)
class Change:
    """What becomes of one item."""

    item: str
    action: Action
    reason: str
    """The flags that decide, with their evidence; in words where there is none."""
    into: str = ""
    """The item that is kept instead, where this one is merged."""


@dataclass(frozen=True)
class Cleaned:
    """A bank without what is to go, and what became of every item."""

    bank: ItemBank
    changes: tuple[Change, ...]
    """One an item, in their order."""
    source: str
    """Name and hash of the bank that was cleaned."""
    share: float
    """Of the information that the cleaned bank keeps, over the agents' abilities."""

    def of(self, action: Action) -> tuple[Change, ...]:
        """The items that one thing is done with."""
        return tuple(change for change in self.changes if change.action == action)


def clean_bank(
    evidence: Evidence,
    flags: Sequence[Flag],
    actions: Mapping[Kind, Action] | None = None,
    *,
    few: int = 0,
) -> Cleaned:
    """Decide what to do with each item, and leave out of the bank what is to go.

    Of items that measure the same the one with most information is kept.

    Args:
        flags: of all analyses; those of agents, judges and the whole benchmark are left aside.
        actions: instead of :data:`ACTIONS`, for some kinds.
        few: a category with at most so many outcomes is merged into its less used neighbour, where
            an item's categories are to be collapsed.

    Raises:
        BankError: fewer than two items would be left.

    >>> from harness.health.evidence import gather
    >>> from harness.responses import from_matrix
    >>> found = gather(from_matrix(np.random.default_rng(0).random((30, 8)) < 0.6))
    >>> bad = Flag("reversed", "item", ("item2",), "slope -1", -1.0, -2.0, -0.5, 0.0, "look")
    >>> cleaned = clean_bank(found, [bad])
    >>> len(cleaned.bank.items), cleaned.of("drop")[0].reason
    (7, 'reversed: slope -1')
    """
    chosen = {**ACTIONS, **(actions or {})}
    items = evidence.responses.items
    by_item: dict[str, list[Flag]] = {item: [] for item in items}
    for flag in flags:
        if flag.about in ("item", "items") and flag.kind in chosen:
            for name in flag.names:
                by_item.get(name, []).append(flag)
    strongest = {item: _strongest(found, chosen) for item, found in by_item.items()}
    gain = curves_of(evidence).gain()
    worth = dict(zip(items, gain.tolist(), strict=True))
    milder: dict[Kind, Action] = {k: "keep" if a == "merge" else a for k, a in chosen.items()}
    merging = [
        flag.names for flag in flags if flag.about == "items" and chosen.get(flag.kind) == "merge"
    ]
    stays = [item for item in items if strongest[item] != "drop"]
    into = _merged(merging, stays, worth)
    changes, kept, categories = [], [], dict(evidence.bank.categories)
    for row, (item, model) in enumerate(zip(items, evidence.bank.items, strict=True)):
        found, action = by_item[item], strongest[item]
        if action == "merge" and item not in into:
            # the others of its kind are gone, or it is the best of them: what else is there?
            action = _strongest(found, milder)
        if action == "collapse":
            counts = evidence.counts[:, row].sum(axis=0)[: len(model.intercepts) + 1]
            smaller = _collapsed(model, counts, few, categories)
            action = "look" if smaller is None else action
            model = smaller or model
        changes.append(
            Change(item, action, _reason(item, action, found, into, chosen), into.get(item, ""))
        )
        if action not in ("drop", "merge"):
            kept.append(model)
    if len(kept) < 2:
        raise BankError(
            f"bank {evidence.bank.name!r}: {len(kept)} of {len(items)} items would be left; choose "
            "milder actions, or look at the flags one by one"
        )
    used = {item.categories for item in kept}
    names = {c.action: [one.item for one in changes if one.action == c.action] for c in changes}
    source = f"{evidence.bank.name} ({evidence.bank.hash})"
    facts = {
        "from": evidence.bank.name,
        "hash": evidence.bank.hash,
        "dropped": names.get("drop", []),
        "merged": {item: into[item] for item in names.get("merge", [])},
        "collapsed": names.get("collapse", []),
    }
    bank = replace(
        evidence.bank,
        items=tuple(kept),
        categories={name: labels for name, labels in categories.items() if name in used},
        provenance={**evidence.bank.provenance, "cleaned": facts},
    )
    left = {item.id for item in kept}
    return Cleaned(
        bank=bank,
        changes=tuple(changes),
        source=source,
        share=float(sum(worth[item] for item in items if item in left)),
    )


def _strongest(found: Sequence[Flag], chosen: Mapping[Kind, Action]) -> Action:
    return min((chosen[flag.kind] for flag in found), key=_ORDER.index, default="keep")


def _merged(
    groups: Sequence[tuple[str, ...]], stays: Sequence[str], worth: Mapping[str, float]
) -> dict[str, str]:
    """What each item that goes is merged into: items linked by any chain become one."""
    root = {item: item for item in stays}

    def top(item: str) -> str:
        while root[item] != item:
            item = root[item]
        return item

    for group in groups:
        tops = {top(item) for item in group if item in root}
        if tops:
            best = max(tops, key=lambda item: worth[item])
            root.update(dict.fromkeys(tops, best))
    return {item: top(item) for item in stays if top(item) != item}


def _collapsed(
    item: Item, counts: Array, few: int, categories: dict[str, tuple[str, ...]]
) -> Item | None:
    """The item with its little used categories merged, and their labels added; None where the model
    needs a new fit for that, or there is nothing to merge."""
    if item.model != "grm":
        return None
    parts = [[k] for k in range(len(counts))]
    totals = [float(count) for count in counts]
    while len(parts) > 2 and min(totals) <= few:
        k = int(np.argmin(totals))
        beside = [j for j in (k - 1, k + 1) if 0 <= j < len(parts)]
        j = min(beside, key=lambda j: totals[j])
        low = min(j, k)
        parts[low : low + 2] = [parts[low] + parts[low + 1]]
        totals[low : low + 2] = [totals[low] + totals[low + 1]]
    if len(parts) == len(counts):
        return None
    # a category is reached past the threshold below its lowest part
    thresholds = [part[0] - 1 for part in parts[1:]]
    labels = categories[item.categories]
    joined = tuple(" or ".join(labels[k] for k in part) for part in parts)
    name = f"{item.categories} {'|'.join('+'.join(map(str, part)) for part in parts)}"
    categories[name] = joined
    kept = [*range(len(item.slopes)), *(len(item.slopes) + k for k in thresholds)]
    return replace(
        item,
        model="2pl" if len(thresholds) == 1 else item.model,
        intercepts=tuple(item.intercepts[k] for k in thresholds),
        categories=name,
        covariance=item.covariance
        and tuple(tuple(item.covariance[i][j] for j in kept) for i in kept),
    )


def _reason(
    item: str,
    action: Action,
    found: Sequence[Flag],
    into: Mapping[str, str],
    chosen: Mapping[Kind, Action],
) -> str:
    if not found:
        return "nothing was flagged"
    if item in into.values() and action != "drop":
        gone = sum(other == item for other in into.values())
        kept = f"the most informative of {gone + 1} that measure the same"
    else:
        kept = ""
    texts = [kept] if kept else []
    kinds = dict.fromkeys(flag.kind for flag in sorted(found, key=lambda f: _rank(f, chosen)))
    for kind in kinds:
        same = [flag for flag in found if flag.kind == kind]
        seen = "; ".join(flag.evidence for flag in same[:_LISTED])
        more = f" and {len(same) - _LISTED} more" if len(same) > _LISTED else ""
        why = f" ({_WHY[kind]})" if kind in _WHY and action in ("look", "keep") else ""
        texts.append(f"{kind}: {seen}{more}{why}")
    return ". ".join(texts)


def _rank(flag: Flag, chosen: Mapping[Kind, Action]) -> int:
    return _ORDER.index(chosen[flag.kind])


def save_cleaned(cleaned: Cleaned, folder: Path, *, overwrite: bool = False) -> None:
    """Write a cleaned bank as a folder, with ``CHANGES.md``: what became of every item, and why.

    Raises:
        BankError: the folder is not empty, and is not to be overwritten.
    """
    if folder.exists() and not folder.is_dir():
        raise BankError(f"{folder} is a file; name a folder for the cleaned bank")
    if not overwrite and folder.is_dir() and any(folder.iterdir()):
        raise BankError(
            f"{folder} exists and is not empty; name another folder, or allow overwriting"
        )
    save_bank(cleaned.bank, folder)
    (folder / "CHANGES.md").write_text(_change_log(cleaned), encoding="utf-8")


_HEADS: Mapping[Action, str] = {
    "drop": "Dropped",
    "merge": "Merged into another item",
    "collapse": "Categories merged",
    "look": "Kept, to be looked at",
    "keep": "Kept",
}


def _change_log(cleaned: Cleaned) -> str:
    count = len(cleaned.bank.items)
    lines = [
        f"# Changes from {_plain(cleaned.source)}",
        "",
        f"{count} of {len(cleaned.changes)} items are left, with {cleaned.share:.0%} of the "
        "information at the abilities of the agents seen. Parameters are as they were calibrated; "
        "calibrate again on the items that are left to have them without those that went.",
    ]
    for action in _ORDER:
        changes = cleaned.of(action)
        if not changes:
            continue
        lines += ["", f"## {_HEADS[action]}: {len(changes)}", ""]
        for change in changes:
            into = f" into `{_plain(change.into)}`" if change.action == "merge" else ""
            lines.append(f"- `{_plain(change.item)}`{into}: {_plain(change.reason)}")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """On one line, whatever names hold."""
    return " ".join(text.replace("`", "'").split())
