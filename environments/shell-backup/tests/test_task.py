"""Hidden tests of shell-backup: the retention rule, and what must not change."""

import os
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path

SCRIPT = "/app/backup.sh"


def stamp(day: int, hour: int = 0) -> str:
    return f"202501{day:02d}T{hour:02d}0000Z"


class BackupCase(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        self.dest = self.scratch / "dest"
        self.dest.mkdir()

    def run_backup(self, *args: object, now: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", SCRIPT, *map(str, args)],
            cwd=self.scratch,
            env={**os.environ, "BACKUP_NOW": now},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=8,
        )

    def archives(self, name: str, *stamps: str) -> list[str]:
        names = [f"{name}-{each}.tar.gz" for each in stamps]
        for each in names:
            (self.dest / each).write_bytes(b"archive")
        return names

    def left(self) -> list[str]:
        return sorted(path.name for path in self.dest.iterdir())

    def check_output(self, done: subprocess.CompletedProcess[str], *lines: str) -> None:
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(), list(lines))

    def check_refused(self, *args: object) -> None:
        before = self.left()
        done = self.run_backup("prune", *args)
        self.assertEqual(done.returncode, 2, f"{args}: {done.stdout}{done.stderr}")
        self.assertEqual(done.stdout, "")
        self.assertNotEqual(done.stderr.strip(), "")
        self.assertEqual(self.left(), before)


class KeepLast(BackupCase):
    milestone = 1

    def test_keeps_the_newest_and_reports_the_rest(self) -> None:
        names = self.archives("notes", *(stamp(day) for day in (3, 1, 4, 2, 5)))
        done = self.run_backup("prune", self.dest, "notes", "--keep-last", 2)
        self.check_output(
            done,
            f"removed notes-{stamp(1)}.tar.gz",
            f"removed notes-{stamp(2)}.tar.gz",
            f"removed notes-{stamp(3)}.tar.gz",
            "kept 2, removed 3",
        )
        self.assertEqual(self.left(), sorted(names)[3:])

    def test_more_than_there_are(self) -> None:
        names = self.archives("notes", stamp(1), stamp(2))
        done = self.run_backup("prune", self.dest, "notes", "--keep-last", 10)
        self.check_output(done, "kept 2, removed 0")
        self.assertEqual(self.left(), names)


