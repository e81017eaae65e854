"""Run with: python3 -m unittest"""

import json
import unittest

from quotes.app import App
from quotes.http import Request, Response
from quotes.store import QuoteStore


class AppTest(unittest.TestCase):
    def setUp(self) -> None:
        self.app = App(QuoteStore())

    def post(self, document: object) -> Response:
        return self.app.handle(Request("POST", "/quotes", body=json.dumps(document).encode()))

    def test_health(self) -> None:
        self.assertEqual(self.app.handle(Request("GET", "/health")).status, 200)

    def test_add_and_show(self) -> None:
        added = self.post({"author": "Ada", "text": "Poetical science."})
        self.assertEqual(added.status, 201)
        shown = self.app.handle(Request("GET", "/quotes/1"))
        self.assertEqual(
            json.loads(shown.body), {"id": 1, "author": "Ada", "text": "Poetical science."}
        )

    def test_bad_quotes(self) -> None:
        self.assertEqual(self.post([]).status, 400)
        self.assertEqual(self.post({"author": "Ada"}).status, 400)

    def test_unknown_paths(self) -> None:
        self.assertEqual(self.app.handle(Request("GET", "/quotes/7")).status, 404)
        self.assertEqual(self.app.handle(Request("GET", "/nothing")).status, 404)
        self.assertEqual(self.app.handle(Request("PUT", "/quotes")).status, 405)


if __name__ == "__main__":
    unittest.main()
