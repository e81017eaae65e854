"""Groups of items that tell less than the others, as a section of a page."""

from harness.health.items.item_groups import ItemGroups
from harness.report.sections import Grid, Section, Text
from harness.report.wording import count, percent

_TITLE = "Kinds of items"


def item_groups_section(found: ItemGroups) -> Section:
    """Which graders, topics or other groups of items tell less than the rest."""
    n = len(found.groups)
    bad = len(found.flags)
    return Section(
        _TITLE,
        f"Of {count(n, 'group')} of items, {bad} {'tells' if bad == 1 else 'tell'} clearly less of "
        "ability than the others."
        if bad
        else f"None of {count(n, 'group')} of items tells clearly less of ability than the others.",
        found.flags,
        (
            Grid(
                ("attribute", "value", "items", "mean slope, of the others'", "90%", "p"),
                tuple(
                    (
                        group.attribute,
                        group.value,
                        str(len(group.items)),
                        percent(group.ratio) if group.ratio == group.ratio else "–",
                        f"{group.low:.0%} to {group.high:.0%}".replace("-", "−")
                        if group.low == group.low
                        else "–",
                        f"{group.p:.2g}",
                    )
                    for group in found.groups
                ),
                words=(1,),
                shown=8,
            ),
            Text(
                "p is the share of random groups of as many items with as low a mean slope; flags "
                "are adjusted for the number of groups.",
                hint=True,
            ),
        ),
        key="kinds",
    )
