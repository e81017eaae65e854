"""Where this machine gets its packages from, read from apt's own configuration."""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOVING_SUITES: Final = ("stable", "testing", "unstable", "sid", "oldstable", "devel")


@dataclass(frozen=True)
class AptSource:
    """One archive: address, suite, components, and the keyring that signs it, if named."""

    uri: str
    suite: str
    components: tuple[str, ...]
    keyring: str | None = None


def parse_lines(text: str) -> tuple[AptSource, ...]:
    """The binary archives of a one-line-per-source file (``sources.list``, ``*.list``).

    >>> parse_lines("deb [signed-by=/k.gpg] http://mirror/debian bookworm main contrib")
    (AptSource(uri='http://mirror/debian', suite='bookworm', components=('main', 'contrib'),
     keyring='/k.gpg'),)
    """
    return tuple(_from_lines(text))


def _from_lines(text: str) -> Iterator[AptSource]:
    for line in text.splitlines():
        words = line.partition("#")[0].strip()
        if not words.startswith(("deb ", "deb\t")):
            continue
        rest = words[3:].strip()
        options: dict[str, str] = {}
        if rest.startswith("["):
            inside, _, rest = rest[1:].partition("]")
            options = {
                key.lower(): value
                for key, _, value in (word.partition("=") for word in shlex.split(inside))
            }
        fields = rest.split()
        if len(fields) >= 3:
            yield AptSource(
                fields[0], fields[1], tuple(fields[2:]), _keyring(options.get("signed-by"))
            )


def parse_deb822(text: str) -> tuple[AptSource, ...]:
    """The binary archives of a stanza file (``*.sources``).

    >>> parse_deb822("Types: deb\\nURIs: http://mirror/debian\\nSuites: sid\\nComponents: main")
    (AptSource(uri='http://mirror/debian', suite='sid', components=('main',), keyring=None),)
    """
    return tuple(_from_deb822(text))


def _from_deb822(text: str) -> Iterator[AptSource]:
    for stanza in _stanzas(text):
        if "deb" not in stanza.get("types", "").split():
            continue
        if stanza.get("enabled", "yes").strip().lower() in ("no", "false", "0", "off"):
            continue
        components = tuple(stanza.get("components", "").split())
        if not components:
            continue
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield AptSource(uri, suite, components, _keyring(stanza.get("signed-by")))


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    key = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, key = {}, ""
        elif line[0] in " \t":
            if key:
                fields[key] += "\n" + line.strip()
        else:
            name, _, value = line.partition(":")
            key = name.strip().lower()
            fields[key] = value.strip()


def _keyring(signed_by: str | None) -> str | None:
    # The field may also hold a fingerprint or a whole key; only a file is of use here.
    value = (signed_by or "").strip()
    return value if value.startswith("/") and "\n" not in value else None


def machine_sources(etc: Path = Path("/etc/apt")) -> tuple[AptSource, ...]:
    """Every archive that this machine's apt is configured to use."""
    found: list[AptSource] = []
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            found += parse_deb822(text)
        elif path.suffix == ".list":
            found += parse_lines(text)
    return tuple(found)


def choose(sources: Iterable[AptSource], codename: str) -> AptSource | None:
    """The archive to install a base system from: the release's own suite, component main.

    >>> choose([AptSource("http://m", "bookworm-updates", ("main",)),
    ...         AptSource("http://m", "bookworm", ("main",))], "bookworm").suite
    'bookworm'
    """
    usable = [s for s in sources if "main" in s.components and _is_archive(s.uri)]
    for source in usable:
        if source.suite == codename:
            return source
    return next((s for s in usable if s.suite in MOVING_SUITES), None)


def _is_archive(uri: str) -> bool:
    return uri.startswith(("http://", "https://", "file:", "mirror+file:"))


def mirror(source: AptSource) -> str:
    """The address to download from; that of a ``mirror+file`` source is in its list of mirrors."""
    if not source.uri.startswith("mirror+file:"):
        return source.uri
    listing = Path(source.uri.removeprefix("mirror+file:").replace("///", "/"))
    for line in listing.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            return line.split()[0]
    return source.uri


def codename(os_release: Path = Path("/etc/os-release")) -> str | None:
    """The release of this machine, such as "bookworm"; None where it is not stated."""
    if not os_release.is_file():
        return None
    for line in os_release.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip().strip('"') or None
    return None
