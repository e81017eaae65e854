"""Stopping rules read back from their text."""

import math
import re

from harness.catsim_adapter import catsim_stopper
from harness.errors import PlanError
from harness.stop import (
    Decided,
    Exhausted,
    GainBelow,
    HalfWidth,
    MaxCost,
    MaxItems,
    MaxSeconds,
    Plateau,
    Rule,
    SdBelow,
    Sprt,
    ToldApart,
    all_of,
    any_of,
)

_TOKEN = re.compile(
    r"\s*(\(|\)|and\b|or\b|catsim:\w+(?:\([^()]*\))?|exhausted\b"
    r"|(?:decided|sprt|apart|plateau)\s*\([^()]*\)"
    r"|[\w-]+(?:\s*\([^()]*\))?(?:\s*/\s*\w+)?\s*(?:<|>=)\s*[\d.eE+-]+)"
)
_COMPARISON = re.compile(r"([\w-]+)(?:\((\w[\w.]*)\))?(?:/(\w+))?(<|>=)(.+)")
_ABILITY = re.compile(r"theta([1-3]?)")


def parse_stop(text: str) -> Rule:
    """A rule from its text: conditions joined by ``and`` / ``or``, with parentheses.

    Raises:
        PlanError: the text is not a rule.

    >>> parse_stop("sd<0.3 and items>=5 or usd>=2")
    AnyOf(rules=(AllOf(rules=(SdBelow(bound=0.3), MaxItems(limit=5))), MaxCost(usd=2.0)))
    >>> parse_stop("decided(score>0.5, 0.1)")
    Decided(quantity='score', cut=0.5, alpha=0.1, ability=1)
    """
    tokens: list[str] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text, text[position:].strip())
        tokens.append(match[1])
        position = match.end()
    rule, rest = _parse_or(tokens, text)
    if rest:
        raise _unreadable(text, rest[0])
    return rule


def _parse_or(tokens: list[str], text: str) -> tuple[Rule, list[str]]:
    rule, tokens = _parse_and(tokens, text)
    rules = [rule]
    while tokens[:1] == ["or"]:
        rule, tokens = _parse_and(tokens[1:], text)
        rules.append(rule)
    return any_of(*rules), tokens


def _parse_and(tokens: list[str], text: str) -> tuple[Rule, list[str]]:
    rule, tokens = _parse_one(tokens, text)
    rules = [rule]
    while tokens[:1] == ["and"]:
        rule, tokens = _parse_one(tokens[1:], text)
        rules.append(rule)
    return all_of(*rules), tokens


def _parse_one(tokens: list[str], text: str) -> tuple[Rule, list[str]]:
    match tokens:
        case ["(", *inside]:
            rule, rest = _parse_or(inside, text)
            if rest[:1] != [")"]:
                raise _unreadable(text, "a missing )")
            return rule, rest[1:]
        case ["exhausted", *rest]:
            return Exhausted(), rest
        case [token, *rest] if token.startswith("catsim:"):
            return catsim_stopper(token.removeprefix("catsim:")), rest
        case [token, *rest]:
            condition = _condition("".join(token.split()))
            if condition is None:
                raise _unreadable(text, token)
            return condition, rest
        case _:
            raise _unreadable(text, "its end")


def _condition(token: str) -> Rule | None:
    """The rule of a token without spaces; None where it is none."""
    name, bracket, inside = token.partition("(")
    if token.endswith(")"):
        return _call(name, inside[:-1].split(",")) if bracket else None
    match = _COMPARISON.fullmatch(token)
    bound = _number(match[5]) if match else None
    if match is None or bound is None or bound <= 0:
        return None
    return _comparison(match[1], match[2], match[3], match[4], bound)


def _comparison(
    name: str, argument: str | None, unit: str | None, sign: str, bound: float
) -> Rule | None:
    match name, argument, unit, sign:
        case "sd", None, None, "<":
            return SdBelow(bound)
        case "items", None, None, ">=" if bound == int(bound):
            return MaxItems(int(bound))
        case "usd" | "cost", None, None, ">=":
            return MaxCost(bound)
        case "seconds", None, None, ">=":
            return MaxSeconds(bound)
        case "half-width", None, None, "<":
            return HalfWidth(bound)
        case "half-width", str(level), None, "<" if (number := _number(level)) is not None:
            return HalfWidth(bound, number)
        case "gain", None | "score" | "theta", None | "usd" | "seconds", "<":
            return GainBelow(bound, "theta" if argument == "theta" else "score", unit)
        case _:
            return None


def _call(name: str, arguments: list[str]) -> Rule | None:
    match name, arguments:
        case "decided", [claim, *rest] if len(rest) <= 1:
            quantity, _, cut = claim.partition(">")
            numbers = _numbers([cut, *rest])
            if numbers is None:
                return None
            if quantity == "score":
                return Decided("score", *numbers)
            ability = _ability(quantity)
            return None if ability is None else Decided("theta", *numbers, ability=ability)
        case "sprt", [_, _, *rest] if len(rest) <= 2:
            numbers = _numbers(arguments)
            return None if numbers is None else Sprt(*numbers)
        case "apart", [*rest, last] if (ability := _ability(last)) is not None:
            return _apart(rest, ability)
        case "apart", _:
            return _apart(arguments, 1)
        case "plateau", [_, last] if last.isdecimal() and int(last) > 0:
            numbers = _numbers(arguments[:1])
            return Plateau(numbers[0], int(last)) if numbers and numbers[0] > 0 else None
        case _:
            return None


def _apart(arguments: list[str], ability: int) -> Rule | None:
    numbers = _numbers(arguments)
    if numbers is None or len(numbers) not in (2, 3):
        return None
    return ToldApart(*numbers, ability=ability)


def _ability(name: str) -> int | None:
    """Which ability a name such as ``theta2`` is of, counted from 1."""
    match = _ABILITY.fullmatch(name)
    return None if match is None else int(match[1] or 1)


def _numbers(texts: list[str]) -> list[float] | None:
    numbers = [number for text in texts if (number := _number(text)) is not None]
    return numbers if len(numbers) == len(texts) else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _unreadable(text: str, where: str) -> PlanError:
    return PlanError(
        f"stopping rule {text!r} cannot be read at {where!r}; write conditions such as sd<0.3, "
        "half-width<0.05, decided(score>0.5), sprt(-0.2, 0.2), apart(0.3, 0.2), "
        "plateau(0.05, 5), gain/usd<0.001, items>=30, usd>=5, seconds>=3600 or catsim:NAME, "
        "joined by 'and' / 'or', with positive numbers for bounds"
    )
