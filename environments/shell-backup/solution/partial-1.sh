#!/usr/bin/env bash
# First milestone only: keep the newest N, nothing else.
set -euo pipefail
cp /solution/partial-1/prune.sh lib/prune.sh
bash /solution/register.sh
