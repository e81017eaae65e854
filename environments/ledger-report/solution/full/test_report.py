import unittest

from ledger.money import as_text, iso_day, to_cents
from ledger.report import Calendar, RangeError, read_month


class Money(unittest.TestCase):
    def test_cents(self):
        self.assertEqual([to_cents(x) for x in (2.675, -1.005, 19.99)], [268, -101, 1999])
        self.assertEqual([as_text(x) for x in (-5, 0, 123450)], ["-0.05", "0.00", "1234.50"])

    def test_days(self):
        self.assertEqual(iso_day("5.1.2024"), "2024-01-05")
        self.assertIsNone(iso_day("30.02.2024"))


class Periods(unittest.TestCase):
    def test_financial_quarters(self):
        calendar = Calendar(3, 4)
        starts = calendar.periods(read_month("2024-01"), read_month("2024-06"))
        self.assertEqual([calendar.label(month) for month in starts], ["2023-Q4", "2024-Q1"])
        with self.assertRaises(RangeError):
            calendar.periods(read_month("2024-02"), read_month("2024-06"))


if __name__ == "__main__":
    unittest.main()
