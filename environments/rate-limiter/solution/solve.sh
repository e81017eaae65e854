#!/usr/bin/env bash
# The full solution: a locked, bounded limiter, and the app and server that use it.
set -euo pipefail
cp /solution/full/ratelimit.py /solution/full/app.py /solution/full/server.py quotes/
