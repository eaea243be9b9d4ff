"""The heap setting holds within the block alone, whatever ends it."""

from __future__ import annotations

import pytest

from dynmm.training import steady_heap as module


class _Library:
    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []
        self.trims = 0

    def mallopt(self, name: int, value: int) -> int:
        self.calls.append((name, value))
        return 1

    def malloc_trim(self, pad: int) -> int:
        self.trims += 1
        return 1


def test_set_within_and_settled_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    library = _Library()
    monkeypatch.setattr(module, "_glibc", lambda: library)
    with pytest.raises(KeyboardInterrupt), module.steady_heap() as steady:
        assert steady
        assert library.calls == list(module._STEADY)
        raise KeyboardInterrupt
    assert library.calls == [*module._STEADY, *module._SETTLED]
    assert library.trims == 1


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_elsewhere_it_does_nothing(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    with module.steady_heap() as steady:
        assert not steady


def test_unwanted_it_does_nothing() -> None:
    with module.steady_heap(wanted=False) as steady:
        assert not steady


def test_the_real_heap_survives_it() -> None:
    for _ in range(2):
        with module.steady_heap():
            assert len(bytes(50_000_000)) == 50_000_000
    assert len(bytes(50_000_000)) == 50_000_000
