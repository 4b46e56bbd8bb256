"""The disk cache's files: whole or absent, checked, bounded, and shared by processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from nnc.runtime.store import ABANDONED_SECONDS, HEADER, LAYOUT, Store

KEY = sha256(b"key").hexdigest()
PAYLOAD = bytes(range(256)) * 300


def key(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()


def the_file(folder: Path) -> Path:
    (file,) = [path for path in folder.rglob("*") if path.is_file()]
    return file


def test_what_is_written_is_read_on_a_cache_line(tmp_path: Path):
    store = Store(tmp_path)
    assert store.read("a", KEY) is None
    store.write("a", KEY, [PAYLOAD[:1000], memoryview(PAYLOAD)[1000:]])
    for reader in (store, Store(tmp_path)):
        content = reader.read("a", KEY)
        assert content is not None
        assert content == PAYLOAD
        assert content.readonly
    assert HEADER % 64 == 0
    assert store.read("b", KEY) is None
    assert store.read("a", key(1)) is None


def test_an_empty_payload(tmp_path: Path):
    store = Store(tmp_path)
    store.write("a", KEY, [])
    assert store.read("a", KEY) == b""


def flip(position: int) -> bytes:
    content = bytearray(the_file(Path.cwd()).read_bytes())
    content[position] ^= 1
    return bytes(content)


BROKEN = {
    "name": lambda: flip(0),
    "length": lambda: flip(8),
    "digest": lambda: flip(17),
    "first byte": lambda: flip(HEADER),
    "last byte": lambda: flip(-1),
    "truncated": lambda: the_file(Path.cwd()).read_bytes()[:-1],
    "longer": lambda: the_file(Path.cwd()).read_bytes() + b"\0",
    "header alone": lambda: the_file(Path.cwd()).read_bytes()[:HEADER],
    "half a header": lambda: the_file(Path.cwd()).read_bytes()[:10],
    "empty": lambda: b"",
    "zeros": lambda: bytes(HEADER + len(PAYLOAD)),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_file_is_ignored_and_written_again(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path)
    store.write("a", KEY, [PAYLOAD])
    the_file(tmp_path).write_bytes(BROKEN[damage]())
    assert store.read("a", KEY) is None
    store.write("a", KEY, [PAYLOAD])
    assert store.read("a", KEY) == PAYLOAD


def test_a_file_stays_mapped_after_it_has_been_replaced_and_removed(tmp_path: Path):
    store = Store(tmp_path)
    store.write("a", KEY, [PAYLOAD])
    mapped = store.read("a", KEY)
    store.write("a", KEY, [bytes(len(PAYLOAD))])
    assert store.read("a", KEY) == PAYLOAD, "a key stands for one payload"
    store.write("a", KEY, [bytes(len(PAYLOAD))], replace=True)
    assert store.read("a", KEY) == bytes(len(PAYLOAD))
    the_file(tmp_path).unlink()
    assert mapped == PAYLOAD


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / "file")
    store.write("a", KEY, [PAYLOAD])
    store.trim()
    assert store.read("a", KEY) is None


def sizes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_was_used_longest_ago_goes_first(tmp_path: Path):
    size = 10_000
    store = Store(tmp_path, limit=10 * size)
    now = time.time()
    for number in range(10):
        store.write("a", key(number), [bytes(size)])
        path = tmp_path / LAYOUT / "a" / key(number)[:2] / key(number)
        os.utime(path, (now - 1000 + number, now - 1000 + number))
    assert store.read("a", key(0)) is not None, "the limit is not reached, and reading is a use"
    store.trim()
    left = [n for n in range(10) if store.read("a", key(n)) is not None]
    assert 0 in left
    assert left[1:] == list(range(10 - len(left) + 1, 10))
    assert 0.5 * store.limit < sizes(tmp_path) <= 0.75 * store.limit


def test_a_payload_beyond_the_limit_is_not_kept(tmp_path: Path):
    store = Store(tmp_path, limit=len(PAYLOAD))
    store.write("a", KEY, [PAYLOAD])
    assert store.read("a", KEY) is None
    assert sizes(tmp_path) == 0


def test_files_of_others_in_the_folder_are_left_alone(tmp_path: Path):
    mine = tmp_path / "thesis.txt"
    mine.write_bytes(bytes(100_000))
    os.utime(mine, (0, 0))
    store = Store(tmp_path, limit=1000)
    store.write("a", KEY, [bytes(700)])
    store.trim()
    assert mine.exists()
    assert store.read("a", KEY) is not None


WRITER = """
    import sys
    from hashlib import sha256
    from nnc.runtime.store import Store
    store = Store(sys.argv[1], limit=int(sys.argv[2]))
    seed = int(sys.argv[3])
    print("ready", flush=True)
    while True:
        for number in range(6):
            content = bytes([number]) * (3_000_000 + number)
            key = sha256(content).hexdigest()
            if number % 3 == seed % 3:
                store.write("a", key, [content[:1_000_000], content[1_000_000:]], replace=True)
                store.trim()
            found = store.read("a", key)
            assert found is None or found == content, "half a file was read"
        print("round", flush=True)
"""


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Three processes that write, read, check and trim one store without end."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), "40000000", str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(3)
    ]
    yield started
    for process in started:
        process.kill()
        process.communicate()


def lines(process: subprocess.Popen[str], count: int) -> None:
    assert process.stdout is not None
    for _ in range(count):
        if not process.stdout.readline():
            raise AssertionError(process.communicate()[1])


def test_processes_write_at_once_and_are_killed_in_the_middle(
    tmp_path: Path, writers: list[subprocess.Popen[str]]
):
    for process in writers:
        lines(process, 1)
    survivor = writers[0]
    for process in writers[1:]:
        lines(process, 2)
        # Wait for a file that is half written, so that the kill falls into its middle.
        deadline = time.monotonic() + 20
        while not list(tmp_path.rglob("*.tmp")) and time.monotonic() < deadline:
            pass
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    lines(survivor, 3)
    assert survivor.poll() is None, "what the others left did not disturb it"
    survivor.kill()
    survivor.wait()
    store = Store(tmp_path)
    for number in range(6):
        content = bytes([number]) * (3_000_000 + number)
        found = store.read("a", sha256(content).hexdigest())
        assert found is None or found == content
        store.write("a", sha256(content).hexdigest(), [content])
        assert store.read("a", sha256(content).hexdigest()) == content


def test_what_a_killed_writer_left_is_removed_when_it_is_old(tmp_path: Path):
    store = Store(tmp_path)
    store.write("a", KEY, [PAYLOAD])
    folder = the_file(tmp_path).parent
    (folder / "old.tmp").write_bytes(b"half")
    (folder / "new.tmp").write_bytes(b"half")
    then = time.time() - ABANDONED_SECONDS - 1
    os.utime(folder / "old.tmp", (then, then))
    store.trim()
    assert {path.name for path in folder.iterdir()} == {KEY, "new.tmp"}