class Rules(BackupCase):
    milestone = 2

    def test_an_empty_set(self) -> None:
        done = self.run_backup("prune", self.dest, "notes", "--keep-last", 3)
        self.check_output(done, "kept 0, removed 0")

    def test_keep_daily_counts_only_days_with_archives(self) -> None:
        self.archives("notes", stamp(1, 6), stamp(1, 18), stamp(5, 1), stamp(9, 2), stamp(9, 3))
        done = self.run_backup("prune", self.dest, "notes", "--keep-daily", 2)
        self.check_output(
            done,
            f"removed notes-{stamp(1, 6)}.tar.gz",
            f"removed notes-{stamp(1, 18)}.tar.gz",
            f"removed notes-{stamp(9, 2)}.tar.gz",
            "kept 2, removed 3",
        )
        self.assertEqual(
            self.left(), [f"notes-{stamp(5, 1)}.tar.gz", f"notes-{stamp(9, 3)}.tar.gz"]
        )

    def test_either_rule_keeps(self) -> None:
        self.archives(
            "notes", stamp(1, 6), stamp(2, 6), stamp(2, 7), stamp(3, 6), stamp(3, 7), stamp(3, 8)
        )
        done = self.run_backup("prune", self.dest, "notes", "--keep-daily", 2, "--keep-last", 2)
        self.check_output(
            done,
            f"removed notes-{stamp(1, 6)}.tar.gz",
            f"removed notes-{stamp(2, 6)}.tar.gz",
            f"removed notes-{stamp(3, 6)}.tar.gz",
            "kept 3, removed 3",
        )

    def test_one_rule_may_be_zero(self) -> None:
        self.archives("notes", stamp(1), stamp(2))
        done = self.run_backup("prune", self.dest, "notes", "--keep-last", 0, "--keep-daily", 1)
        self.check_output(done, f"removed notes-{stamp(1)}.tar.gz", "kept 1, removed 1")

    def test_dry_run_deletes_nothing(self) -> None:
        names = self.archives("notes", stamp(1), stamp(2), stamp(3))
        done = self.run_backup("prune", self.dest, "notes", "--dry-run", "--keep-last", 1)
        self.check_output(
            done,
            f"would remove notes-{stamp(1)}.tar.gz",
            f"would remove notes-{stamp(2)}.tar.gz",
            "kept 1, removed 2",
        )
        self.assertEqual(self.left(), names)

    def test_the_stamp_counts_and_not_the_modification_time(self) -> None:
        old, new = self.archives("notes", stamp(1), stamp(2))
        os.utime(self.dest / new, (1, 1))
        done = self.run_backup("prune", self.dest, "notes", "--keep-last", 1)
        self.check_output(done, f"removed {old}", "kept 1, removed 1")

    def test_usage_errors(self) -> None:
        self.archives("notes", stamp(1), stamp(2))
        self.check_refused()
        self.check_refused(self.dest)
        self.check_refused(self.scratch / "absent", "notes", "--keep-last", 1)
        self.check_refused(self.dest, "notes", "--keep-first", 1)
        self.check_refused(self.dest, "notes", "--keep-last", 1, "extra")
        self.check_refused(self.dest, "notes", "--keep-last")
        self.check_refused(self.dest, "notes", "--keep-daily", "--dry-run")

    def test_numbers_that_are_none(self) -> None:
        self.archives("notes", stamp(1), stamp(2))
        for number in ("-1", "3x", "", "1.5", "two"):
            self.check_refused(self.dest, "notes", "--keep-last", number)
            self.check_refused(self.dest, "notes", "--keep-last", 1, "--keep-daily", number)

    def test_refuses_to_delete_everything(self) -> None:
        self.archives("notes", stamp(1), stamp(2))
        self.check_refused(self.dest, "notes")
        self.check_refused(self.dest, "notes", "--dry-run")
        self.check_refused(self.dest, "notes", "--keep-last", 0)
        self.check_refused(self.dest, "notes", "--keep-last", 0, "--keep-daily", 0)


