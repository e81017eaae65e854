"""The wheel carries what the program needs, and the lock fits the declared ranges."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, flags=re.MULTILINE)
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a freshly built wheel, by their path in it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("folder", ["environments", "item_banks"])
def test_the_wheel_ships_every_file_of(folder: str, wheel: dict[str, bytes]) -> None:
    # read_bytes follows the links to shared files, as the wheel has to
    ours = {
        path.relative_to(REPOSITORY).as_posix(): path.read_bytes()
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and path.name != ".DS_Store"
    }
    prefix = "harness/_shipped/"
    shipped = {
        name.removeprefix(prefix): content
        for name, content in wheel.items()
        if name.startswith(f"{prefix}{folder}/")
    }
    assert ours
    assert shipped.keys() == ours.keys()
    assert [name for name in ours if shipped[name] != ours[name]] == []


def test_the_wheel_is_typed_and_has_every_module(wheel: dict[str, bytes]) -> None:
    modules = {p.relative_to(REPOSITORY).as_posix() for p in (REPOSITORY / "harness").rglob("*.py")}
    assert modules | {"harness/py.typed"} <= wheel.keys()
    assert not [name for name in wheel if name.startswith(("tests/", "benchmarks/", "runs/"))]


@pytest.mark.parametrize(
    "declared", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
)
def test_the_lock_fits(declared: str) -> None:
    requirement = Requirement(declared)
    pinned = PINS.get(canonicalize_name(requirement.name))
    assert pinned is not None, f"{requirement.name} is not in requirements.lock: run `make lock`"
    assert requirement.specifier.contains(pinned), f"{declared}, locked {pinned}: run `make lock`"


def test_the_lock_has_a_hash_for_every_pin_and_no_address() -> None:
    blocks = re.split(r"^(?=[\w])", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(PINS)
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert "://" not in LOCK
    assert " @ " not in LOCK
    assert not re.search(r"^\s*-(?!-hash)", LOCK, flags=re.MULTILINE)
