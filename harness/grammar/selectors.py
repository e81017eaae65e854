"""Selectors read back from their text."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import NoReturn, TypeVar

from harness.catsim_adapter import catsim_selector
from harness.errors import PlanError
from harness.select import (
    Apart,
    AtMost,
    Audit,
    Balance,
    DecideAbility,
    DecideScore,
    Exclude,
    Fixed,
    KullbackLeibler,
    MaxInformation,
    MinExpectedVariance,
    MutualInformation,
    Optimal,
    PerCost,
    PosteriorInformation,
    Progressive,
    Random,
    Randomesque,
    ScoreVariance,
    Selector,
    SympsonHetter,
    Window,
)

FORMS: Mapping[str, str] = {
    "random": "random",
    "fixed": "fixed or fixed(ID, ID)",
    "window": "window(0.3, 0.7)",
    "max-information": "max-information, or max-information(0.3) for that at ability 0.3",
    "posterior-information": "posterior-information",
    "kl": "kl",
    "posterior-kl": "posterior-kl",
    "mutual-information": "mutual-information",
    "min-variance": "min-variance, or min-variance(1, 0) with a weight for each ability",
    "d-optimal": "d-optimal, or d-optimal(1, 0) with a weight for each ability",
    "a-optimal": "a-optimal, or a-optimal(1, 0) with a weight for each ability",
    "t-optimal": "t-optimal, or t-optimal(1, 0) with a weight for each ability",
    "bayes-d-optimal": "bayes-d-optimal, or bayes-d-optimal(1, 0) with a weight for each ability",
    "bayes-a-optimal": "bayes-a-optimal, or bayes-a-optimal(1, 0) with a weight for each ability",
    "bayes-t-optimal": "bayes-t-optimal, or bayes-t-optimal(1, 0) with a weight for each ability",
    "score-variance": "score-variance",
    "decide": "decide(score>0.5) or decide(theta>0.3), theta2 for the second ability",
    "apart": "apart(MEAN, SD), with theta2 as a third for the second ability",
    "balance": "balance(SELECTOR, TAG=0.3, TAG=0.7)",
    "at-most": "at-most(SELECTOR, TAG=3), or at-most(SELECTOR, 3) for every tag",
    "exclude": "exclude(SELECTOR, ID, TAG)",
    "randomesque": "randomesque(SELECTOR, 5)",
    "progressive": "progressive(SELECTOR, LENGTH)",
    "sympson-hetter": "sympson-hetter(SELECTOR, RATE, LENGTH)",
    "audit": "audit(SELECTOR, 0.1)",
}
"""How each selector is written, by name."""

_NAME = re.compile(r"[\w-]+")
_THETA = re.compile(r"theta([1-9]\d*)?")
_T = TypeVar("_T")


def parse_selector(text: str) -> Selector:
    """A selector from its text, the inverse of ``str()``.

    Raises:
        PlanError: for a text that is none; the message says what can be written.

    >>> parse_selector("min-variance/seconds")
    PerCost(inner=MinExpectedVariance(weights=()), unit='seconds')
    >>> str(parse_selector("balance(audit(score-variance/usd, .1), git=0.3, web=0.7)"))
    'balance(audit(score-variance/usd, 0.1), git=0.3, web=0.7)'
    """
    text = text.strip()
    *front, unit = _split(text, "/")
    if not front:
        return _selector(text)
    if len(front) > 1:
        raise PlanError(f"{text!r}: one cost unit is enough, usd or seconds")
    body = front[0]
    if body.startswith("catsim:"):
        raise PlanError(
            f"{text!r}: catsim names one item and no gains, so nothing can be put in "
            f"relation to cost; select without /{unit} or use min-variance/{unit}"
        )
    match unit:
        case "usd" | "seconds":
            return PerCost(_selector(body), unit)
        case _:
            raise PlanError(f"{text!r}: a cost unit is usd or seconds, not {unit!r}")


def _selector(text: str) -> Selector:
    """A selector without a unit of cost."""
    if text.startswith("catsim:"):
        return catsim_selector(text.removeprefix("catsim:"))
    named = _NAME.match(text)
    name, rest = (named[0], text[named.end() :].strip()) if named else ("", text)
    if name not in FORMS:
        raise PlanError(
            f"unknown selector {text!r}; use one of {', '.join(FORMS)} or catsim:NAME, optionally "
            "per unit of cost as in min-variance/usd"
        )
    arguments: list[str] = []
    if rest:
        if rest[0] != "(" or rest[-1] != ")":
            _refuse(text, name)
        arguments = _split(rest[1:-1], ",")
        if not all(arguments):
            _refuse(text, name)
    try:
        return _build(name, arguments)
    except ValueError:
        _refuse(text, name)


def _build(name: str, arguments: list[str]) -> Selector:
    """The selector of a known name; ValueError where it does not take such arguments."""
    match name, arguments:
        case "random", []:
            return Random()
        case "fixed", ids:
            return Fixed(tuple(map(_name, ids)))
        case "window", [low, high]:
            return Window(_number(low), _number(high))
        case "max-information", at:
            return MaxInformation(_numbers(at))
        case "posterior-information", []:
            return PosteriorInformation()
        case "kl" | "posterior-kl", []:
            return KullbackLeibler(posterior=name == "posterior-kl")
        case "mutual-information", []:
            return MutualInformation()
        case "min-variance", weights:
            return MinExpectedVariance(_numbers(weights))
        case "d-optimal" | "bayes-d-optimal", weights:
            return Optimal("d", _numbers(weights), bayesian=name.startswith("bayes-"))
        case "a-optimal" | "bayes-a-optimal", weights:
            return Optimal("a", _numbers(weights), bayesian=name.startswith("bayes-"))
        case "t-optimal" | "bayes-t-optimal", weights:
            return Optimal("t", _numbers(weights), bayesian=name.startswith("bayes-"))
        case "score-variance", []:
            return ScoreVariance()
        case "decide", [question]:
            left, _, cut = question.rpartition(">")
            if left.strip() in ("", "score"):
                return DecideScore(_number(cut))
            return DecideAbility(_number(cut), _ability(left))
        case "apart", [mean, sd, *which] if len(which) <= 1:
            return Apart(_number(mean), _number(sd), _ability(which[0]) if which else 1)
        case "balance", [inner, *shares]:
            return Balance(parse_selector(inner), _keyed(shares, _number))
        case "at-most", [inner, limit] if "=" not in limit:
            return AtMost(parse_selector(inner), _whole(limit))
        case "at-most", [inner, *limits]:
            return AtMost(parse_selector(inner), _keyed(limits, _whole))
        case "exclude", [inner, *names]:
            return Exclude(parse_selector(inner), tuple(map(_name, names)))
        case "randomesque", [inner, size]:
            return Randomesque(parse_selector(inner), _whole(size))
        case "progressive", [inner, length]:
            return Progressive(parse_selector(inner), _whole(length))
        case "sympson-hetter", [inner, rate, length]:
            return SympsonHetter(parse_selector(inner), _number(rate), _whole(length))
        case "audit", [inner, share]:
            return Audit(parse_selector(inner), _number(share))
        case _:
            raise ValueError(arguments)


def _refuse(text: str, name: str) -> NoReturn:
    raise PlanError(f"selector {text!r} cannot be read; write {FORMS[name]}") from None


def _split(text: str, at: str) -> list[str]:
    """Parts of a text between separators that stand outside of parentheses, brackets and quotes.

    >>> _split('fixed(a, b)/usd, "x, y"', ",")
    ['fixed(a, b)/usd', '"x, y"']
    """
    cuts = [-1, *_outside(text, at), len(text)]
    return [text[a + 1 : b].strip() for a, b in pairwise(cuts)]


def _outside(text: str, at: str) -> Iterator[int]:
    depth, quote, escaped = 0, "", False
    for position, character in enumerate(text):
        if quote:
            if not escaped and character == quote:
                quote = ""
            escaped = character == "\\" and not escaped
        elif character in "\"'":
            quote = character
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == at and not depth:
            yield position


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _numbers(texts: list[str]) -> tuple[float, ...]:
    return tuple(map(_number, texts))


def _whole(text: str) -> int:
    return int(text)


def _ability(text: str) -> int:
    found = _THETA.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    return int(found[1] or 1)


def _name(text: str) -> str:
    """The name of an item or tag, in double quotes where it holds more than plain characters."""
    if text.startswith('"'):
        value = json.loads(text)
        if isinstance(value, str):
            return value
    if re.search(r'[\s"()=,]', text):
        raise ValueError(text)
    return text


def _keyed(texts: list[str], read: Callable[[str], _T]) -> tuple[tuple[str, _T], ...]:
    pairs = []
    for text in texts:
        tag, separator, value = text.rpartition("=")
        if not separator:
            raise ValueError(text)
        pairs.append((_name(tag.strip()), read(value.strip())))
    return tuple(pairs)
