"""The shape of the house: imports go one way, stay light, and no file names a registry."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "harness"

# Lowest first. A module or package may import those of lower layers, and itself.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "shipped"}),
    frozenset({"irt"}),
    frozenset({"regression"}),
    frozenset({"ability"}),
    frozenset({"bank"}),
    frozenset({"bank_files", "bank_init", "prior"}),
    frozenset({"exchange"}),
    frozenset({"score"}),
    frozenset({"select"}),
    frozenset({"stop"}),
    frozenset({"catsim_adapter"}),
    frozenset({"grammar"}),
    frozenset({"events"}),
    frozenset({"session", "batch"}),
    frozenset({"ahead"}),
    frozenset({"scoring"}),
    frozenset({"journal", "environments"}),
    frozenset({"responses"}),
    frozenset({"features"}),
    frozenset({"estimate", "plant"}),
    frozenset({"calibrate"}),
    frozenset({"predict", "parts"}),
    frozenset({"study"}),
    frozenset({"health"}),
    frozenset({"validity"}),
    frozenset({"explain"}),
    frozenset({"coldstart"}),
    frozenset({"schedule"}),
    frozenset({"gate", "report"}),
    frozenset({"sandbox"}),
    frozenset({"runners"}),
    frozenset({"series"}),
    frozenset({"cli", "inspect_registry", "__main__"}),
)
# `harness/__init__.py` only gathers names from every layer; it is above them all.
ROOT = "harness"
LEVEL = {name: level for level, layer in enumerate(LAYERS) for name in layer} | {ROOT: len(LAYERS)}


def part_of(module: str) -> str:
    """`harness.scoring.tests` -> `scoring`; `harness` itself -> `harness`."""
    return module.split(".")[1] if "." in module else ROOT


def is_ours(module: str) -> bool:
    return module == ROOT or module.startswith(f"{ROOT}.")


def imported_modules(
    tree: ast.AST, package: str, parts: frozenset[str]
) -> Iterator[tuple[int, str]]:
    """(line, absolute module) of every import of ours, wherever in the file it stands.

    `from harness import irt` is an import of `harness.irt`; `from harness import Plan` is one of
    the root, as `Plan` is no module. `package` is where relative imports start.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                if level:
                    above = package.split(".")[: len(package.split(".")) - level + 1]
                    module = ".".join([*above, *([module] if module else [])])
                if module == ROOT:
                    found = [
                        f"{ROOT}.{alias.name}" if alias.name in parts else ROOT for alias in names
                    ]
                else:
                    found = [module or ""]
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                found = [name]
            case _:
                continue
        for name in found:
            if is_ours(name):
                yield node.lineno, name


def violations(source: str, module: str, package: str, parts: frozenset[str]) -> list[str]:
    """What in `source`, the text of `module`, breaks the order; one sentence each."""
    importer = part_of(module)
    problems = []
    for line, imported in imported_modules(ast.parse(source), package, parts):
        target = part_of(imported)
        if importer == target:
            continue
        if target not in LEVEL:
            problems.append(f"{module}, line {line}: {imported} is in no layer")
        elif LEVEL[target] >= LEVEL[importer]:
            problems.append(
                f"{module}, line {line}: imports {imported}, which is not below {importer}"
            )
    return problems


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        names = path.relative_to(REPOSITORY).with_suffix("").parts
        found[".".join(names[:-1] if names[-1] == "__init__" else names)] = path
    return found


PARTS = frozenset(part_of(module) for module in modules()) - {ROOT}


def test_every_module_has_a_layer() -> None:
    unknown = PARTS - LEVEL.keys()
    assert not unknown, (
        f"{', '.join(sorted(unknown))}: in no layer; add each to LAYERS in tests/test_imports.py "
        "and to the order of imports in docs/architecture.md"
    )


@pytest.mark.parametrize(("module", "path"), modules().items(), ids=modules().keys())
def test_imports_go_one_way(module: str, path: Path) -> None:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    source = path.read_text(encoding="utf-8")
    if part_of(module) in LEVEL:
        assert violations(source, module, package, PARTS) == []


@pytest.mark.parametrize(
    "source",
    [
        "import harness.session",
        "from harness.session import Session",
        "from harness import session",
        "from harness import Session",
        "from .session import Session",
        "from . import session",
        "def late():\n    from harness.session import Session",
        "if TYPE_CHECKING:\n    import harness.session",
        "importlib.import_module('harness.session')",
    ],
)
def test_an_upward_import_is_found_however_it_is_written(source: str) -> None:
    parts = frozenset({"bank", "session"})
    assert len(violations(source, "harness.bank", "harness", parts)) == 1


def test_the_root_is_above_everything() -> None:
    parts = frozenset({"session", "cli"})
    assert len(violations("from harness import Plan", "harness.cli.run", "harness.cli", parts)) == 1
    assert violations("from harness import session", "harness.cli.run", "harness.cli", parts) == []
    assert violations("from harness.cli import main", "harness", "harness", parts) == []


def test_neighbours_of_one_layer_keep_apart() -> None:
    parts = frozenset({"report", "gate", "journal"})
    assert violations("import harness.gate", "harness.report.page", "harness.report", parts)
    assert not violations("import harness.journal", "harness.report.page", "harness.report", parts)
    assert not violations("from . import svg", "harness.report.page", "harness.report", parts)


HEAVY = (
    *("docker", "inspect_ai", "matplotlib", "psycopg", "scipy.stats", "sklearn", "sqlalchemy"),
)


@pytest.mark.parametrize("module", ["harness", "harness.cli"])
def test_importing_stays_light(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules.keys() & set({HEAVY!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


# Assembled here, so that this file does not name what it looks for.
REGISTRIES = tuple(
    ".".join(labels)
    for labels in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("anaconda", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("security", "ubuntu", "com"),
        ("ports", "ubuntu", "com"),
        ("registry-1", "docker", "io"),
        ("index", "docker", "io"),
        ("hub", "docker", "com"),
        ("docker", "io/library"),
        ("ghcr", "io"),
        ("gcr", "io"),
        ("quay", "io"),
        ("registry", "npmjs", "org"),
        ("proxy", "golang", "org"),
    )
)


def project_files() -> list[Path]:
    """What git tracks or would: a file that is about to be added counts already."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        cwd=REPOSITORY,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: no list of the project's files")
    return [
        path
        for name in listed.stdout.decode().split("\0")
        if name and (path := REPOSITORY / name).is_file()
    ]


def test_no_file_names_a_registry() -> None:
    files = project_files()
    assert Path(__file__).resolve() in files
    named = [
        f"{path.relative_to(REPOSITORY)}: {host}"
        for path in files
        for host in REGISTRIES
        if host.encode() in path.read_bytes()
    ]
    assert named == []
