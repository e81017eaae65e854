#!/usr/bin/env bash
# First milestone only: the bucket itself; the app does not use it yet.
set -euo pipefail
cp /solution/partial-1/ratelimit.py quotes/
