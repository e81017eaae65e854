#!/bin/bash
set -eu
from="$(dirname "${BASH_SOURCE[0]}")/full"
cp "$from"/{cli,files,summary}.py weblog/
cp "$from/test_summary.py" tests/
