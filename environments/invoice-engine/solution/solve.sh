#!/usr/bin/env bash
# The full solution: exact fractions of a minor unit, rounded once, shared out by one function.
set -euo pipefail
cp /solution/full/*.py invoicer/
