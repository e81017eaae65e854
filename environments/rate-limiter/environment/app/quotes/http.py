"""Requests and responses, independent of any server."""

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """One request. `headers` has the names as the client spelled them; `client` is its address."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = "127.0.0.1"

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name; None if it was not sent."""
        for sent, value in self.headers.items():
            if sent.lower() == name.lower():
                return value
        return None


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def json_response(status: int, value: object) -> Response:
    body = json.dumps(value, sort_keys=True).encode() + b"\n"
    return Response(status, body, {"Content-Type": "application/json"})


def error(status: int, message: str) -> Response:
    return json_response(status, {"error": message})
