"""The routes of the service."""

import json
import math
from dataclasses import replace
from typing import Any

from quotes.http import Request, Response, error, json_response
from quotes.ratelimit import Decision, RateLimiter
from quotes.store import QuoteStore


class App:
    """Answers requests; knows nothing about sockets."""

    def __init__(self, store: QuoteStore, limiter: RateLimiter | None = None) -> None:
        self.store = store
        self.limiter = limiter

    def handle(self, request: Request) -> Response:
        path = request.path.split("?", 1)[0]
        if path == "/health":
            return json_response(200, {"status": "ok"})
        if self.limiter is None:
            return self._route(request, path)
        decision = self.limiter.check(client_key(request))
        response = self._route(request, path) if decision.allowed else too_many(decision)
        limits = {
            "X-RateLimit-Limit": str(decision.limit),
            "X-RateLimit-Remaining": str(decision.remaining if decision.allowed else 0),
        }
        return replace(response, headers=response.headers | limits)

    def _route(self, request: Request, path: str) -> Response:
        if path == "/quotes":
            if request.method == "GET":
                return json_response(200, [quote.as_json() for quote in self.store.all()])
            if request.method == "POST":
                return self._add(request)
            return error(405, "method not allowed")
        if path.startswith("/quotes/"):
            return self._show(path.removeprefix("/quotes/"))
        return error(404, "not found")

    def _add(self, request: Request) -> Response:
        try:
            document: Any = json.loads(request.body)
        except ValueError:
            return error(400, "the body is not JSON")
        if not isinstance(document, dict):
            return error(400, "the body must be an object")
        author, text = document.get("author"), document.get("text")
        if not (isinstance(author, str) and author and isinstance(text, str) and text):
            return error(400, "author and text must be non-empty strings")
        return json_response(201, self.store.add(author, text).as_json())

    def _show(self, number: str) -> Response:
        quote = self.store.get(int(number)) if number.isdecimal() else None
        if quote is None:
            return error(404, "no such quote")
        return json_response(200, quote.as_json())


def client_key(request: Request) -> str:
    """Whose bucket a request is taken from: the API key if there is one, else the address."""
    api_key = (request.header("X-Api-Key") or "").strip()
    return f"key:{api_key}" if api_key else f"addr:{request.client}"


def too_many(decision: Decision) -> Response:
    seconds = max(1, math.ceil(decision.retry_after))
    response = json_response(429, {"error": "rate limit exceeded", "retry_after": seconds})
    return replace(response, headers=response.headers | {"Retry-After": str(seconds)})
