import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from contacts.clean import tidy


class Tidy(unittest.TestCase):
    def test_white_space(self):
        self.assertEqual(tidy("  Ann \t Lee "), "Ann Lee")


class Clean(unittest.TestCase):
    def test_drops_empty_rows_and_keeps_the_columns(self):
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.csv"), Path(folder, "out.csv")
            source.write_text("name,email\n Ann  Lee ,a@example.org\n , \n", encoding="utf-8")
            done = subprocess.run(
                [sys.executable, "-m", "contacts", "clean", str(source), str(target)],
                capture_output=True,
                text=True,
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr, "read 2 rows, wrote 1 rows\n")
            self.assertEqual(
                target.read_text(encoding="utf-8"), "name,email\nAnn Lee,a@example.org\n"
            )


if __name__ == "__main__":
    unittest.main()
