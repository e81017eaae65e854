"""Features of new tasks under the names that a predictor knows, and the bank of such tasks."""

from collections import Counter
from dataclasses import replace

from harness.bank import ItemBank, Source
from harness.errors import InputError
from harness.features import LEVELS, Space, highest_level
from harness.predict.predictor import Predictor, predicted_items
from harness.regression import Column, Features


def _used(predictor: Predictor) -> list[Column]:
    codes = predictor.difficulty.coding.codes
    if predictor.log_slope is not None:
        codes += predictor.log_slope.coding.codes
    return list(dict.fromkeys(code.column for code in codes))


def aligned(features: Features, predictor: Predictor) -> Features:
    """Columns in the blocks that the predictor has them in, where the names leave no doubt.

    A table of features may come as a file of another name than the one that the predictor was
    fitted to, and the name of the file is that of the block.
    """
    keys = {(column.block, column.name) for column in _used(predictor)}
    often = Counter(name for _, name in keys)
    block_of = {name: block for block, name in keys if often[name] == 1}
    there = {(column.block, column.name) for column in features.columns}
    columns: list[Column] = []
    for column in features.columns:
        block = block_of.get(column.name, column.block)
        if (column.block, column.name) not in keys and (block, column.name) not in there:
            there.add((block, column.name))
            columns.append(replace(column, block=block))
        else:
            columns.append(column)
    return replace(features, columns=tuple(columns))


def combined(first: Features, second: Features) -> Features:
    """Both, for the names of the first; where both have a cell, that of the second counts.

    >>> a = Features(("i", "j"), (Column("x", "b", "number"),), ((1.0,), (2.0,)))
    >>> b = Features(("j", "k"), (Column("x", "b", "number"),), ((3.0,), (4.0,)))
    >>> combined(a, b).cells
    ((1.0,), (3.0,))
    """
    other = second.of(first.names)
    at = {(column.block, column.name): k for k, column in enumerate(first.columns)}
    columns, rows = list(first.columns), [list(row) for row in first.cells]
    for k, column in enumerate(other.columns):
        place = at.get((column.block, column.name))
        for row, given in zip(rows, other.cells, strict=True):
            if place is None:
                row.append(given[k])
            elif given[k] is not None:
                row[place] = given[k]
        if place is None:
            columns.append(column)
    return Features(first.names, tuple(columns), tuple(map(tuple, rows)))


def without_features(features: Features, predictor: Predictor) -> tuple[str, ...]:
    """Tasks of which nothing is known that the predictor uses.

    Raises:
        InputError: that is all of them.
    """
    used = _used(predictor)
    keys = {(column.block, column.name) for column in used}
    useful = [k for k, c in enumerate(features.columns) if (c.block, c.name) in keys]
    blank = tuple(
        name
        for name, row in zip(features.names, features.cells, strict=True)
        if all(row[k] is None for k in useful)
    )
    if len(blank) == len(features.names):
        names = ", ".join(f"{column.block}.{column.name}" for column in used[:6])
        raise InputError(
            f"none of the {len(used)} features that the predictor uses is known of any task; it "
            f"uses {names}{' and others' if len(used) > 6 else ''}; extract the same features of "
            "the new tasks, or give features of the bank's own items that the new tasks have too"
        )
    return blank


def extraction_space(predictor: Predictor) -> Space:
    """What the predictor's columns say of how texts are turned into features: tags and languages
    that have a column, but no vectors."""
    words: dict[str, list[str]] = {}
    for code in predictor.difficulty.coding.codes:
        name, mark, word = code.column.name.partition("=")
        if mark:
            words.setdefault(f"{code.column.block}.{name}", []).append(word)
    level = highest_level(predictor.blocks) or LEVELS[-1]
    return Space(level, {key: tuple(found) for key, found in words.items()})


def predicted_bank(
    bank: ItemBank,
    predictor: Predictor,
    features: Features,
    *,
    merge: bool = False,
    source: Source | None = None,
) -> ItemBank:
    """The new tasks as a bank of predicted items, on the scale of the calibrated one.

    Args:
        merge: with the items of the calibrated bank; new ones replace predicted ones of the same
            id.
        source: where the tasks lie, if that is known.
    """
    name = "new-tasks"
    items = predicted_items(predictor, features)
    if source is not None:
        items = tuple(replace(item, source=name) for item in items)
    new = {item.id for item in items}
    common_sd = predictor.common_sd(features)
    kept = tuple(item for item in bank.items if item.id not in new) if merge else ()
    if any(item.predicted for item in kept):
        common_sd = max(common_sd, bank.common_sd)
    return replace(
        bank,
        name=bank.name if merge else f"{bank.name}-predicted",
        items=(*kept, *items),
        description=f"{len(items)} tasks that nobody has run, their parameters predicted from "
        f"features by what {bank.name} was calibrated on"
        + (f", and the {len(kept)} items of that bank" if merge else ""),
        provenance={
            **(bank.provenance if merge else {}),
            "predicted": {
                "items": len(items),
                "bank": bank.name,
                "bank_hash": bank.hash,
                "fitted_to": predictor.difficulty.n,
                "features": list(predictor.blocks),
                "levels": list(predictor.levels),
            },
        },
        sources={
            **(bank.sources if merge else {}),
            **({} if source is None else {name: source}),
        },
        common_sd=common_sd,
    )
