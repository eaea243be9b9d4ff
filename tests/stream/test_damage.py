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
    cuts = [victim.cut(name, length) for name in victim.files for length in range(0, len(victim.files[name]), 509)]
    outcomes(victim, cuts)


@pytest.mark.slow
@pytest.mark.parametrize("read_only", [False, True])
def test_random_bits(victim: Killed, read_only: bool) -> None:
    generator = random.Random(7)
    found = outcomes(victim, [victim.random_bit(generator) for _ in range(500)], read_only=read_only)
    assert found["prefix"] > 10
    assert found["TamperedArtefact"] > 10


def test_every_bit_of_the_first_bytes(victim: Killed) -> None:
    bits = [victim.flipped(name, bit) for name in victim.files for bit in range(0, 8 * 100, 7)]
    outcomes(victim, bits)


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
