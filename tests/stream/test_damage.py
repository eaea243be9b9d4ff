"""A damaged log gives what was in it up to some place, or is refused by name. Never anything else.

`benchmarks/log_damage.py` does the same for every byte and ten thousand bits.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from dynmm.testing.log_damage import Killed, closed, killed, opened, quick_folder

PAGE = 4096


@pytest.fixture(scope="module")
def victim() -> Killed:
    with quick_folder() as folder:
        return killed(folder)


def outcomes(victim: Killed, damaged: list[dict[str, bytes]], *, read_only: bool = False) -> Counter[str]:
    with quick_folder() as folder:
        return Counter(opened(folder / "one", files, victim.records, read_only=read_only) for files in damaged)


def test_the_victim_itself_is_whole(victim: Killed) -> None:
    assert outcomes(victim, [victim.files]) == {"whole": 1}
    assert outcomes(victim, [{"log": victim.files["log"]}]) == {"prefix": 1}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["log", "log-wal"])
def test_cut_within_its_last_page(victim: Killed, name: str) -> None:
    length = len(victim.files[name])
    found = outcomes(victim, [victim.cut(name, length - missing) for missing in range(1, PAGE + 1, 13)])
    assert name == "log" or found["whole"] == 0


@pytest.mark.slow
def test_cut_anywhere(victim: Killed) -> None:
    lengths = {name: range(0, len(content), 509) for name, content in victim.files.items()}
    found = outcomes(victim, [victim.cut("log", length) for length in lengths["log"]])
    assert found["TamperedArtefact"] > 10
    # Pages that the write-ahead log has too are not missed.
    assert set(found) <= {"whole", "prefix", "TamperedArtefact"}
    # The write-ahead log may end anywhere: what is in the file stays.
    found = outcomes(victim, [victim.cut("log-wal", length) for length in lengths["log-wal"]])
    assert found == {"prefix": len(lengths["log-wal"])}


@pytest.mark.slow
@pytest.mark.parametrize("read_only", [False, True])
def test_random_bits(victim: Killed, read_only: bool) -> None:
    generator = random.Random(7)
    found = outcomes(victim, [victim.random_bit(generator) for _ in range(500)], read_only=read_only)
    assert found["prefix"] > 10
    assert found["TamperedArtefact"] > 10


def test_every_bit_of_the_first_bytes(victim: Killed) -> None:
    bits = range(0, 8 * 100, 7)
    # The write-ahead log has the first page too, and one whose own head is damaged is no longer read.
    assert outcomes(victim, [victim.flipped("log", bit) for bit in bits]) == {"whole": len(bits)}
    assert outcomes(victim, [victim.flipped("log-wal", bit) for bit in bits]) == {"prefix": len(bits)}


@pytest.mark.parametrize("sealed", [True, False])
def test_a_closed_log_with_any_bit_turned(sealed: bool) -> None:
    with quick_folder() as folder:
        victim = closed(folder, sealed=sealed)
    generator = random.Random(3)
    found = outcomes(victim, [victim.random_bit(generator) for _ in range(200)])
    # All that was acknowledged is there, or its loss is told.
    assert set(found) == {"whole", "TamperedArtefact"}


@pytest.mark.parametrize("sealed", [True, False])
def test_a_closed_log_that_is_cut(sealed: bool) -> None:
    with quick_folder() as folder:
        victim = closed(folder, sealed=sealed)
    length = len(victim.files["log"])
    found = outcomes(victim, [victim.cut("log", length - missing) for missing in range(1, PAGE + 1, 41)])
    assert set(found) == {"TamperedArtefact"}
