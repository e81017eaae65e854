"""A base image without a registry: debootstrap from this machine's own package archive."""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from docker import APIClient

from harness.errors import DockerError
from harness.sandbox import apt
from harness.sandbox.apt import AptSource
from harness.sandbox.engine import LABEL, call

REPOSITORY: Final = "cat-harness/base"
PACKAGES: Final = ("python3", "procps")
OLDEST_PYTHON: Final = (3, 11)
DEBOOTSTRAP_SECONDS: Final = 1800

OWN_IMAGE_ADVICE: Final = (
    "name an image that this engine has, with Python 3.11 or later, in CAT_HARNESS_BASE_IMAGE"
)

# Relative to the root; directories are kept and emptied.
_EMPTIED: Final = (
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "debootstrap",
    "var/cache",
    "var/log",
    "var/tmp",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
)


def tag() -> str:
    """The tag of the fallback on this machine, such as ``cat-harness/base:bookworm``.

    >>> tag().startswith("cat-harness/base:")
    True
    """
    source = apt.choose(apt.machine_sources(), apt.codename() or "")
    return f"{REPOSITORY}:{source.suite if source else apt.codename() or 'local'}"


def obstacle() -> str | None:
    """Why this machine cannot make a base image, with the next step; None if it can."""
    if apt.choose(apt.machine_sources(), apt.codename() or "") is None:
        return (
            "this machine has no Debian or Ubuntu package source with component main to install "
            f"a base image from; {OWN_IMAGE_ADVICE}"
        )
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return f"debootstrap needs root: run `sudo cat-harness doctor --fix`, or {OWN_IMAGE_ADVICE}"
    if shutil.which("debootstrap") is None and shutil.which("apt-get") is None:
        return f"debootstrap is not installed; {OWN_IMAGE_ADVICE}"
    return None


def make(say: Callable[[str], None]) -> str:
    """Install a minimal system with Python into an image, and return the image's tag.

    Takes a minute or two, and some 300 MB of temporary files.

    Raises:
        DockerError: cause "image", with the next step.
    """
    if problem := obstacle():
        raise DockerError(f"There is no base image, and none can be made here: {problem}.", "image")
    source = apt.choose(apt.machine_sources(), apt.codename() or "")
    assert source is not None
    if shutil.which("debootstrap") is None:
        install(("debootstrap",), say)
    name = f"{REPOSITORY}:{source.suite}"
    say(f"Making {name} with debootstrap from {apt.mirror(source)} (a minute or two) ...")
    folder = Path(tempfile.mkdtemp(prefix="cat-harness-base-"))
    try:
        root = folder / "root"
        _debootstrap(source, root, folder / "output.log")
        _check_python(root, source.suite)
        archive = folder / "root.tar"
        pack(root, archive)
        _import(archive, source.suite)
    finally:
        _delete(folder)
    say(f"Made {name}.")
    return name


def install(packages: tuple[str, ...], say: Callable[[str], None]) -> None:
    """Install Debian packages without questions.

    Raises:
        DockerError: cause "daemon" with the end of apt-get's output.
    """
    say(f"Installing {' '.join(packages)} with apt-get ...")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    update = ["apt-get", "update", "-q"]
    add = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    # One unreachable third-party list fails the update, and the installation need not care.
    subprocess.run(update, env=env, capture_output=True, text=True, check=False)
    done = subprocess.run(add, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DockerError(
            f"apt-get could not install {' '.join(packages)}:\n{_end(done.stdout + done.stderr)}\n"
            f"Make `apt-get install {' '.join(packages)}` work, then try again.",
            "daemon",
        )


def _debootstrap(source: AptSource, root: Path, log: Path) -> None:
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    if source.keyring and Path(source.keyring).is_file():
        command.append(f"--keyring={source.keyring}")
    command += [source.suite, str(root), apt.mirror(source)]
    with log.open("w", encoding="utf-8") as output:
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_proxies(), "LC_ALL": "C"},
                timeout=DEBOOTSTRAP_SECONDS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    if code != 0:
        raise DockerError(
            f"`{' '.join(command)}` failed (exit code {code}):\n{_end(log.read_text())}\n"
            f"Make that command work, or {OWN_IMAGE_ADVICE}.",
            "image",
        )


def _proxies() -> dict[str, str]:
    # debootstrap downloads with wget, which does not know what apt is told about proxies.
    found: dict[str, str] = {}
    for scheme in ("http", "https"):
        if f"{scheme}_proxy" in os.environ:
            continue
        with suppress(OSError):
            asked = subprocess.run(
                ["apt-config", "shell", "PROXY", f"Acquire::{scheme}::Proxy"],
                capture_output=True,
                text=True,
                check=False,
            )
            match = re.search(r"PROXY='([^']+)'", asked.stdout)
            if match and match[1] not in ("DIRECT", "false"):
                found[f"{scheme}_proxy"] = match[1]
    return found


def _check_python(root: Path, suite: str) -> None:
    target = os.readlink(root / "usr/bin/python3")
    match = re.search(r"(\d+)\.(\d+)", target)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    if version < OLDEST_PYTHON:
        raise DockerError(
            f"{suite} has Python {version[0]}.{version[1]}, and the environments need 3.11 or "
            f"later: {OWN_IMAGE_ADVICE}.",
            "image",
        )


def pack(root: Path, archive: Path) -> None:
    """Write a root file system as a tar archive, without what a container has no use for."""

    def keep(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        path = member.name.removeprefix("./")
        if any(path.startswith(f"{folder}/") for folder in _EMPTIED):
            return None
        if re.match(r"usr/lib/[^/]+/gconv/", path):
            return None
        return None if member.ischr() or member.isblk() else member

    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(root, arcname=".", filter=keep)


def _import(archive: Path, suite: str) -> None:
    changes = [
        f"LABEL {LABEL}=1",
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "ENV LANG=C.UTF-8",
        'CMD ["bash"]',
    ]

    def upload(api: APIClient) -> str:
        return str(
            api.import_image(str(archive), repository=REPOSITORY, tag=suite, changes=changes)
        )

    answer = call(f"import {REPOSITORY}:{suite}", upload, cause="image")
    if '"error"' in answer:
        raise DockerError(f"Could not import {REPOSITORY}:{suite}: {answer.strip()}", "image")


def _delete(folder: Path) -> None:
    # An interrupted debootstrap may leave /proc mounted in there.
    with suppress(OSError):
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for point in sorted((m for m in mounted if m.startswith(f"{folder}/")), reverse=True):
            subprocess.run(["umount", "-l", point], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def _end(text: str, lines: int = 15) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
