"""The refiner: in time and finite, or marked and counted."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from tests.language import slate_samples
from torch import Tensor

from dynmm.errors import ModelError
from dynmm.language.batching import MicroBatcher
from dynmm.language.contracts import Reranker
from dynmm.language.serving import Refined, Refiner, Served
from dynmm.language.slates import Shelf, Slates
from dynmm.memory import OutOfMemory

SHELF = slate_samples.shelf()


def doubled(slates: Slates, shelf: Shelf) -> Tensor:
    return 2 * slates.scores


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds a re-ranker up until the test is over."""
    held = threading.Event()
    yield held
    held.set()


def late(gate: threading.Event) -> Reranker:
    def wait(slates: Slates, shelf: Shelf) -> Tensor:
        assert gate.wait(30)
        return doubled(slates, shelf)

    return wait


@pytest.mark.parametrize("deadline_ms", [None, 60_000])
def test_what_is_in_time_and_sound_is_given_on(deadline_ms: float | None) -> None:
    asked = slate_samples.slates(4, padding=2)
    refiner = Refiner(doubled, deadline_ms=deadline_ms)
    refined = refiner(asked, SHELF)
    refiner.close()
    assert refined.raw is not None
    assert refined.degraded is None
    torch.testing.assert_close(refined.raw, torch.where(asked.present, 2 * asked.scores, 0.0))
    assert refiner.served.read() == {"asked": 4, "deadline": 0, "memory": 0, "model": 0, "not_finite": 0}


def test_what_is_late_is_marked_and_counted(gate: threading.Event) -> None:
    refiner = Refiner(late(gate), deadline_ms=20)
    refined = refiner(slate_samples.slates(3), SHELF)
    assert refined.raw is None
    assert refined.reasons == ("deadline",) * 3
    assert refined.degraded == "deadline"
    assert refiner.served.read()["deadline"] == 3
    gate.set()
    refiner.close()


def test_a_stuck_model_holds_up_nobody_and_recovers(gate: threading.Event) -> None:
    refiner = Refiner(late(gate), deadline_ms=50)
    asked = slate_samples.slates(1)
    with ThreadPoolExecutor(4) as callers:
        found = list(callers.map(lambda _: refiner(asked, SHELF).degraded, range(4)))
    assert found == ["deadline"] * 4
    gate.set()
    assert any(refiner(asked, SHELF).degraded is None for _ in range(200))
    refiner.close()


def test_where_several_are_asked_at_once_none_waits_for_another() -> None:
    """As of a server: each of these answers only once all have been asked."""
    gate, asked = threading.Barrier(6), slate_samples.slates(1)

    def served(slates: Slates, shelf: Shelf) -> Tensor:
        assert not torch.is_grad_enabled()
        gate.wait(10)
        return doubled(slates, shelf)

    refiner = Refiner(served, deadline_ms=20_000, at_once=6)
    with ThreadPoolExecutor(6) as callers:
        found = list(callers.map(lambda _: refiner(asked, SHELF).degraded, range(6)))
    assert found == [None] * 6
    refiner.close()


def test_of_several_that_are_late_each_is_marked(gate: threading.Event) -> None:
    refiner = Refiner(late(gate), deadline_ms=20, at_once=2)
    with ThreadPoolExecutor(4) as callers:
        found = list(callers.map(lambda _: refiner(slate_samples.slates(1), SHELF).degraded, range(4)))
    assert found == ["deadline"] * 4
    gate.set()
    assert any(refiner(slate_samples.slates(1), SHELF).degraded is None for _ in range(200))
    refiner.close()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_score_that_is_no_number_is_never_served_and_costs_only_its_row(bad: float) -> None:
    def spoilt(slates: Slates, shelf: Shelf) -> Tensor:
        scores = doubled(slates, shelf)
        scores[1, 2] = bad
        return scores

    refiner = Refiner(spoilt)
    refined = refiner(slate_samples.slates(3), SHELF)
    assert refined.reasons == (None, "not_finite", None)
    assert refined.degraded == "not_finite"
    assert refined.raw is not None
    assert bool(torch.isfinite(refined.raw).all())
    assert refined.raw[1].tolist() == [0.0] * 6
    torch.testing.assert_close(refined.raw[0], 2 * slate_samples.slates(3).scores[0])
    assert refiner.served.read()["not_finite"] == 1


def test_what_stands_at_padding_spoils_nothing() -> None:
    asked = slate_samples.slates(2, padding=1)
    refined = Refiner(lambda slates, shelf: torch.where(slates.present, slates.latent, torch.nan))(asked, SHELF)
    assert refined.degraded is None
    assert refined.raw is not None
    torch.testing.assert_close(refined.raw, asked.latent)


class Narrow:
    """Memory for so many rows."""

    def __init__(self, rows: int) -> None:
        self.rows, self.sizes = rows, list[int]()

    def __call__(self, slates: Slates, shelf: Shelf) -> Tensor:
        self.sizes.append(len(slates))
        if len(slates) > self.rows:
            raise OutOfMemory("too many at once")
        return doubled(slates, shelf)


