"""Give lib/archive.sh one definition of which files belong to a set."""

from pathlib import Path

OLD_LOOP = """\
    for file in "$dest"/$name-*.tar.gz; do
        [ -e "$file" ] || continue
        basename -- "$file"
    done | sort
}
"""
NEW = """\
    set_archives "$dest" "$name"
}

# Print the archives of a set, oldest first: regular files named exactly NAME-STAMP.tar.gz.
set_archives() {
    local dest=$1 name=$2 file stamp
    for file in "$dest/$name"-*.tar.gz; do
        [ -f "$file" ] && [ ! -L "$file" ] || continue
        file=${file##*/}
        stamp=${file#"$name-"}
        [[ $stamp =~ ^[0-9]{8}T[0-9]{6}Z\\.tar\\.gz$ ]] || continue
        printf '%s\\n' "$file"
    done | LC_ALL=C sort
}
"""

path = Path("lib/archive.sh")
text = path.read_text()
text = text.replace(OLD_LOOP, NEW).replace('dest=$1 name=$2 file\n', 'dest=$1 name=$2\n')
path.write_text(text)
