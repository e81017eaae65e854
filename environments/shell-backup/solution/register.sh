#!/usr/bin/env bash
# Make backup.sh load lib/prune.sh and dispatch to it.
set -euo pipefail
sed -i \
    -e 's|^source "$BACKUP_HOME/lib/archive.sh"|&\n# shellcheck source=lib/prune.sh\nsource "$BACKUP_HOME/lib/prune.sh"|' \
    -e 's|^       backup.sh list DEST NAME|&\n       backup.sh prune DEST NAME [--keep-last N] [--keep-daily D] [--dry-run]|' \
    -e 's|^        list) cmd_list "$@" ;;|&\n        prune) cmd_prune "$@" ;;|' \
    backup.sh
