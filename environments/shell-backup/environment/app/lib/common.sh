# Helpers shared by all commands.

# A usage error: message on stderr, exit status 2.
die_usage() {
    printf 'backup.sh: %s\n' "$1" >&2
    exit 2
}

# A failure of the work itself: message on stderr, exit status 1.
die() {
    printf 'backup.sh: %s\n' "$1" >&2
    exit 1
}

# The UTC time stamp used in archive names, such as 20250131T235959Z.
# BACKUP_NOW overrides the clock, for tests and for re-running a missed job.
now_stamp() {
    if [ -n "${BACKUP_NOW:-}" ]; then
        printf '%s\n' "$BACKUP_NOW"
    else
        date -u +%Y%m%dT%H%M%SZ
    fi
}
