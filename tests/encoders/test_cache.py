"""The cache by content: whole rows or none, for several processes, and never a damaged one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dynmm.encoders.cache import FeatureCache, Known, content_key
from dynmm.errors import StorageError
from dynmm.stages import default_root


def _known(value: float, width: int = 3) -> Known:
    return Known(np.full(width, value, np.float32), 0.5)


def _same(one: Known, other: Known) -> bool:
    pairs = [(one.vector, other.vector), (one.attributes, other.attributes)]
    arrays_agree = all(
        (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b, equal_nan=True))
        for a, b in pairs
    )
    return arrays_agree and one.quality == other.quality and one.refusal == other.refusal


def test_what_was_put_is_got_by_content_and_identity(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    rows = {
        content_key(b"a"): Known(np.array([1, 2], np.float32), 0.25, np.array([0.5, np.nan, 1], np.float32)),
        content_key(b"b"): Known(None, refusal="ist kein Bild – 🙂"),
        content_key(b"c"): Known(np.zeros(0, np.float32), 1.0, np.zeros(0, np.float32)),
    }
    with cache.shelf("one") as shelf:
        assert shelf.get(list(rows)) == {}
        shelf.put(rows)
    with cache.shelf("one") as shelf:
        got = shelf.get([*rows, content_key(b"d")])
    assert got.keys() == rows.keys()
    assert all(_same(got[key], rows[key]) for key in rows)
    with cache.shelf("other") as shelf:
        assert shelf.get(list(rows)) == {}


@settings(max_examples=25, deadline=None)
@given(
    vector=st.none() | arrays(np.float32, st.integers(0, 9)),
    words=st.none() | arrays(np.float32, st.integers(0, 5)),
    quality=st.floats(0, 1),
    refusal=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_any_row_comes_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, vector: np.ndarray, words: np.ndarray, quality: float, refusal: str
) -> None:
    row = Known(vector, quality, words, refusal)
    with FeatureCache(tmp_path_factory.mktemp("cache")).shelf("any") as shelf:
        shelf.put({b"key": row})
        assert _same(shelf.get([b"key"])[b"key"], row)


def test_many_keys_are_asked_for_at_once(tmp_path: Path) -> None:
    with FeatureCache(tmp_path).shelf("many") as shelf:
        rows = {content_key(str(number).encode()): _known(number) for number in range(1234)}
        shelf.put(rows)
        got = shelf.get([content_key(b"none"), *rows])
    assert len(got) == 1234
    assert [int(one.vector[0]) for one in got.values() if one.vector is not None].count(1233) == 1


def test_without_a_root_it_lies_with_the_other_caches() -> None:
    assert FeatureCache().root == default_root() / "features"


def test_one_file_holds_all_rows_of_an_encoder(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    for number in range(50):
        with cache.shelf("one") as shelf:
            shelf.put({str(number).encode(): _known(number)})
    assert len(list(cache.root.iterdir())) == 1


def test_a_row_with_a_changed_byte_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = FeatureCache(tmp_path)
    with cache.shelf("one") as shelf:
        shelf.put({b"a": _known(1), b"b": _known(2)})
        path = shelf.path
    with sqlite3.connect(path) as raw:
        body = bytearray(raw.execute("SELECT body FROM contents WHERE key = ?", (b"a",)).fetchone()[0])
        body[-1] ^= 1
        raw.execute("UPDATE contents SET body = ? WHERE key = ?", (bytes(body), b"a"))
    raw.close()
    with cache.shelf("one") as shelf:
        assert list(shelf.get([b"a", b"b"])) == [b"b"]
        assert "a damaged entry is made again" in caplog.text
        shelf.put({b"a": _known(3)})
        assert _same(shelf.get([b"a"])[b"a"], _known(3))


@pytest.mark.parametrize("damage", ["not a database", "cut in half", "zeros in the middle"])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    cache = FeatureCache(tmp_path)
    rows = {content_key(str(number).encode()): _known(number, 200) for number in range(200)}
    with cache.shelf("one") as shelf:
        shelf.put(rows)
        path = shelf.path
    raw = path.read_bytes()
    if damage == "not a database":
        path.write_bytes(b"something else entirely " * 100)
    elif damage == "cut in half":
        path.write_bytes(raw[: len(raw) // 2])
    else:
        path.write_bytes(raw[:4096] + bytes(len(raw) - 8192) + raw[-4096:])
    with cache.shelf("one") as shelf:
        got = shelf.get(list(rows))
        assert all(_same(got[key], rows[key]) for key in got)
        assert len(got) < len(rows)
        shelf.put(rows)
        assert len(shelf.get(list(rows))) == len(rows)
    assert "damaged" in caplog.text


def test_two_writers_do_not_lose_anything(tmp_path: Path) -> None:
    """Two connections, as two processes have them."""
    errors: list[BaseException] = []

    def write(first: int) -> None:
        try:
            with FeatureCache(tmp_path).shelf("shared") as shelf:
                for number in range(first, first + 30):
                    shelf.put({str(number).encode(): _known(number)})
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    with FeatureCache(tmp_path).shelf("shared") as shelf:
        assert len(shelf.get([str(number).encode() for number in range(45)])) == 45


def test_a_killed_process_loses_no_batch_that_it_put(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; import numpy as np\n"
        "from dynmm.encoders.cache import FeatureCache, Known\n"
        "with FeatureCache(Path(sys.argv[1])).shelf('one') as shelf:\n"
        "    shelf.put({b'a': Known(np.ones(2, np.float32), 1.0)})\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert ended.returncode == -9
    with FeatureCache(tmp_path).shelf("one") as shelf:
        assert list(shelf.get([b"a"])) == [b"a"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "features").write_text("in the way")
    with pytest.raises(StorageError, match="features"), FeatureCache(tmp_path).shelf("one"):
        raise AssertionError("the shelf opened")


def test_a_file_that_is_a_folder_is_named(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    with cache.shelf("one") as shelf:
        path = shelf.path
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError, match=f"{path.name} cannot be used.*DYNMM_CACHE"), cache.shelf("one"):
        raise AssertionError("the shelf opened")


def test_many_who_open_a_new_cache_at_once_wait_for_each_other(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def opened(folder: Path, together: threading.Barrier) -> None:
        together.wait()
        try:
            with FeatureCache(folder).shelf("shared"):
                pass
        except StorageError as error:
            errors.append(error)

    for number in range(40):
        together = threading.Barrier(4)
        folder = tmp_path / str(number)
        threads = [threading.Thread(target=opened, args=(folder, together)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors


def test_of_two_who_make_the_same_the_first_stands_for_both(tmp_path: Path) -> None:
    """What each goes on with is what the next one finds: else a later run would miss all that was fitted to it."""
    cache = FeatureCache(tmp_path)
    first, second, other = (Known(np.array(one, np.float32), 1.0) for one in ([1, 2], [1, 2.0001], [3, 4]))
    one, two = content_key(b"one"), content_key(b"two")
    with cache.shelf("encoder") as here, cache.shelf("encoder") as there:
        here.put({one: first})
        standing = there.put({one: second, two: other})
        found = here.get([one, two])
    for key, wanted in ((one, first), (two, other)):
        for known in (standing[key], found[key]):
            assert known.vector is not None
            assert wanted.vector is not None
            assert np.array_equal(known.vector, wanted.vector)
