#!/usr/bin/env bash
# The service is limited, but clocks that step back, threads, memory and blank keys are not handled.
set -euo pipefail
cp /solution/partial-2/ratelimit.py /solution/partial-2/app.py /solution/full/server.py quotes/
