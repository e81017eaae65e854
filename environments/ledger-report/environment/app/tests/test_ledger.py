import subprocess
import sys
import tempfile
import unittest
from pathlib import Path


class Commands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.db = Path(folder.name, "books.db")

    def ledger(self, command, *arguments, status=0):
        done = subprocess.run(
            [sys.executable, "-m", "ledger", command, str(self.db), *arguments],
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout

    def test_post_and_balance(self):
        self.ledger("init")
        self.ledger("account", "1000", "Cash", "asset")
        self.ledger("account", "4000", "Sales", "income")
        self.ledger("post", "--day", "2024-01-05", "1000=12.50", "4000=-12.50")
        self.ledger("post", "--day", "2024-01-06", "--batch", "b1", "1000=0.10", "4000=-0.10")
        self.assertEqual(self.ledger("balance", "1000"), "12.60\n")
        self.assertEqual(self.ledger("balance", "4000"), "-12.60\n")

    def test_what_is_refused(self):
        self.ledger("init")
        self.ledger("init", status=1)
        self.ledger("account", "1000", "Cash", "asset")
        self.ledger("account", "1000", "Cash", "asset", status=1)
        self.ledger("account", "2000", "Cash", "money", status=1)
        self.ledger("post", "--day", "2024-01-05", "1000=1", "1000=-2", status=1)
        self.ledger("post", "--day", "2024-01-05", "1000=1", "9999=-1", status=1)
        self.ledger("balance", "9999", status=1)


if __name__ == "__main__":
    unittest.main()
