#!/bin/bash
set -eu
from="$(dirname "${BASH_SOURCE[0]}")/full"
cp "$from"/{__init__,errors,merge,references,resolved}.py layered/
cp "$from/test_merge.py" tests/
