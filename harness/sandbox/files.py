"""Reading and writing a container's files as its user, through commands in it."""

import errno
from pathlib import PurePosixPath
from typing import Final

from harness.sandbox import execute
from harness.sandbox.container import Container
from harness.sandbox.execute import Finished
from harness.sandbox.streams import OverflowedError

WRITE_SECONDS: Final = 600
READ_SECONDS: Final = 300

_IS_DIRECTORY, _IS_MISSING, _IS_SPECIAL = 91, 92, 93

_PREFIX: Final = "PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C; export PATH LC_ALL\n"

# Input is read to its end in any case: a writer that stops early looks like a broken connection.
_WRITE: Final = f"""{_PREFIX}
fail() {{ cat > /dev/null; exit $1; }}
[ -d "$1" ] && fail {_IS_DIRECTORY}
mkdir -p -- "$2" || fail 1
cat > "$1" || fail 1
"""

# A fifo or a device would be read for ever, so only regular files are.
_READ: Final = f"""{_PREFIX}
[ -d "$1" ] && exit {_IS_DIRECTORY}
[ -e "$1" ] || exit {_IS_MISSING}
[ -f "$1" ] || exit {_IS_SPECIAL}
exec cat < "$1"
"""


async def write(container: Container, file: str, contents: bytes) -> None:
    """Write a file and the directories above it.

    Raises:
        IsADirectoryError, PermissionError: as by `open`.
        OSError: for anything else, such as a full disk or a file above the size limit.
    """
    path = absolute(container, file)
    parent = str(PurePosixPath(path).parent)
    script = ["/bin/sh", "-c", _WRITE, "sh", path, parent]
    result = await execute.run(
        container, script, input=contents, workdir="/", timeout=WRITE_SECONDS, limit=1 << 16
    )
    if result.returncode != 0:
        raise _error(result, file)


async def read(container: Container, file: str, limit: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: as by `open`.
        OverflowedError: if the file is longer than ``limit`` bytes.
        OSError: for anything else, such as a fifo or a device.
    """
    script = ["/bin/sh", "-c", _READ, "sh", absolute(container, file)]
    result = await execute.run(
        container, script, workdir="/", timeout=READ_SECONDS, limit=limit, ceiling=limit
    )
    if result.overflowed:
        raise OverflowedError(b"")
    if result.returncode != 0:
        raise _error(result, file)
    return result.stdout


def absolute(container: Container, file: str) -> str:
    """``file`` seen from the container's working directory."""
    return str(PurePosixPath(container.workdir) / file)


def _error(result: Finished, file: str) -> OSError:
    said = result.stderr.decode(errors="replace").strip()
    lower = said.lower()
    if result.returncode == _IS_DIRECTORY or "is a directory" in lower:
        return IsADirectoryError(errno.EISDIR, "Is a directory", file)
    if result.returncode == _IS_MISSING:
        return FileNotFoundError(errno.ENOENT, "No such file or directory", file)
    if result.returncode == _IS_SPECIAL:
        return OSError(errno.EINVAL, "Not a regular file", file)
    if "permission denied" in lower:
        return PermissionError(errno.EACCES, "Permission denied", file)
    if "no space left" in lower:
        return OSError(errno.ENOSPC, "No space left", file)
    if "file too large" in lower or "file size limit" in lower:
        return OSError(errno.EFBIG, "File too large", file)
    return OSError(errno.EIO, said or f"exit code {result.returncode}", file)
