"""Agents that attack their sandbox: what they reach, and what the machine shows meanwhile.

`pytest -s` prints a line for each attack: how busy the machine was, how much less memory and disk
it had at its worst, and how long a command took in a container beside it.
"""

import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from docker import APIClient
from inspect_ai.util import ExecResult, OutputLimitExceededError, override_sandbox_output_limit

from harness.errors import DockerError
from harness.sandbox import archive, disk, engine, fate, images
from harness.sandbox import container as containers
from harness.sandbox.archive import TooLargeError
from harness.sandbox.config import SandboxConfig
from harness.sandbox.container import Container
from harness.sandbox.differ import changes
from harness.sandbox.fate import Fate
from harness.sandbox.provider import CatDockerSandbox

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

RUN = f"test-hostile-{os.getpid()}"
MEBIBYTE = 1 << 20
NOBODY = Fate("none")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def image() -> str:
    return images.ensure_base()


@asynccontextmanager
async def running(image: str, **limits: object) -> AsyncIterator[CatDockerSandbox]:
    fields = {"workdir": "/app", "pids": 64, "memory_mb": 192, "tmpfs_mb": 32, **limits}
    config = SandboxConfig.model_validate({"image": image, "run": RUN, **fields})
    environments = await CatDockerSandbox.sample_init("test", config, {})
    try:
        yield environments["default"].as_type(CatDockerSandbox)
    finally:
        await CatDockerSandbox.sample_cleanup("test", config, environments, False)


async def sh(sandbox: CatDockerSandbox, script: str, timeout: int = 20) -> ExecResult[str]:
    return await sandbox.exec(["bash", "-c", script], timeout=timeout)


async def python(sandbox: CatDockerSandbox, code: str, timeout: int = 20) -> ExecResult[str]:
    return await sandbox.exec(["python3", "-c", code], timeout=timeout)


def processes(sandbox: CatDockerSandbox) -> int:
    stats = engine.call("look", lambda api: api.stats(sandbox.container.id, stream=False))
    return int(stats["pids_stats"]["current"])


async def verdict(sandbox: CatDockerSandbox) -> Fate:
    return await anyio.to_thread.run_sync(fate.fate, sandbox.container)


async def ended(sandbox: CatDockerSandbox) -> Fate:
    with anyio.fail_after(20):
        while await anyio.to_thread.run_sync(containers.is_running, sandbox.container):
            await anyio.sleep(0.1)
    return await verdict(sandbox)


def free_memory() -> int:
    with open("/proc/meminfo") as lines:
        found = dict(line.split(":", 1) for line in lines)
    return int(found["MemAvailable"].split()[0]) * 1024


