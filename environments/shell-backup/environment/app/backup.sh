#!/usr/bin/env bash
# Backups of single directories as time-stamped tar archives.
set -euo pipefail

BACKUP_HOME=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib/common.sh
source "$BACKUP_HOME/lib/common.sh"
# shellcheck source=lib/archive.sh
source "$BACKUP_HOME/lib/archive.sh"

usage() {
    cat <<'EOF'
usage: backup.sh create SOURCE DEST
       backup.sh list DEST NAME
       backup.sh help
EOF
}

main() {
    local command=${1:-}
    [ $# -gt 0 ] && shift
    case $command in
        create) cmd_create "$@" ;;
        list) cmd_list "$@" ;;
        help | --help | -h) usage ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
}

main "$@"
