"""`python3 -m booking [STORE]`: requests as JSON lines on stdin, replies as JSON lines on stdout."""

import json
import sys
from pathlib import Path

from booking.api import handle
from booking.store import Store


def main(arguments: list[str]) -> int:
    store = Store(Path(arguments[0]) if arguments else None)
    for line in sys.stdin:
        if not line.strip():
            continue
        request = json.loads(line)
        status, body = handle(store, request["method"], request["path"], request.get("body"))
        print(json.dumps({"status": status, "body": body}), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
