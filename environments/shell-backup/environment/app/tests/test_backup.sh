#!/usr/bin/env bash
# Run with: bash tests/test_backup.sh
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

check() {
    if [ "$2" = "$3" ]; then
        printf 'ok   %s\n' "$1"
    else
        printf 'FAIL %s\n  expected: %s\n  actual:   %s\n' "$1" "$2" "$3"
        failures=$((failures + 1))
    fi
}

mkdir -p "$work/notes"
echo hello >"$work/notes/a.txt"

out=$(BACKUP_NOW=20250102T030405Z bash backup.sh create "$work/notes" "$work/dest")
check "create prints the name" "created notes-20250102T030405Z.tar.gz" "$out"

out=$(tar -xzOf "$work/dest/notes-20250102T030405Z.tar.gz" notes/a.txt)
check "the archive holds the file" "hello" "$out"

BACKUP_NOW=20250101T030405Z bash backup.sh create "$work/notes" "$work/dest" >/dev/null
out=$(bash backup.sh list "$work/dest" notes | tr '\n' ' ')
check "list is oldest first" \
    "notes-20250101T030405Z.tar.gz notes-20250102T030405Z.tar.gz " "$out"

bash backup.sh nonsense >/dev/null 2>&1
check "an unknown command is a usage error" "2" "$?"

exit "$((failures > 0))"
