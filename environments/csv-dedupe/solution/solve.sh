#!/bin/bash
set -eu
from="$(dirname "${BASH_SOURCE[0]}")/full"
cp "$from"/{clean,cli,dedupe,table}.py contacts/
cp "$from/test_dedupe.py" tests/
