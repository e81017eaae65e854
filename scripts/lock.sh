#!/bin/sh
# Writes requirements.lock anew: run time, the `dev` extra and the build backend,
# for every platform and every Python from 3.11 on, with hashes and without addresses.
set -eu
cd "$(dirname "$0")/.."

python=$(sh scripts/python.sh)
tool=build/lock-tool
[ -x "$tool/bin/uv" ] || {
    "$python" -m venv "$tool"
    "$tool/bin/python" -m pip install --quiet 'uv>=0.9,<1'
}

# Only the default index counts: whatever this machine configures stays out of the lock.
for name in $(env | sed -n -E 's/^((UV|PIP)_[A-Z_]*)=.*/\1/p'); do
    case $name in *CERT*) ;; *) unset "$name" ;; esac
done

[ "${1:-}" = "--upgrade" ] || set --
"$tool/bin/uv" --no-config --quiet pip compile pyproject.toml --extra dev "$@" \
    --universal --python-version 3.11 --fork-strategy fewest \
    --generate-hashes --no-emit-index-url --no-emit-find-links \
    --custom-compile-command "make lock" \
    --output-file requirements.lock >/dev/null

if grep -n -E '://|^-|@ ' requirements.lock; then
    echo "requirements.lock: the lines above hold an address or an option; see scripts/lock.sh" >&2
    exit 1
fi
