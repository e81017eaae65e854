import tempfile
import unittest
from decimal import Decimal
from pathlib import Path

from weblog.summary import percentile, rounded, summarise


class Figures(unittest.TestCase):
    def test_nearest_rank(self):
        values = [Decimal(n) for n in range(1, 21)]
        self.assertEqual((percentile(values, 50), percentile(values, 95)), (10, 19))

    def test_halves_are_rounded_up(self):
        self.assertEqual(rounded(Decimal("12.25"), "0.1"), "12.3")


class Summarise(unittest.TestCase):
    def test_duplicates_and_rejected_lines(self):
        line = "2024-03-01T10:00:00Z api INFO request_id=1 status=200 ms=1\n"
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a.log").write_text(line)
            Path(folder, "a.log.1").write_text(line + "bad\n")
            summary = summarise(Path(folder))
        self.assertEqual(str(summary), "files 2, lines 3, requests 1, duplicates 1, rejected 1")


if __name__ == "__main__":
    unittest.main()
