"""Run with: python3 -m unittest"""

import contextlib
import io
import tempfile
import unittest
from decimal import Decimal
from pathlib import Path

from invoicer.__main__ import main
from invoicer.model import load_invoice
from invoicer.money import InvoiceError, round_money

DATA = Path(__file__).parent.parent / "data"
SHOWN = """\
Invoice 2025-001
Customer: Acme Ltd
------------------------------------------------------------
Workshop day  2 x 850.00                             1700.00
Printed handout  25 x 3.15                             78.75
Returned handout  -3 x 3.15                            -9.45
------------------------------------------------------------
Subtotal EUR                                         1769.30
"""


class ShowTest(unittest.TestCase):
    def test_show(self) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = main(["show", str(DATA / "2025-001.json")])
        self.assertEqual((status, out.getvalue()), (0, SHOWN))

    def test_errors_name_the_place(self) -> None:
        line = {"description": "Pen", "quantity": "two", "unit_price": 1}
        with self.assertRaisesRegex(InvoiceError, r"^lines\[0\]\.quantity: "):
            load_invoice({"number": "1", "customer": "Acme", "lines": [line]})

    def test_a_bad_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(main(["show", str(Path(folder) / "absent.json")]), 2)

    def test_halves_go_away_from_zero(self) -> None:
        self.assertEqual(round_money(Decimal("0.125")), Decimal("0.13"))
        self.assertEqual(round_money(Decimal("-0.125")), Decimal("-0.13"))


if __name__ == "__main__":
    unittest.main()
