"""Snapshots are whole or absent, and belong to the log that asks for them."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dynmm.stream import snapshots
from dynmm.stream.snapshots import MANIFEST, SnapshotStore

HEADS = {number: f"{number:02x}" * 32 for number in range(100)}


def put(store: SnapshotStore, offset: int) -> Path:
    return store.put(offset, HEADS[offset], lambda folder: fill(folder, offset)).folder


def fill(folder: Path, offset: int) -> None:
    (folder / "weights").mkdir()
    (folder / "weights" / "all.bin").write_bytes(bytes([offset]) * 1000)


def ours(offset: int, head: str) -> bool:
    return HEADS[offset] == head


def newest(store: SnapshotStore, offset: int = 99) -> int | None:
    found = store.newest(offset, ours)
    return None if found is None else found.offset


def test_the_newest_up_to_an_offset_is_found(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "snapshots")
    assert newest(store) is None
    for offset in (5, 30, 12):
        put(store, offset)
    assert [newest(store, offset) for offset in (99, 30, 29, 12, 11, 4)] == [30, 30, 12, 12, 5, None]
    found = SnapshotStore(tmp_path / "snapshots").newest(99, ours)
    assert found is not None
    assert (found.folder / "weights" / "all.bin").read_bytes() == bytes([30]) * 1000


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, keep=2)
    for offset in range(5):
        put(store, offset)
    assert len(list(tmp_path.iterdir())) == 2
    assert newest(store) == 4


def test_of_several_at_one_offset_the_last_one_is_the_newest_and_is_kept(tmp_path: Path) -> None:
    """A mark moves the head and no offset, and a head that is a hash may be lower than the one before."""
    store, heads = SnapshotStore(tmp_path, keep=1), ["f" * 64, "0" * 64, "8" * 64]
    for number, head in enumerate(heads):
        made = store.put(7, head, lambda folder: fill(folder, 7)).folder
        os.utime(made, ns=(number, number))  # clocks of files may be coarse
        assert made.is_dir()
    kept = SnapshotStore(tmp_path, keep=3)
    kept.put(7, heads[0], lambda folder: fill(folder, 7))
    found = kept.newest(7, lambda offset, head: True)
    assert found is not None
    assert found.head == heads[0]


@pytest.mark.parametrize("harm", ["flip", "cut", "missing", "extra", "manifest", "no manifest"])
def test_a_damaged_one_is_passed_over(tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture) -> None:
    store = SnapshotStore(tmp_path)
    put(store, 5)
    folder = put(store, 9)
    file = folder / "weights" / "all.bin"
    if harm == "flip":
        file.write_bytes(b"\0" + file.read_bytes()[1:])
    elif harm == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    elif harm == "missing":
        file.unlink()
    elif harm == "extra":
        (folder / "more").touch()
    elif harm == "manifest":
        (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace('"offset": 9', '"offset": 8'))
    else:
        (folder / MANIFEST).unlink()
    with caplog.at_level(logging.WARNING):
        assert newest(store) == 5
    assert str(folder) in caplog.text


@pytest.mark.parametrize("read", ["sha256_of", "_files"])
def test_one_that_is_pruned_while_it_is_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    """Whoever opens a run beside its writer, who keeps a newer one."""
    store = SnapshotStore(tmp_path)
    put(store, 5)
    folder, before = put(store, 9), getattr(snapshots, read)

    def late(path: Path) -> object:
        if folder in (path, *path.parents) and folder.exists():
            shutil.rmtree(folder)
        return before(path)

    monkeypatch.setattr(snapshots, read, late)
    assert newest(store) == 5


def test_one_of_another_log_is_passed_over(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    put(store, 5)
    store.put(9, "ff" * 32, lambda folder: None)
    assert newest(store) == 5


def test_all_can_be_dropped(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    for offset in (5, 9, 12):
        put(store, offset)
    store.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_leaves_nothing(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    put(store, 5)

    def fail(folder: Path) -> None:
        fill(folder, 9)
        raise KeyError("no such tensor")

    with pytest.raises(KeyError):
        store.put(9, HEADS[9], fail)
    assert [path.name[:5] for path in tmp_path.iterdir()] == ["at-00"]
    assert newest(store) == 5


def test_a_kill_in_the_middle_leaves_the_one_before(tmp_path: Path) -> None:
    put(SnapshotStore(tmp_path), 5)
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom dynmm.stream.snapshots import SnapshotStore\n"
        "def write(folder):\n    (folder / 'half').write_bytes(b'x' * 100)\n    print('writing', flush=True)\n"
        "    time.sleep(60)\nSnapshotStore(sys.argv[1]).put(9, '09' * 32, write)"
    )
    running = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stdout.readline() == b"writing\n"
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    running.stdout.close()
    assert len(list(tmp_path.iterdir())) == 2
    store = SnapshotStore(tmp_path)
    assert newest(store) == 5
    put(store, 12)
    assert newest(store) == 12
    assert not list(tmp_path.glob(".*"))
