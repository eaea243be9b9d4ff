"""The stage cache: keys from content, entries whole or absent, damage never used."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import Field
from tests.backbone.cycles import dataset_of, next_step_cases

from dynmm import stages
from dynmm.configuration import Settings
from dynmm.errors import StorageError
from dynmm.stages import StageCache, data_fingerprint


class _Some(Settings):
    depth: int = Field(1, description="How deep.")


class _Other(Settings):
    depth: int = Field(1, description="How deep.")


@pytest.fixture
def cache(tmp_path: Path) -> StageCache:
    return StageCache(tmp_path)


def _fill(cache: StageCache, key: str, text: str = "fitted") -> None:
    with cache.put(key) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "weights").write_text(text)


def test_every_input_makes_the_key(cache: StageCache) -> None:
    def key(**changes: object) -> str:
        inputs: dict[str, object] = {"data": "d", "settings": _Some(), "seed": 1, "fold": "", "code_version": 1}
        name = str(changes.pop("name", "backbone"))
        return cache.key(name, **{**inputs, **changes})  # type: ignore[arg-type]

    keys = [
        key(),
        key(name="fusion"),
        key(data="e"),
        key(settings=_Some(depth=2)),
        key(settings=_Other()),
        key(settings=[_Some(), _Other()]),
        key(settings=[_Other(), _Some()]),
        key(seed=2),
        key(fold="0"),
        key(code_version=2),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == key(settings=[_Some()])
    assert key().startswith("backbone-")


def test_put_then_get(cache: StageCache) -> None:
    assert cache.get("a-1") is None
    _fill(cache, "a-1")
    found = cache.get("a-1")
    assert found == cache.folder("a-1")
    assert (found / "inner" / "weights").read_text() == "fitted"


def test_a_block_that_fails_leaves_nothing(cache: StageCache) -> None:
    with pytest.raises(KeyboardInterrupt), cache.put("a-1") as folder:
        (folder / "weights").write_text("half")
        raise KeyboardInterrupt
    assert cache.get("a-1") is None
    assert list(cache.folder("a-1").parent.iterdir()) == []


@pytest.mark.parametrize("damage", ["changed", "missing", "extra", "no manifest", "broken manifest", "odd manifest"])
def test_a_damaged_entry_is_reported_removed_and_can_be_put_again(
    cache: StageCache, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    _fill(cache, "a-1")
    folder = cache.folder("a-1")
    if damage == "changed":
        (folder / "inner" / "weights").write_text("fittes")
    elif damage == "missing":
        (folder / "inner" / "weights").unlink()
    elif damage == "extra":
        (folder / "more").write_text("")
    elif damage == "no manifest":
        (folder / "stage.json").unlink()
    elif damage == "broken manifest":
        (folder / "stage.json").write_text("{")
    else:
        (folder / "stage.json").write_text("[]")
    with caplog.at_level("WARNING", logger="dynmm"):
        assert cache.get("a-1") is None
    assert "damaged" in caplog.text
    assert not folder.exists()
    _fill(cache, "a-1")
    assert cache.get("a-1") is not None


def test_a_damaged_entry_gives_way_to_a_whole_one(cache: StageCache) -> None:
    _fill(cache, "a-1")
    (cache.folder("a-1") / "inner" / "weights").write_text("x")
    _fill(cache, "a-1", "again")
    found = cache.get("a-1")
    assert found is not None
    assert (found / "inner" / "weights").read_text() == "again"


def test_many_may_put_and_get_the_same_key_at_once(cache: StageCache) -> None:
    barrier, errors = threading.Barrier(8), list[BaseException]()

    def work() -> None:
        try:
            barrier.wait()
            for _ in range(5):
                _fill(cache, "a-1")
                found = cache.get("a-1")
                assert found is not None
                assert (found / "inner" / "weights").read_text() == "fitted"
        except BaseException as error:  # noqa: BLE001 - reported by the main thread
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [path.name for path in cache.folder("a-1").parent.iterdir()] == ["a-1"]


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(
    cache: StageCache, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(StorageError, match="free some space"):
            _fill(cache, "a-1")
    assert cache.get("a-1") is None
    assert list(cache.folder("a-1").parent.iterdir()) == []


def test_a_root_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not write"), StageCache(tmp_path / "file").work("a-1"):
        pass


def test_work_stays_until_it_is_done(cache: StageCache) -> None:
    with pytest.raises(KeyboardInterrupt), cache.work("a-1") as folder:
        (folder / "checkpoint").write_text("half way")
        raise KeyboardInterrupt
    with cache.work("a-1") as folder:
        assert (folder / "checkpoint").read_text() == "half way"
    assert not folder.exists()


def test_who_works_on_the_same_stage_at_the_same_time_has_a_folder_of_its_own(cache: StageCache) -> None:
    with cache.work("a-1") as first:
        with cache.work("a-1") as second:
            (second / "checkpoint").write_text("another's")
        assert not (first / "checkpoint").exists()
        assert not second.exists()
        with pytest.raises(KeyboardInterrupt), cache.work("a-1") as third:
            raise KeyboardInterrupt
        assert not third.exists()
        assert first.exists()
    assert list(first.parent.iterdir()) == []


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv(stages.CACHE_VARIABLE, raising=False)
    return monkeypatch


def test_the_root_comes_from_the_environment(clean_environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert StageCache().root == Path.home() / ".cache" / "dynmm"
    clean_environment.setenv(stages.CACHE_VARIABLE, str(tmp_path))
    assert StageCache().root == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_sees_what_a_stage_can_learn_from() -> None:
    histories = [[1, 2, 3], [4, 5]]
    base = dataset_of(histories)
    times = np.asarray([1, 2, 3, 4, 5], np.int64)
    others = [
        dataset_of([[1, 2, 3], [4, 6]]),
        dataset_of([[1, 2], [3, 4, 5]]),
        dataset_of(histories, n_items=31),
        dataset_of(histories, validation=next_step_cases(histories)),
        dataset_of(histories, validation=next_step_cases([[1, 2, 3], [4, 6]])),
        replace(base, events=replace(base.events, timestamps=times)),
        replace(base, events=replace(base.events, timestamps=times + 1)),
    ]
    prints = [data_fingerprint(one) for one in [base, *others]]
    assert len(set(prints)) == len(prints)
    assert data_fingerprint(dataset_of(histories)) == prints[0]
    assert data_fingerprint(replace(base, folder=Path("elsewhere"))) == prints[0]
