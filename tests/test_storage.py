"""Files are whole or absent, whatever the disk does."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from dynmm import storage
from dynmm.errors import StorageError


def _full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "no space")


def test_write_bytes_replaces_the_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    storage.write_bytes(target, b"one")
    storage.write_bytes(target, b"two")
    assert target.read_bytes() == b"two"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_files_are_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    storage.write_bytes(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        storage.write_bytes(pipe, b"said")
        assert os.read(reader, 10) == b"said"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_folder_in_the_place_of_a_file_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, Path(".")):
        with pytest.raises(StorageError, match="Is a directory"):
            storage.write_bytes(folder, b"")


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    storage.write_bytes(target, b"old")
    monkeypatch.setattr(os, "fsync", _full_disk)
    with pytest.raises(StorageError, match=r"No space left.*free some space"):
        storage.write_bytes(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


class _RustError(Exception):
    """As polars and safetensors raise: no OSError, the number in words."""


def test_a_full_disk_is_known_by_what_other_languages_say(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"No space left.*free some space"), storage.named_disk_errors(tmp_path):
        raise _RustError("parquet: underlying IO error: No space left on device (os error 28)")
    with pytest.raises(_RustError, match="no number"), storage.named_disk_errors(tmp_path):
        raise _RustError("no number")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_polars_and_safetensors_are_understood(tmp_path: Path) -> None:
    (tmp_path / "table").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="No space left"), storage.named_disk_errors(tmp_path):
        pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "table")
    with pytest.raises(StorageError, match="No such file"), storage.named_disk_errors(tmp_path):
        save_file({"a": np.zeros(3, np.float32)}, tmp_path / "nowhere" / "weights")


def test_new_folder_appears_only_when_finished(tmp_path: Path) -> None:
    target = tmp_path / "run"
    with storage.new_folder(target) as beside:
        (beside / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"


@pytest.mark.parametrize("can_exchange", [True, False])
def test_new_folder_replaces_an_old_one_and_leaves_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(storage, "_exchange", lambda *_: False)
    target = tmp_path / "run"
    for content in ("1", "2"):
        with storage.new_folder(target) as beside:
            (beside / "a").write_text(content)
    assert (target / "a").read_text() == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_failed_block_leaves_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "run"
    with storage.new_folder(target) as beside:
        (beside / "a").write_text("1")
    with pytest.raises(ValueError, match="stop"), storage.new_folder(target) as beside:
        (beside / "a").write_text("2")
        raise ValueError("stop")
    assert (target / "a").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_disk_while_renaming_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "run"
    with storage.new_folder(target) as beside:
        (beside / "a").write_text("1")
    monkeypatch.setattr(os, "fsync", _full_disk)
    with pytest.raises(StorageError, match="could not write"), storage.new_folder(target) as beside:
        (beside / "a").write_text("2")
    monkeypatch.undo()
    assert (target / "a").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_sha256_is_the_known_one(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert storage.sha256_of(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_folders_change_places_in_one_step(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    if storage._exchange(tmp_path / "one", tmp_path / "other"):
        assert (tmp_path / "one" / "file").read_text() == "other"
        assert (tmp_path / "other" / "file").read_text() == "one"
    else:
        assert (tmp_path / "one" / "file").read_text() == "one"