def processor_time() -> tuple[int, int]:
    """Ticks that the machine's processors were busy, and all there were."""
    with open("/proc/stat") as lines:
        ticks = [int(number) for number in lines.readline().split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def own_memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@dataclass
class Machine:
    """What the machine showed while something went on."""

    neighbour: Container
    root: Path
    memory: list[int] = field(default_factory=list)
    disk: list[int] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    processes: list[int] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        self.memory.append(free_memory())
        self.disk.append(shutil.disk_usage(self.root).free)
        self.processes.append(sum(name.isdigit() for name in os.listdir("/proc")))
        self.own.append(own_memory())

    def watch(self) -> None:
        api = APIClient(version="auto")
        over = False
        while not over:
            # and once more when it is over, which may be at once
            over = self._over.wait(0.3)
            self.look()
            begun = time.monotonic()
            command = api.exec_create(self.neighbour.id, ["true"])["Id"]
            api.exec_start(command)
            assert api.exec_inspect(command)["ExitCode"] == 0
            self.latency.append(time.monotonic() - begun)

    @property
    def memory_taken(self) -> int:
        return self.memory[0] - min(self.memory)

    @property
    def disk_taken(self) -> int:
        return self.disk[0] - min(self.disk)


@pytest.fixture(scope="module")
def neighbour(image: str) -> Iterator[Container]:
    config = SandboxConfig(image=image, run=RUN)
    made = containers.start(config, image)
    yield made
    assert containers.is_running(made)
    containers.dismiss(made)
    containers.wait()
    assert engine.containers(RUN) == ()


@pytest.fixture
def machine(neighbour: Container, request: pytest.FixtureRequest) -> Iterator[Machine]:
    root = engine.call("look", lambda api: Path(api.info()["DockerRootDir"]))
    if not root.exists():
        pytest.skip("the engine's disk is not on this machine")
    shown = Machine(neighbour, root)
    shown.look()
    before = processor_time()
    thread = threading.Thread(target=shown.watch)
    thread.start()
    yield shown
    shown._over.set()
    thread.join(30)
    assert not thread.is_alive()
    assert shown.latency, "the container beside it did not answer"
    busy, all_of_it = (now - then for then, now in zip(before, processor_time(), strict=True))
    print(
        f"\n{request.node.name}: processors {100 * busy / all_of_it:.0f} % busy, "
        f"load {os.getloadavg()[0]:.1f}, memory -{shown.memory_taken // MEBIBYTE} MiB, "
        f"disk -{shown.disk_taken // MEBIBYTE} MiB, "
        f"processes +{max(shown.processes) - shown.processes[0]}, neighbour "
        f"{sorted(shown.latency)[len(shown.latency) // 2]:.2f} s (worst {max(shown.latency):.2f})"
    )


async def test_fork_bomb(image: str, machine: Machine) -> None:
    async with running(image) as sandbox:
        with suppress(TimeoutError):
            await sh(sandbox, "bomb() { bomb | bomb & }; bomb; wait; sleep 20", timeout=2)
        assert (await sandbox.exec(["echo", "alive"])).stdout == "alive\n"
        assert processes(sandbox) <= 64
        assert await verdict(sandbox) == NOBODY


async def test_fork_bomb_that_hides(image: str, machine: Machine) -> None:
    # Without the marker of its command nothing in the container can find and kill it.
    async with running(image) as sandbox:
        bomb = "import os\nwhile True:\n try: os.fork()\n except OSError: pass"
        await sandbox.write_file("bomb.py", bomb)
        with suppress(TimeoutError):
            await sh(sandbox, "setsid env -i /usr/bin/env python3 bomb.py & sleep 20", timeout=2)
        assert processes(sandbox) <= 64
        found = await verdict(sandbox)
        assert found.by in ("agent", "none")
        await anyio.to_thread.run_sync(containers.stop, sandbox.container)


async def test_memory_flood(image: str, machine: Machine) -> None:
    async with running(image) as sandbox:
        result = await python(sandbox, "x = []\nwhile True: x.append(bytearray(1 << 20))")
        assert result.returncode == 137
        assert await verdict(sandbox) == NOBODY
    assert machine.memory_taken < (192 + 512) * MEBIBYTE


async def test_memory_files_are_memory(image: str, machine: Machine) -> None:
    async with running(image) as sandbox:
        result = await sh(sandbox, "cat /dev/zero > /tmp/x; cat /dev/zero > /dev/shm/x; df -m")
        assert result.stderr.count("No space left on device") == 2
        assert await verdict(sandbox) == NOBODY
        assert (await sandbox.exec(["echo", "alive"])).stdout == "alive\n"
    assert machine.memory_taken < (192 + 512) * MEBIBYTE
    assert machine.disk_taken < 256 * MEBIBYTE


async def test_memory_files_beyond_the_memory(image: str, machine: Machine) -> None:
    # Killing processes does not free such files, so at times the first process is killed, too.
    async with running(image, memory_mb=64, tmpfs_mb=512) as sandbox:
        with suppress(DockerError, TimeoutError):
            for _ in range(3):
                await sh(sandbox, "cat /dev/zero > /tmp/$$; cat /dev/zero > /dev/shm/$$", 3)
        found = await verdict(sandbox)
        if found == NOBODY:
            assert (await sandbox.exec(["echo", "alive"])).returncode in (0, 126, 137)
        else:
            assert found.by == "agent"
            assert "memory" in found.detail
    assert machine.memory_taken < (64 + 512) * MEBIBYTE


async def test_disk_flood(image: str, machine: Machine) -> None:
    async with running(image, storage_mb=64) as sandbox:
        with pytest.raises(DockerError, match="not running"):
            await sh(sandbox, "i=0; while :; do i=$((i+1)); head -c 8000000 /dev/zero > $i; done")
        found = await ended(sandbox)
        assert found.by == "agent"
        assert "its task allows 64" in found.detail
    assert machine.disk_taken < 8192 * MEBIBYTE


async def test_disk_flood_by_files_without_names(image: str, machine: Machine) -> None:
    code = (
        "import os\nkept = []\n"
        "while True:\n"
        "    kept.append(open('x', 'wb', 0)); os.remove('x')\n"
        "    for _ in range(8): kept[-1].write(bytes(1 << 20))\n"
    )
    async with running(image, storage_mb=64) as sandbox:
        with pytest.raises(DockerError, match="not running"):
            await python(sandbox, code)
        found = await ended(sandbox)
        assert found.by == "agent"
        assert "its task allows 64" in found.detail


async def test_thousands_of_small_files(image: str, machine: Machine) -> None:
    code = "for i in range(200_000): open(f'/app/{i}', 'w').close()"
    async with running(image, storage_mb=16) as sandbox:
        with pytest.raises(DockerError, match="not running"):
            await python(sandbox, code)
        found = await ended(sandbox)
        assert found.by == "agent"
        assert "its task allows 16" in found.detail
        with pytest.raises(TooLargeError, match="1,001 entries"):
            archive.copy_out(
                sandbox.container, ["/app"], stage="/s", max_bytes=1 << 30, max_entries=1000
            )


async def test_directories_deeper_than_paths(image: str, machine: Machine) -> None:
    code = (
        "import os\n"
        "for i in range(60):\n"
        "    os.mkdir('d' * 200); os.chdir('d' * 200)\n"
        "open('secret', 'w').close()"
    )
    async with running(image) as sandbox:
        await python(sandbox, code)
        # The thread that looks after disks comes by every ten seconds; no need to wait for it.
        layer = disk._Layer(sandbox.container, 64)
        disk._measure(layer)
        found = await ended(sandbox)
        assert found.by == "agent"
        assert "deeper" in found.detail
        tree = archive.copy_out(
            sandbox.container, ["/app"], stage="/s", max_bytes=1 << 20, max_entries=1000
        )
        assert tree.entries < 60


async def test_endless_output(image: str, machine: Machine) -> None:
    async with running(image) as sandbox:
        with (
            override_sandbox_output_limit(MEBIBYTE, "exec"),
            pytest.raises(OutputLimitExceededError),
        ):
            await sh(sandbox, "cat /dev/zero")
        assert await verdict(sandbox) == NOBODY
    assert max(machine.own) - machine.own[0] < 256 * MEBIBYTE


async def test_sparse_files(image: str, machine: Machine) -> None:
    async with running(image, storage_mb=20 << 10) as sandbox:
        assert (await sh(sandbox, "truncate -s 10G big && du -m big")).stdout.startswith("0")
        await anyio.to_thread.run_sync(containers.stop, sandbox.container)
        with pytest.raises(TooLargeError) as refused:
            archive.copy_out(
                sandbox.container, ["/app"], stage="/s", max_bytes=1 << 30, max_entries=1000
            )
        assert refused.value.found == 10 << 30
        # The engine lets go of the container, though it had ten gigabytes to send.
        assert [change.path for change in changes(sandbox.container)] == ["/app/big"]
        assert disk.written(sandbox.container) < MEBIBYTE
    assert machine.disk_taken < 256 * MEBIBYTE
    assert max(machine.own) - machine.own[0] < 256 * MEBIBYTE


async def test_a_file_larger_than_allowed_cannot_be_made(image: str, machine: Machine) -> None:
    async with running(image, storage_mb=32) as sandbox:
        assert not (await sh(sandbox, "truncate -s 10G big")).success
        assert not (await sh(sandbox, "fallocate -l 10G big")).success
        assert not (await sh(sandbox, "dd if=/dev/zero of=big bs=1 count=1 seek=10G")).success


async def test_tricks_with_links_and_pipes_in_reads(image: str, machine: Machine) -> None:
    script = """
        mkfifo pipe; ln -s pipe to-pipe; ln -s /dev/zero zero; ln -s /dev/stdin stdin
        ln -s loop loop; ln -s /proc/1/environ environ; ln -s /etc etc; mkdir folder
        ln -s /etc/hostname reward.txt; mkfifo reward.json; ln /app/pipe ctrf.json
        echo good > other; head -c 5000 /dev/zero > large
    """
    async with running(image) as sandbox:
        await sh(sandbox, script)
        for name in ("pipe", "to-pipe", "zero", "stdin", "loop", "environ", "folder", "etc"):
            with pytest.raises((OSError, UnicodeDecodeError)):
                await sandbox.read_file(name)
        names = ["reward.txt", "reward.json", "ctrf.json", "other", "large", "absent", "folder"]
        found = archive.read_files(sandbox.container, "/app", names, 4096)
        assert found == {"other": b"good\n"}
        assert archive.read_files(sandbox.container, "/app/etc", ["hostname"], 4096) == {}
        assert archive.read_files(sandbox.container, "/no/such/place", ["x"], 4096) == {}


async def test_verdicts_that_are_buried(image: str, machine: Machine) -> None:
    async with running(image) as sandbox:
        script = "mkdir -p v; head -c 90000000 /dev/zero > v/a; echo 1 > v/reward.txt; ln -s x v/l"
        await sh(sandbox, script)
        found = archive.read_files(sandbox.container, "/app/v", ["reward.txt", "l", "a"], 4096)
        assert found == {"reward.txt": b"1\n"}


async def test_kill_everything(image: str, machine: Machine) -> None:
    async with running(image) as sandbox:
        for script in ("kill -9 -1", "kill -9 1", "for p in $(seq 2 99); do kill -9 $p; done"):
            await sh(sandbox, f"{script}; true")
        assert (await sandbox.exec(["echo", "alive"])).stdout == "alive\n"
        assert await verdict(sandbox) == NOBODY


async def test_ignoring_signals(image: str, machine: Machine) -> None:
    script = "trap '' TERM INT HUP QUIT; (trap '' TERM; sleep 4245) & while :; do sleep 1; done"
    async with running(image) as sandbox:
        with pytest.raises(TimeoutError):
            await sh(sandbox, script, timeout=1)
        assert containers.processes(sandbox.container) == 0
        assert await verdict(sandbox) == NOBODY


NETWORK = """
import os, socket
def attempt(what, do):
    try:
        do()
        print('reached', what)
    except OSError as error:
        print('no', what, error)
for place in ('192.0.2.1', '169.254.169.254', '172.17.0.1', '10.0.0.1', '8.8.8.8'):
    attempt(place, lambda: socket.create_connection((place, 80), 2))
    packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    attempt(place, lambda: packets.sendto(b'x', (place, 53)))
attempt('name', lambda: socket.getaddrinfo('metadata.internal', 80))
attempt('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
for name in ('/var/run/docker.sock', '/run/docker.sock', '/run/containerd/containerd.sock'):
    attempt(name, lambda: socket.socket(socket.AF_UNIX).connect(name))
for name in os.listdir('/sys/class/net'):
    if name != 'lo': print('reached', name)
"""


async def test_network(image: str, machine: Machine) -> None:
    async with running(image) as sandbox:
        result = await python(sandbox, NETWORK)
        assert result.success, result.stderr
        assert "reached" not in result.stdout
        assert len([line for line in result.stdout.splitlines() if line.startswith("no ")]) == 16


ESCAPES = """
import ctypes, os
def attempt(what, do):
    try:
        do()
        print('reached', what)
    except OSError as error:
        print('no', what, error)
def write(path, text='x'):
    with open(path, 'w') as file: file.write(text)
libc = ctypes.CDLL(None, use_errno=True)
def syscall(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)
attempt('core_pattern', lambda: write('/proc/sys/kernel/core_pattern', '|/app/x'))
attempt('sysrq', lambda: write('/proc/sysrq-trigger', 'b'))
attempt('cgroup', lambda: os.mkdir('/sys/fs/cgroup/memory/x'))
attempt('release', lambda: write('/sys/fs/cgroup/memory/release_agent', '/app/x'))
attempt('limit', lambda: write('/sys/fs/cgroup/memory/memory.limit_in_bytes', '-1'))
attempt('limit2', lambda: write('/sys/fs/cgroup/memory.max', 'max'))
attempt('oom', lambda: write('/proc/1/oom_score_adj', '-1000'))
attempt('own oom', lambda: write('/proc/self/oom_score_adj', '-1000'))
attempt('mem', lambda: open('/dev/mem', 'rb'))
attempt('kcore', lambda: open('/proc/kcore', 'rb').read(10) or os.open('/nothing', 0))
attempt('device', lambda: os.mknod('/app/sda', 0o60666, os.makedev(8, 0)))
attempt('character', lambda: os.mknod('/app/mem', 0o20666, os.makedev(1, 1)))
attempt('mount', lambda: syscall('mount', b'none', b'/app', b'tmpfs', 0, None))
attempt('unshare', lambda: syscall('unshare', 0x10000000))
attempt('chroot', lambda: os.chroot('/app'))
attempt('setuid', lambda: os.setuid(65533))
attempt('chown', lambda: os.chown('/etc/hostname', 1, 1))
attempt('hostname', lambda: syscall('sethostname', b'x', 1))
attempt('reboot', lambda: syscall('reboot', 0x01234567))
attempt('environ', lambda: open('/proc/1/environ').read())
attempt('root', lambda: os.listdir('/proc/1/root/'))
attempt('trace', lambda: syscall('ptrace', 16, 1, 0, 0))
"""


async def test_escapes(image: str, machine: Machine) -> None:
    async with running(image) as sandbox:
        result = await python(sandbox, ESCAPES)
        assert result.success, result.stderr
        assert "reached" not in result.stdout
        assert len(result.stdout.splitlines()) == 22
        assert await verdict(sandbox) == NOBODY


async def test_writing_outside_the_workspace(image: str, machine: Machine) -> None:
    marker = f"cat-harness-{os.getpid()}"
    places = ("/etc", "/usr/local/bin", "/root", "/var/tmp", "/tmp", "/dev/shm", "/")
    async with running(image) as sandbox:
        script = "; ".join(f"echo x > {place.rstrip('/')}/{marker}" for place in places)
        assert (await sh(sandbox, script)).success
        found = {change.path for change in changes(sandbox.container)}
        on_disk = set(places) - {"/tmp", "/dev/shm"}
        assert found == {"/app", *(f"{place.rstrip('/')}/{marker}" for place in on_disk)}
        for place in places:
            assert not Path(place, marker).exists()
        # What is outside of the workspace does not reach the next container.
        async with running(image) as other:
            await sh(sandbox, "echo made > /app/made; ln -s /etc/passwd link")
            tree = archive.copy_out(
                sandbox.container, ["/app"], stage="/s", max_bytes=1 << 20, max_entries=10
            )
            archive.put(other.container, (), tree)
            assert tree.left_out == ("/app/link links to /etc/passwd",)
            assert {change.path for change in changes(other.container)} == {"/s/app/made", "/app"}


NAMES = r"""
import os
os.chdir(b'/app')
names = [b'two\nlines', b'\xff\xfe', b'-rf', b' ', b'*', b'\\', b'"', b"'", b'$(id)', b'a' * 255,
         '\u00e9'.encode(), b'\xc3', b'tab\t', b'..a', b'...', b'~', b'#', b'\x01', b'\x7f']
for name in names:
    os.makedirs(b'dir-' + name[:250])
    for place in (b'', b'dir-' + name[:250] + b'/'):
        with open(place + name, 'wb') as file: file.write(name)
    os.symlink(name, b'to-' + name[:250])
    os.link(name, b'hard-' + name[:250])
"""

LISTING = r"""
import hashlib, os, sys
lines = []
for place, folders, files in os.walk(sys.argv[1].encode()):
    relative = os.path.relpath(place, sys.argv[1].encode())
    for name in folders + files:
        path = os.path.join(place, name)
        facts = os.lstat(path)
        content = b''
        if os.path.islink(path): content = os.readlink(path)
        elif os.path.isfile(path): content = open(path, 'rb').read()
        lines.append(repr((relative, name, oct(facts.st_mode), facts.st_uid, facts.st_gid,
                           int(facts.st_mtime), content)))
print('\n'.join(sorted(lines)))
"""


async def test_names_of_every_kind_survive(image: str, machine: Machine) -> None:
    async with running(image) as sandbox, running(image) as other:
        assert (await python(sandbox, NAMES)).success
        tree = archive.copy_out(
            sandbox.container, ["/app"], stage="/s", max_bytes=1 << 20, max_entries=1000
        )
        assert tree.left_out == ()
        archive.put(other.container, (), tree)
        before = await sandbox.exec(["python3", "-c", LISTING, "/app"])
        after = await other.exec(["python3", "-c", LISTING, "/s/app"])
        assert len(before.stdout.splitlines()) == 19 * 5
        assert after.stdout == before.stdout
        hashes = archive.tree_hashes(tree)
        assert len(hashes) == 19 * 3
        assert hashes["/app/two\nlines"] == hashes["/app/hard-two\nlines"]
        tree.close()


EXPANDING = r"""
import os, tarfile
os.chdir('/app')
os.symlink('/', 'root'); os.symlink('../../..', 'up'); os.symlink('/etc', 'etc')
os.symlink('root/etc', 'through'); os.symlink('/app/../etc', 'around')
os.symlink('etc/passwd', 'passwd'); os.symlink('/proc/self/root', 'proc')
os.makedirs('a/b'); os.symlink('b', 'a/in'); os.symlink('in/../../../etc', 'a/out')
os.mkfifo('fifo'); open('suid', 'w').close(); os.chmod('suid', 0o6755)
open('file', 'w').close(); os.setxattr('file', 'user.x', b'y')
with tarfile.open('evil.tar', 'w') as tar:
    info = tarfile.TarInfo('../../etc/evil'); tar.addfile(info)
import socket
socket.socket(socket.AF_UNIX).bind('socket')
"""


async def test_nothing_expands_outside_when_copied_out(image: str, machine: Machine) -> None:
    async with running(image) as sandbox, running(image) as other:
        result = await python(sandbox, EXPANDING)
        assert result.success, result.stderr
        tree = archive.copy_out(
            sandbox.container, ["/app"], stage="/s", max_bytes=1 << 20, max_entries=100
        )
        archive.put(other.container, archive.file_members({"x": b"y"}, "/logs/agent"), tree)
        found = {change.path for change in changes(other.container)}
        assert found == {
            *("/app", "/logs/agent/x", "/s/app/a/b", "/s/app/a/in", "/s/app/evil.tar"),
            *("/s/app/file", "/s/app/suid"),
        }
        script = (
            "stat -c %a /s/app/suid; python3 -c 'import os; print(os.listxattr(\"/s/app/file\"))'"
        )
        assert (await sh(other, script)).stdout == "755\n[]\n"
        said = " ".join(tree.left_out)
        for name in ("root", "up", "etc", "through", "around", "passwd", "proc", "a/out", "fifo"):
            assert f"/app/{name} " in said
        tree.close()


async def test_a_workspace_that_was_moved_or_is_gone(image: str, machine: Machine) -> None:
    async with running(image) as sandbox:
        await sh(sandbox, "cd /; echo x > /app/x; mv /app /data; ln -s /data /app; mkdir /b /c")
        await sh(
            sandbox, "cd /; rm -r b c; echo file > /c; ln -s /etc/passwd d; ln -s e e; mkfifo f"
        )
        places = ["/app", "/b", "/c", "/c/below", "/d", "/e", "/e/below", "/f"]
        trees = [
            archive.copy_out(sandbox.container, [place], stage="/s", max_bytes=99, max_entries=9)
            for place in places
        ]
        found = [place for place, tree in zip(places, trees, strict=True) if tree.roots]
        assert found == ["/app", "/c"]
        assert [tree.missing for tree in trees if not tree.roots] == [
            (place,) for place in places if place not in found
        ]
        assert trees[0].pairs == ("/s/app", "/app")
        assert list(archive.tree_hashes(trees[0])) == ["/app/x"]
        assert list(archive.tree_hashes(trees[2])) == ["/c"]


async def test_probing_finds_nothing_of_the_machine(
    image: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", "sk-of-the-host")
    script = """
        env; cat /proc/self/mounts /proc/self/cgroup /proc/self/environ /proc/1/environ
        ls -laR /run /mnt /media /home /root; cat /etc/hosts /etc/resolv.conf; id; hostname
        find / -xdev -name '*.sock'; ls /dev; cat /proc/1/cmdline
    """
    async with running(image) as sandbox:
        shown = (await sh(sandbox, script)).stdout
    for word in ("sk-of-the-host", "SOME_PROVIDER", ".sock", "/dev/mem", "kmsg", str(os.getpid())):
        assert word not in shown, word
    mounts = [line.split() for line in shown.splitlines() if line.count(" ") == 5]
    kinds = {fields[2] for fields in mounts if fields[1].startswith("/") and "," in fields[3]}
    assert kinds <= {
        *("overlay", "proc", "tmpfs", "devpts", "sysfs", "mqueue", "cgroup", "cgroup2"),
        # resolv.conf, hosts, hostname and the first process are single files of the engine
        *("ext4", "xfs", "btrfs", "zfs", "fuse.fuse-overlayfs"),
    }
