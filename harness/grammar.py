"""The text of a plan: selectors, estimators and stopping rules read back from ``str()``."""

import math
import re

from harness.catsim_adapter import catsim_estimator, catsim_selector, catsim_stopper
from harness.errors import PlanError
from harness.select import (
    Estimator,
    MaxInformation,
    MinExpectedVariance,
    PerCost,
    Random,
    Selector,
)
from harness.stop import Exhausted, MaxCost, MaxItems, MaxSeconds, Rule, SdBelow, all_of, any_of


def parse_selector(text: str) -> Selector:
    """A selector from its text, the inverse of ``str()``.

    Raises:
        PlanError: for an unknown name; the message lists the known ones.

    >>> parse_selector("min-variance/seconds")
    PerCost(inner=MinExpectedVariance(), unit='seconds')
    """
    name, _, unit = text.strip().partition("/")
    selector: Selector
    match name:
        case "random":
            selector = Random()
        case "max-information":
            selector = MaxInformation()
        case "min-variance":
            selector = MinExpectedVariance()
        case _ if name.startswith("catsim:"):
            if unit:
                raise PlanError(
                    f"{text!r}: catsim names one item and no gains, so nothing can be put in "
                    f"relation to cost; select without /{unit} or use min-variance/{unit}"
                )
            selector = catsim_selector(name.removeprefix("catsim:"))
        case _:
            raise PlanError(
                f"unknown selector {text!r}; use random, max-information, min-variance or "
                "catsim:NAME, optionally per unit of cost as in min-variance/usd"
            )
    match unit:
        case "":
            return selector
        case "usd" | "seconds":
            return PerCost(selector, unit)
        case _:
            raise PlanError(f"{text!r}: a cost unit is usd or seconds, not {unit!r}")


def parse_estimator(text: str) -> Estimator:
    """An estimator from its text.

    Raises:
        PlanError: for an unknown name.
    """
    match text:
        case "eap" | "map":
            return text
        case _ if text.startswith("catsim:"):
            return catsim_estimator(text.removeprefix("catsim:"))
        case _:
            raise PlanError(f"unknown estimator {text!r}; use eap, map or catsim:NAME")


_TOKEN = re.compile(
    r"\s*(\(|\)|and\b|or\b|catsim:\w+(?:\([^()]*\))?|exhausted\b|\w+\s*(?:<|>=)\s*[\d.eE+-]+)"
)


def parse_stop(text: str) -> Rule:
    """A rule from its text: comparisons joined by ``and`` / ``or``, with parentheses.

    Raises:
        PlanError: the text is not a rule.

    >>> parse_stop("sd<0.3 and items>=5 or usd>=2")
    AnyOf(rules=(AllOf(rules=(SdBelow(bound=0.3), MaxItems(limit=5))), MaxCost(usd=2.0)))
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
            return _comparison(token, text), rest
        case _:
            raise _unreadable(text, "its end")


def _comparison(token: str, text: str) -> Rule:
    match = re.fullmatch(r"(\w+)\s*(<|>=)\s*(.+)", token)
    try:
        number = float(match[3]) if match else float("nan")
    except ValueError:
        number = float("nan")
    if match is None or not number > 0 or not math.isfinite(number):
        raise _unreadable(text, token)
    match match[1], match[2]:
        case "sd", "<":
            return SdBelow(number)
        case "items", ">=" if number == int(number):
            return MaxItems(int(number))
        case "usd" | "cost", ">=":
            return MaxCost(number)
        case "seconds", ">=":
            return MaxSeconds(number)
        case _:
            raise _unreadable(text, token)


def _unreadable(text: str, where: str) -> PlanError:
    return PlanError(
        f"stopping rule {text!r} cannot be read at {where!r}; write comparisons such as sd<0.3, "
        "items>=30, usd>=5, seconds>=3600 or catsim:NAME, joined by 'and' / 'or', with positive "
        "numbers"
    )
