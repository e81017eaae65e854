import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from weblog.parse import parse_line


class ParseLine(unittest.TestCase):
    def test_fields(self):
        event = parse_line('2024-03-01T10:00:00Z api INFO path="/a b\\"c" status=200')
        self.assertEqual(event.service, "api")
        self.assertEqual(event.fields, {"path": '/a b"c', "status": "200"})

    def test_not_an_event(self):
        for line in ("", "  File x", "yesterday api INFO", "2024-03-01T10:00:00Z api LOUD a=1"):
            self.assertIsNone(parse_line(line))


class Count(unittest.TestCase):
    def test_levels(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a.log").write_text("2024-03-01T10:00:00Z api INFO status=200\n")
            Path(folder, "b.log").write_text("2024-03-01T10:00:00Z api ERROR\n  trace\n")
            Path(folder, "a.log.1").write_text("2024-03-01T10:00:00Z api INFO\n")
            done = subprocess.run(
                [sys.executable, "-m", "weblog", "count", folder], capture_output=True, text=True
            )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "DEBUG 0\nINFO 1\nWARNING 0\nERROR 1\n")


if __name__ == "__main__":
    unittest.main()
