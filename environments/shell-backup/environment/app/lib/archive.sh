# Creating and listing archives.
#
# An archive of the set NAME is DEST/NAME-YYYYMMDDTHHMMSSZ.tar.gz, and NAME is
# the last component of the directory that was backed up.

cmd_create() {
    [ $# -eq 2 ] || die_usage "create needs SOURCE and DEST"
    local source=$1 dest=$2
    [ -d "$source" ] || die_usage "not a directory: $source"
    mkdir -p -- "$dest"
    local parent name target
    source=$(cd -- "$source" && pwd)
    parent=$(dirname -- "$source")
    name=$(basename -- "$source")
    target=$dest/$name-$(now_stamp).tar.gz
    [ ! -e "$target" ] || die "already exists: $target"
    # The archive gets its final name only when it is whole.
    if ! tar -czf "$target.part" -C "$parent" -- "$name"; then
        rm -f -- "$target.part"
        die "could not archive $source"
    fi
    mv -- "$target.part" "$target"
    printf 'created %s\n' "$(basename -- "$target")"
}

cmd_list() {
    [ $# -eq 2 ] || die_usage "list needs DEST and NAME"
    local dest=$1 name=$2 file
    [ -d "$dest" ] || die_usage "not a directory: $dest"
    for file in "$dest"/$name-*.tar.gz; do
        [ -e "$file" ] || continue
        basename -- "$file"
    done | sort
}