class EdgeCases(BackupCase):
    milestone = 3

    def test_sets_with_a_common_prefix(self) -> None:
        other = self.archives("notes-old", *(stamp(day) for day in (1, 2, 3, 4)))
        self.archives("notes", stamp(1), stamp(2))
        done = self.run_backup("prune", self.dest, "notes", "--keep-last", 1)
        self.check_output(done, f"removed notes-{stamp(1)}.tar.gz", "kept 1, removed 1")
        self.assertEqual(self.left(), sorted([f"notes-{stamp(2)}.tar.gz", *other]))

    def test_list_never_shows_another_set(self) -> None:
        self.archives("notes-old", stamp(1))
        mine = self.archives("notes", stamp(1), stamp(2))
        self.check_output(self.run_backup("list", self.dest, "notes"), *mine)

    def test_spaces(self) -> None:
        self.dest = self.scratch / "my backups"
        self.dest.mkdir()
        old, new = self.archives("team notes", stamp(1), stamp(2))
        done = self.run_backup("prune", self.dest, "team notes", "--keep-last", 1)
        self.check_output(done, f"removed {old}", "kept 1, removed 1")
        self.check_output(self.run_backup("list", self.dest, "team notes"), new)

    def test_names_are_literal(self) -> None:
        for name, lookalike in (("site[1]", "site1"), ("a.b", "axb"), ("a*", "abc"), ("x+", "xx")):
            with self.subTest(name=name):
                other = self.archives(lookalike, stamp(1), stamp(2))
                old, new = self.archives(name, stamp(1), stamp(2))
                done = self.run_backup("prune", self.dest, name, "--keep-last", 1)
                self.check_output(done, f"removed {old}", "kept 1, removed 1")
                self.check_output(self.run_backup("list", self.dest, name), new)
                self.assertLessEqual({*other, new}, set(self.left()))

    def test_leading_zeros_are_decimal(self) -> None:
        self.archives("notes", *(stamp(day) for day in range(1, 11)))
        done = self.run_backup("prune", self.dest, "notes", "--keep-last", "08")
        self.check_output(
            done,
            f"removed notes-{stamp(1)}.tar.gz",
            f"removed notes-{stamp(2)}.tar.gz",
            "kept 8, removed 2",
        )
        done = self.run_backup("prune", self.dest, "notes", "--keep-daily", "010", "--dry-run")
        self.check_output(done, "kept 8, removed 0")

    def test_what_only_resembles_an_archive_stays(self) -> None:
        strangers = [
            f"notes-{stamp(1)}.tar.gz.part",
            f"notes-{stamp(1)}.tar",
            "notes-latest.tar.gz",
            "notes-2025011T000000Z.tar.gz",
            "notes-20250101T000000.tar.gz",
            f"notes-{stamp(1)}-2.tar.gz",
            f"my-notes-{stamp(1)}.tar.gz",
        ]
        for name in strangers:
            (self.dest / name).write_bytes(b"precious")
        (self.dest / f"notes-{stamp(2)}.tar.gz").mkdir()
        (self.dest / f"notes-{stamp(3)}.tar.gz").symlink_to(self.dest / strangers[0])
        (self.dest / "inner").mkdir()
        (self.dest / "inner" / f"notes-{stamp(4)}.tar.gz").write_bytes(b"precious")
        before = self.left()
        _, new = self.archives("notes", stamp(5), stamp(6))
        done = self.run_backup("prune", self.dest, "notes", "--keep-last", 1)
        self.check_output(done, f"removed notes-{stamp(5)}.tar.gz", "kept 1, removed 1")
        self.assertEqual(self.left(), sorted([*before, new]))
        self.assertTrue((self.dest / "inner" / f"notes-{stamp(4)}.tar.gz").exists())
        self.check_output(self.run_backup("list", self.dest, "notes"), new)


class StillWorks(BackupCase):
    milestone = 3

    def test_create_and_list(self) -> None:
        source = self.scratch / "notes"
        source.mkdir()
        (source / "a.txt").write_text("hello\n")
        for day in (2, 1):
            done = self.run_backup("create", source, self.dest, now=stamp(day))
            self.check_output(done, f"created notes-{stamp(day)}.tar.gz")
        both = [f"notes-{stamp(1)}.tar.gz", f"notes-{stamp(2)}.tar.gz"]
        self.assertEqual(self.left(), both)
        self.check_output(self.run_backup("list", self.dest, "notes"), *both)
        with tarfile.open(self.dest / both[0]) as archive:
            self.assertIn("notes/a.txt", archive.getnames())

    def test_create_refuses_as_before(self) -> None:
        source = self.scratch / "notes"
        source.mkdir()
        self.assertEqual(self.run_backup("create", source).returncode, 2)
        self.assertEqual(self.run_backup("create", source / "no", self.dest).returncode, 2)
        self.archives("notes", stamp(1))
        self.assertEqual(self.run_backup("create", source, self.dest, now=stamp(1)).returncode, 1)
        self.assertEqual((self.dest / f"notes-{stamp(1)}.tar.gz").read_bytes(), b"archive")

    def test_create_does_not_prune(self) -> None:
        source = self.scratch / "notes"
        source.mkdir()
        names = self.archives("notes", *(stamp(day) for day in range(1, 6)))
        self.run_backup("create", source, self.dest, now=stamp(6))
        self.assertEqual(self.left(), [*names, f"notes-{stamp(6)}.tar.gz"])

    def test_usage(self) -> None:
        done = self.run_backup("help")
        self.assertEqual(done.returncode, 0)
        for command in ("create", "list", "prune"):
            self.assertIn(command, done.stdout)
        self.assertEqual(self.run_backup("nonsense").returncode, 2)
        self.assertEqual(self.run_backup().returncode, 2)
        self.assertEqual(self.run_backup("list", self.dest).returncode, 2)

    def test_list_of_an_empty_destination(self) -> None:
        self.check_output(self.run_backup("list", self.dest, "notes"))
