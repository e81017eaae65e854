#!/usr/bin/env bash
# Both rules, dry runs and usage errors, but the set is whatever a loose pattern matches.
set -euo pipefail
cp /solution/partial-2/prune.sh lib/prune.sh
bash /solution/register.sh
