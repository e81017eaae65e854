"""Numbers and strangers' text in words fit for a terminal and a page."""

import re
import unicodedata
from collections.abc import Sequence

from harness.report.summary import SessionSummary, State
from harness.stop import predicted_words

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])|\x9b[0-?]*[ -/]*[@-~]"
)
_SLACK = 10_000
"""Characters looked at beyond a limit, in case they vanish as escape sequences."""

STATES: dict[State, str] = {
    "precise": "Precision reached",
    "doubtful": "Precision not to be trusted",
    "limit": "Limit reached",
    "exhausted": "No item left",
    "voids": "Too many voids",
    "running": "Still running",
    "interrupted": "Interrupted",
}


def printable(text: str, limit: int = 200, *, lines: bool = False) -> str:
    """Text written by others, made harmless to show.

    Terminal escape sequences go; control, direction and other invisible characters are
    replaced by a visible mark, so that nothing reads differently from what it is. What is
    longer than ``limit`` characters is cut, and says so.

    Args:
        lines: keep line ends instead of folding all white space.

    >>> printable("\\x1b[31mred\\x1b[0m\\nalert")
    'red alert'
    >>> printable("abcdef", limit=4)
    'abcd… (2 more characters)'
    """
    head = _ESCAPE_SEQUENCE.sub("", text[: limit + _SLACK])
    head = head.replace("\r\n", "\n").replace("\t", "    ")
    head = head.strip("\n") if lines else " ".join(head.split())
    hidden = len(head) - limit + max(len(text) - limit - _SLACK, 0)
    shown = "".join(_visible(c) for c in head[:limit])
    return f"{shown}… ({hidden:,} more characters)" if hidden > 0 else shown


def _visible(character: str) -> str:
    if character == "\n" or unicodedata.category(character)[0] != "C":
        return character
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"


def decimal(number: float) -> str:
    """Two decimals, without a negative zero.

    >>> decimal(-0.001), decimal(1.0)
    ('0.00', '1.00')
    """
    text = f"{number:.2f}"
    return text.removeprefix("-") if float(text) == 0 else text


def percent(share: float) -> str:
    """A share in whole percent; one decimal where that would look like certainty.

    >>> percent(0.634), percent(0.998), percent(1.0)
    ('63%', '99.8%', '100%')
    """
    rounded = f"{100 * share:.0f}%"
    if rounded in ("0%", "100%") and share not in (0.0, 1.0):
        return f"{100 * share:.1f}%"
    return rounded


def money(usd: float) -> str:
    """Dollars and cents; a positive amount is never shown as nothing.

    >>> money(0.0), money(0.001), money(1234.5)
    ('$0.00', '<$0.01', '$1,234.50')
    """
    return "<$0.01" if 0 < usd < 0.005 else f"${usd:,.2f}"


def duration(seconds: float) -> str:
    """Seconds in the two largest units that apply.

    >>> duration(14.2), duration(200), duration(7500)
    ('14 s', '3 min 20 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "void"), count(2, "void")
    ('1 void', '2 voids')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def sentence(text: str) -> str:
    """With a capital letter at its start, the rest as it is.

    >>> sentence("keep GPT-5")
    'Keep GPT-5'
    """
    return text[:1].upper() + text[1:]


def minus(text: str) -> str:
    """With real minus signs before numbers; hyphens in names stay.

    >>> minus("slope -0.3 of django-11790")
    'slope −0.3 of django-11790'
    """
    return re.sub(r"(?<![^\s(])-(?=\d)", "−", text)


def ability_names(dimensions: int) -> tuple[str, ...]:
    """θ, or θ1, θ2, … where there are several abilities."""
    return ("θ",) if dimensions == 1 else tuple(f"θ{d + 1}" for d in range(dimensions))


def abilities(values: Sequence[float]) -> str:
    """Abilities by name.

    >>> abilities((0.61,)), abilities((0.6, -1.0))
    ('θ 0.61', 'θ1 0.60, θ2 -1.00')
    """
    names = ability_names(len(values))
    return ", ".join(f"{n} {decimal(v)}" for n, v in zip(names, values, strict=True))


def rests_on(summary: SessionSummary) -> str:
    """How much of a session rests on predicted items; empty where none of the bank is."""
    if not summary.predicted_items:
        return ""
    answered = len(summary.items)
    return predicted_words(summary.predicted_share, summary.predicted_answers, answered)


def void_effect(summary: SessionSummary) -> str:
    """What the open voids could change, or an empty string where there are none.

    For example: θ 0.61; 0.38 if both voids were failures.
    """
    effect = summary.if_voids_failed
    if effect is None:
        return ""
    match len(effect.items):
        case 1:
            condition = "if the void were a failure"
        case 2:
            condition = "if both voids were failures"
        case n:
            condition = f"if all {n} voids were failures"
    now = abilities(summary.ability)
    then = abilities(effect.ability) if len(effect.ability) > 1 else decimal(effect.ability[0])
    score = f"predicted score {percent(summary.score.mean)}; {percent(effect.score)} then"
    return f"{now}; {then} {condition} ({score})"