@pytest.mark.parametrize("deadline_ms", [None, 60_000])
def test_where_memory_runs_out_halves_are_asked(deadline_ms: float | None) -> None:
    model, asked = Narrow(2), slate_samples.slates(7)
    refiner = Refiner(model, deadline_ms=deadline_ms)
    refined = refiner(asked, SHELF)
    refiner.close()
    assert refined.degraded is None
    assert refined.raw is not None
    torch.testing.assert_close(refined.raw, 2 * asked.scores)
    assert model.sizes == [7, 3, 1, 2, 4, 2, 2]


def test_without_memory_for_one_question_each_falls_back() -> None:
    model = Narrow(0)
    refined = Refiner(model)(slate_samples.slates(3), SHELF)
    assert refined.raw is None
    assert refined.reasons == ("memory",) * 3
    assert model.sizes.count(1) == 3


def test_a_model_that_refuses_is_asked_once_and_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[int] = []

    def refusing(slates: Slates, shelf: Shelf) -> Tensor:
        asked.append(len(slates))
        raise ModelError("no server at 127.0.0.1")

    refiner = Refiner(refusing)
    assert refiner(slate_samples.slates(4), SHELF).reasons == ("model",) * 4
    assert asked == [4]
    for _ in range(3):
        refiner(slate_samples.slates(1), SHELF)
    assert caplog.text.count("no server at 127.0.0.1") == 1
    assert refiner.served.read()["model"] == 7


def test_a_refiner_that_nobody_holds_leaves_no_thread() -> None:
    refiner = Refiner(doubled, deadline_ms=60_000)
    assert refiner(slate_samples.slates(1), SHELF).degraded is None
    assert refiner._own is not None
    worker = refiner._own._worker
    assert worker.is_alive()
    del refiner
    gc.collect()
    worker.join(10)
    assert not worker.is_alive()


#: Ends while its question is still inside torch; the second way lets go of the refiner before that.
_LATE = """
import sys, torch
from tests.language import slate_samples
from dynmm.language.serving import Refiner

def slow(slates, shelf):
    zeros = torch.zeros(32, 32)
    for _ in range(100_000):
        zeros = zeros @ zeros
    return slates.latent

refiner = Refiner(slow, deadline_ms=1)
assert refiner(slate_samples.slates(1), slate_samples.shelf()).degraded == "deadline"
if sys.argv[1] == "let go":
    del refiner
print("answered")
"""


@pytest.mark.parametrize("way", ["held", "let go"])
def test_a_process_that_ends_while_a_late_question_runs_ends_well(way: str) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", _LATE, way], cwd=root, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("answered\n", "", 0)


@pytest.mark.parametrize("deadline_ms", [None, 60_000])
def test_a_mistake_in_the_program_is_not_hidden(deadline_ms: float | None) -> None:
    def mistaken(slates: Slates, shelf: Shelf) -> Tensor:
        raise KeyError("a typing error")

    refiner = Refiner(mistaken, deadline_ms=deadline_ms)
    with pytest.raises(KeyError, match="typing error"):
        refiner(slate_samples.slates(2), SHELF)
    refiner.close()


def test_a_batcher_of_ones_own_is_used_and_left_open() -> None:
    asked = slate_samples.slates(1)
    with MicroBatcher(doubled, rows=4, wait_ms=1) as batcher:
        first, second = Refiner(batcher, deadline_ms=60_000), Refiner(batcher)
        assert first(asked, SHELF).degraded is None
        first.close()
        found = second(asked, SHELF).raw
        assert found is not None
        torch.testing.assert_close(found, 2 * asked.scores)


def test_no_questions_are_no_work() -> None:
    refined = Refiner(Narrow(0))(slate_samples.slates(3).take(slice(0, 0)), SHELF)
    assert (refined.raw, refined.reasons, refined.degraded) == (None, (), None)


def test_gradients_are_never_kept() -> None:
    weight = torch.ones((), requires_grad=True)
    refined = Refiner(lambda slates, shelf: slates.latent * weight)(slate_samples.slates(2), SHELF)
    assert refined.raw is not None
    assert not refined.raw.requires_grad


def test_counting_from_many_threads_loses_nothing() -> None:
    served = Served()
    refined = Refined(None, ("model", "deadline", None))

    def count(_: int) -> None:
        for _ in range(50):
            served.add(refined)

    with ThreadPoolExecutor(8) as callers:
        list(callers.map(count, range(8)))
    assert served.read() == {"asked": 1200, "deadline": 400, "memory": 0, "model": 400, "not_finite": 0}


class Full:
    """Runs out of memory outside what names it, above so many rows."""

    def __init__(self, rows: int, error: Exception) -> None:
        self.rows, self.error = rows, error

    def __call__(self, slates: Slates, shelf: Shelf) -> Tensor:
        if len(slates) > self.rows:
            raise self.error
        return doubled(slates, shelf)


FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", FULL, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("deadline_ms", [None, 60_000])
def test_memory_that_runs_out_unnamed_falls_back_too(error: Exception, deadline_ms: float | None) -> None:
    """Projectors, tokens and read-outs stand beside the model's own run, and controls have no name for it at all."""
    asked = slate_samples.slates(3)
    halved = Refiner(Full(1, error), deadline_ms=deadline_ms)
    refined = halved(asked, SHELF)
    assert refined.raw is not None
    torch.testing.assert_close(refined.raw, 2 * asked.scores)
    lost = Refiner(Full(0, error), deadline_ms=deadline_ms)
    assert lost(asked, SHELF).reasons == ("memory",) * 3
    halved.close()
    lost.close()
