#!/bin/sh
# Makes or refreshes .venv: exactly the packages of requirements.lock, and this
# checkout as an editable install.
set -eu
cd "$(dirname "$0")/.."

unset PYTHONHOME PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1

# A .venv whose interpreter has moved is made again.
if ! .venv/bin/python -c 'import pip' >/dev/null 2>&1; then
    python=$(sh scripts/python.sh)
    echo "Making .venv with $python ($("$python" --version))" >&2
    rm -rf .venv
    "$python" -m venv .venv
fi

echo "Installing the locked dependencies (some 120 packages; a minute or two) ..." >&2
# The lock is complete, so nothing is left to resolve; `pip check` proves it.
.venv/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
.venv/bin/python -m pip check
