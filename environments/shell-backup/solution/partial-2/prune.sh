# Deleting old archives by a retention rule.

# Print an option's number, or fail with a usage error.
retention_number() {
    local option=$1 value=$2
    [[ $value =~ ^[0-9]+$ ]] || die_usage "$option needs a whole number, not '$value'"
    printf '%s\n' "$value"
}

cmd_prune() {
    [ $# -ge 2 ] || die_usage "prune needs DEST and NAME"
    local dest=$1 name=$2 last=0 daily=0 dry_run=no
    shift 2
    [ -d "$dest" ] || die_usage "not a directory: $dest"
    [ -n "$name" ] || die_usage "NAME is empty"
    while [ $# -gt 0 ]; do
        case $1 in
            --keep-last | --keep-daily)
                [ $# -ge 2 ] || die_usage "$1 needs a number"
                local number
                number=$(retention_number "$1" "$2") || exit 2
                if [ "$1" = --keep-last ]; then last=$number; else daily=$number; fi
                shift 2
                ;;
            --dry-run)
                dry_run=yes
                shift
                ;;
            *) die_usage "prune does not know '$1'" ;;
        esac
    done
    [ $((last + daily)) -gt 0 ] ||
        die_usage "refusing to delete every archive: give --keep-last or --keep-daily above 0"

    local -a archives=()
    mapfile -t archives < <(cmd_list "$dest" "$name")

    # Newest first: position decides --keep-last, the first of a day decides --keep-daily.
    local -a drop=()
    local index stamp day previous_day='' days=0 kept=0 position=0 keep
    for ((index = ${#archives[@]} - 1; index >= 0; index--)); do
        stamp=${archives[index]#"$name-"}
        day=${stamp%%T*}
        position=$((position + 1))
        keep=no
        [ "$position" -gt "$last" ] || keep=yes
        if [ "$day" != "$previous_day" ]; then
            previous_day=$day
            days=$((days + 1))
            [ "$days" -gt "$daily" ] || keep=yes
        fi
        if [ "$keep" = yes ]; then
            kept=$((kept + 1))
        else
            drop+=("${archives[index]}")
        fi
    done

    for ((index = ${#drop[@]} - 1; index >= 0; index--)); do
        if [ "$dry_run" = yes ]; then
            printf 'would remove %s\n' "${drop[index]}"
        else
            rm -f -- "$dest/${drop[index]}" || die "could not remove ${drop[index]}"
            printf 'removed %s\n' "${drop[index]}"
        fi
    done
    printf 'kept %d, removed %d\n' "$kept" "${#drop[@]}"
}
