"""Small files that are there whole or not at all, and what is wrong with one that is not."""

import errno
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.errors import InfrastructureError, InputError

Record = TypeVar("Record")


def write_file(path: Path, content: bytes, *, new: bool) -> None:
    """Write a file that is whole whenever it is there.

    Args:
        path: where; the folder is made.
        content: all of it.
        new: refuse to replace a file.

    Raises:
        FileExistsError: ``new``, and there is one.
        InfrastructureError: it cannot be written; what was there before is untouched.
    """
    beside = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if new:
            # unlike a rename, a link never replaces what another process has put there
            os.link(beside, path)
        else:
            beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError:
        raise
    except OSError as error:
        reason = (
            "the disk is full: make room and try again"
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else error.strerror or str(error)
        )
        raise InfrastructureError(
            f"{path} cannot be written ({reason}); nothing was changed"
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def write_record(path: Path, kind: TypeAdapter[Record], record: Record, *, new: bool) -> None:
    """Write a record as JSON; arguments and errors as :func:`write_file`."""
    write_file(path, kind.dump_json(record, indent=2) + b"\n", new=new)


def read_record(path: Path, kind: TypeAdapter[Record]) -> Record:
    """The record in a file.

    Raises:
        InputError: naming the file and the entry, where it is not there or is damaged.
        InfrastructureError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no {path}: restore it, or remove its folder") from None
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return kind.validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        entry = ".".join(str(part) for part in first["loc"])
        where = f"{path}, entry {entry!r}" if entry else str(path)
        raise InputError(
            f"{where} is damaged ({first['msg']}): restore the file, or remove it"
        ) from None
