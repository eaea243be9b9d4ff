"""Snapshots: whole or absent, and used only where they lie on the log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dynmm.stream.snapshots import CARD, SnapshotStore


def _write(text: str) -> object:
    def write(folder: Path) -> None:
        (folder / "state.txt").write_text(text)

    return write


def _store(tmp_path: Path, *lengths: int) -> SnapshotStore:
    store = SnapshotStore(tmp_path / "snapshots", keep=3)
    for length in lengths:
        store.put(length, f"head {length}", _write(f"state {length}"))  # type: ignore[arg-type]
    return store


def _lengths(store: SnapshotStore) -> list[int]:
    return [one.length for one in store.good(lambda length: f"head {length}")]


def test_the_newest_come_first_and_old_ones_go(tmp_path: Path) -> None:
    store = _store(tmp_path, 10, 20, 30, 40)
    assert _lengths(store) == [40, 30, 20]
    assert next(store.good(lambda length: f"head {length}")).folder.joinpath("state.txt").read_text() == "state 40"


def test_one_of_another_log_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = _store(tmp_path, 10, 20)
    with caplog.at_level(logging.WARNING):
        assert [one.length for one in store.good(lambda length: "head 10" if length == 10 else None)] == [10]
    assert "does not belong to this log" in caplog.text


@pytest.mark.parametrize("damage", ["change", "cut", "remove", "add", "card"])
def test_a_damaged_one_is_named_and_passed_over(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    store = _store(tmp_path, 10, 20)
    newest = max((tmp_path / "snapshots").iterdir())
    state = newest / "state.txt"
    if damage == "change":
        state.write_text("state 21")
    elif damage == "cut":
        state.write_text("state")
    elif damage == "remove":
        state.unlink()
    elif damage == "add":
        (newest / "more.txt").write_text("more")
    else:
        (newest / CARD).write_text("{")
    with caplog.at_level(logging.WARNING):
        assert _lengths(store) == [10]
    assert str(newest) in caplog.text


def test_one_that_was_broken_off_is_not_there(tmp_path: Path) -> None:
    store = _store(tmp_path, 10)

    def fails(folder: Path) -> None:
        (folder / "state.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.put(20, "head 20", fails)
    assert _lengths(store) == [10]


def test_what_a_killed_process_left_is_swept_up(tmp_path: Path) -> None:
    store = _store(tmp_path, 10)
    (tmp_path / "snapshots" / ".000000000020.abc").mkdir()
    store.put(30, "head 30", _write("state 30"))  # type: ignore[arg-type]
    assert sorted(one.name for one in (tmp_path / "snapshots").iterdir()) == ["000000000010", "000000000030"]
