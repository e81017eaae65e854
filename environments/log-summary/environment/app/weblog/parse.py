"""One log line: `TIME SERVICE LEVEL key=value key="a quoted value" ...`."""

import re
from dataclasses import dataclass
from datetime import datetime

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S+)')


@dataclass(frozen=True)
class Event:
    """A parsed line; `fields` has the values as they were written, without quotes."""

    time: datetime
    service: str
    level: str
    fields: dict[str, str]


def parse_line(line: str) -> Event | None:
    """The event on a line, or None if the line does not begin with a time, service and level."""
    head = line.split(maxsplit=3)
    if len(head) < 3 or head[2] not in LEVELS:
        return None
    try:
        time = datetime.fromisoformat(head[0])
    except ValueError:
        return None
    pairs = PAIR.findall(head[3]) if len(head) == 4 else []
    return Event(time, head[1], head[2], {key: unquoted(value) for key, value in pairs})


def unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value
