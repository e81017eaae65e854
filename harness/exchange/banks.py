"""A bank from the parameters of another program, and the text of such parameters from a bank."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from harness.bank import Item, ItemBank
from harness.errors import BankError
from harness.exchange.found import Format, Population
from harness.exchange.mirt import mirt_text, read_mirt
from harness.exchange.py_irt import py_irt_text, read_py_irt


def import_bank(
    path: Path,
    *,
    name: str,
    description: str = "",
    labels: Sequence[Sequence[str]] = (),
    population: Population | None = None,
) -> ItemBank:
    """A bank from the parameters that another program estimated.

    Args:
        path: CSV of mirt's coefficients, or JSON of py-irt's parameters.
        name: of the bank.
        description: of the bank.
        labels: lists of category labels, lowest first, each for the items with as many
            categories. Without: fail and pass of two, numbers of more.
        population: distribution of ability; that of the file when None, else standard normal.

    Standard errors of mirt become a covariance by the delta method, as if the parameters of an
    item were independent. Agents of py-irt become calibrants where the file has
    ``scale_ability``, which py-irt does not write and :func:`export_bank` does.

    Raises:
        BankError: naming the file, and the line or item.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "coef.csv"
    ...     _ = path.write_text('"","a1","d","g","u"\\n"i1",1.2,-0.6,0.2,1\\n"i2",0.8,0,0,1\\n')
    ...     bank = import_bank(path, name="demo")
    >>> [(i.id, i.model, i.slopes, i.intercepts, i.lower) for i in bank.items]
    [('i1', '3pl', (1.2,), (-0.6,), 0.2), ('i2', '2pl', (0.8,), (0.0,), 0.0)]
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise BankError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BankError(f"{path} is not UTF-8 text ({error}); save it as UTF-8") from None
    try:
        found = read_py_irt(text) if text.lstrip().startswith("{") else read_mirt(text)
        abilities = len(found.items[0].slopes)
        standard = Population((0.0,) * abilities, (1.0,) * abilities)
        scale = population or found.population or standard
        origin = "given" if population else "of the source" if found.population else "assumed"
        lists, items = _with_labels(found.items, labels)
        return ItemBank(
            name,
            items,
            lists,
            scale.mean,
            scale.sd,
            description,
            provenance={
                "program": f"cat-harness {version('cat-harness')}",
                "imported_from": f"parameters of {found.format}",
                "source": path.name,
                "source_sha256": hashlib.sha256(data).hexdigest(),
                "ability_distribution": origin,
            },
            correlation=scale.correlation,
            calibrants=found.calibrants,
        )
    except BankError as error:
        raise BankError(f"{path}: {error}") from None


def export_bank(bank: ItemBank, to: Format) -> str:
    """The parameters of a bank as text that another program, and :func:`import_bank`, can read.

    Neither format holds labels, costs, tasks or tags. mirt's holds standard errors, but not how
    they depend on each other; py-irt's holds no uncertainty of items.

    Raises:
        BankError: naming an item that the format cannot hold.

    >>> item = Item("i", "gpcm", (1.5,), (1.0, -0.5), categories="three")
    >>> print(export_bank(ItemBank("demo", (item,), {"three": ("low", "mid", "high")}), "mirt"))
    item,a1,ak0,ak1,ak2,d0,d1,d2
    i,1.5,0.0,1.0,2.0,0.0,1.0,0.5
    <BLANKLINE>
    """
    for item in bank.items:
        if item.effect_sd:
            raise BankError(
                f"item {item.id!r} has an agent × item effect (effect_sd {item.effect_sd:g}), "
                f"which {to} cannot hold; leave it out by effect_sd 0 in items.csv"
            )
    return mirt_text(bank) if to == "mirt" else py_irt_text(bank)


def _with_labels(
    items: Sequence[Item], labels: Sequence[Sequence[str]]
) -> tuple[dict[str, tuple[str, ...]], tuple[Item, ...]]:
    """Lists of labels by name, and the items that refer to them."""
    given = {len(one): tuple(one) for one in labels}
    sizes = sorted({len(item.intercepts) + 1 for item in items})
    if len(given) < len(labels):
        raise BankError("two lists of labels have the same length; give one for each length")
    for size, one in given.items():
        if size not in sizes:
            raise BankError(
                f"the labels {','.join(one)} are {size}, but no item has {size} categories; there "
                f"are items with {', '.join(map(str, sizes))}"
            )
    default = {k: tuple(map(str, range(k))) for k in sizes} | {2: ("fail", "pass")}
    lists = {k: given.get(k, default[k]) for k in sizes}
    names = {k: "binary" if lists[k] == ("fail", "pass") else f"ordinal-{k}" for k in sizes}
    named = (replace(item, categories=names[len(item.intercepts) + 1]) for item in items)
    return {names[k]: lists[k] for k in sizes}, tuple(named)
