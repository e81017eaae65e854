#!/bin/sh
# Prints a Python that can carry this project: $PYTHON where given, else the first
# of the usual names that runs, is 3.11 or later and can make a virtual environment.
set -eu

fits='import sys; sys.exit(sys.version_info < (3, 11))'
can_make_venv='import ensurepip, venv'

too_bare=""
for candidate in ${PYTHON:-python3.11 python3.12 python3 python}; do
    # Running it is the only proof: a version manager's shim may exist and refuse.
    "$candidate" -c "$fits" >/dev/null 2>&1 || continue
    if "$candidate" -c "$can_make_venv" >/dev/null 2>&1; then
        echo "$candidate"
        exit 0
    fi
    too_bare="$too_bare $candidate"
done

if [ -n "$too_bare" ]; then
    echo "cat-harness: found$too_bare, but without the venv module." >&2
    echo "  On Debian or Ubuntu: apt-get install python3-venv. Then run make again." >&2
elif [ -n "${PYTHON:-}" ]; then
    echo "cat-harness: PYTHON=$PYTHON does not run, or is older than Python 3.11." >&2
    echo "  Name a Python 3.11 or later: make PYTHON=/path/to/python3.11 ..." >&2
else
    echo "cat-harness: no Python 3.11 or later found on PATH." >&2
    echo "  Install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2
fi
exit 2
