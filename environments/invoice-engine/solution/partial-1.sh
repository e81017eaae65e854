#!/usr/bin/env bash
# First milestone only: net, tax per line and gross, without discounts or credit notes.
set -euo pipefail
cp /solution/partial-1/*.py invoicer/
