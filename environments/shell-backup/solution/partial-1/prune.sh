# Deleting all but the newest archives.

cmd_prune() {
    local dest=$1 name=$2 keep=$4 removed=0 total file
    total=$(cmd_list "$dest" "$name" | wc -l)
    for file in $(cmd_list "$dest" "$name" | head -n "-$keep"); do
        rm -- "$dest/$file"
        printf 'removed %s\n' "$file"
        removed=$((removed + 1))
    done
    printf 'kept %d, removed %d\n' "$((total - removed))" "$removed"
}
