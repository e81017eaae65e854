"""How the parts of a selector are written in the text of a plan."""

import json
import re

_BARE = re.compile(r"[A-Za-z_][\w.:@+-]*")


def number(value: float) -> str:
    """A number, exactly.

    >>> number(1.0), number(0.3), number(-2)
    ('1', '0.3', '-2')
    """
    return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def numbers(values: tuple[float, ...]) -> str:
    """Numbers in parentheses, nothing for none.

    >>> numbers((1.0, 0.5)), numbers(())
    ('(1, 0.5)', '')
    """
    return f"({', '.join(map(number, values))})" if values else ""


def quoted(name: str) -> str:
    """The name of an item or a tag: bare where it can be, else in double quotes as in JSON.

    >>> quoted("fix-git"), quoted("two words")
    ('fix-git', '"two words"')
    """
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def theta(ability: int) -> str:
    """An ability, counted from 1.

    >>> theta(1), theta(2)
    ('theta', 'theta2')
    """
    return "theta" if ability == 1 else f"theta{ability}"
