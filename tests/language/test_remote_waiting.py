"""Many callers and a server that is down: what one has found out holds for all, and nobody waits twice for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.language import slate_samples
from tests.language.test_remote import causal, prompts, ranker
from tests.language.vllm_stand_in import serving
from torch import Tensor

from dynmm.errors import ModelError
from dynmm.language.remote import PAUSES_S, VllmServer
from dynmm.language.remote_ranker import RemoteRanker
from dynmm.language.slates import NOBODY, Slates
from dynmm.language.system import Reranking

ADDRESS = "http://127.0.0.1:1"


class Silent(VllmServer):
    """Answers nobody: each call ends when the gate opens, with a timeout or another failure, so long after it began."""

    def __init__(self, now: list[float], lasts: float = 30.0, error: Exception | None = None) -> None:
        super().__init__(ADDRESS, "tiny")
        self.gate, self.begun, self.calls = threading.Event(), threading.Semaphore(0), list[str]()
        self._now, self._lasts, self._error = now, lasts, error or TimeoutError()

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        end = self._now[0] + self._lasts
        self.calls.append(path)
        self.begun.release()
        assert self.gate.wait(10)
        self._now[0] = max(self._now[0], end)
        raise self._error


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of servers and their checks, which the tests set."""
    clock = [100.0]
    for module in ("remote", "remote_ranker"):
        monkeypatch.setattr(f"dynmm.language.{module}.time", SimpleNamespace(monotonic=lambda: clock[0]))
    return clock


def ask(server: VllmServer) -> str:
    with pytest.raises(ModelError) as refused:
        server.likelihoods(prompts(1), 4)
    return str(refused.value)


def test_one_silence_counts_once_however_many_wait(now: list[float]) -> None:
    server = Silent(now)
    with ThreadPoolExecutor(8) as callers:
        asked = [callers.submit(ask, server) for _ in range(8)]
        for _ in asked:
            assert server.begun.acquire(timeout=10)
        server.gate.set()
        assert all("did not answer" in one.result(10) for one in asked)
    assert len(server.calls) == 8
    assert server._pause == 2 * PAUSES_S[0], "the next pause is twice as long, and not 256 times"
    assert "left alone" in ask(server)


def test_after_a_pause_one_caller_tries_and_the_others_do_not_wait(now: list[float]) -> None:
    server = Silent(now)
    server.gate.set()
    ask(server)
    now[0] += PAUSES_S[0]
    server.gate.clear()
    assert server.begun.acquire(timeout=10)
    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(ask, server)
        assert server.begun.acquire(timeout=10)
        assert ["left alone" in ask(server) for _ in range(5)] == [True] * 5
        server.gate.set()
        assert "left alone" not in first.result(10)
    assert len(server.calls) == 2


@pytest.mark.parametrize(("lasts", "calls"), [(20.0, 1), (0.1, 3)])
def test_a_failure_that_takes_long_is_a_silence(now: list[float], lasts: float, calls: int) -> None:
    server = Silent(now, lasts, ConnectionResetError("closed midway"))
    server.gate.set()
    for _ in range(3):
        ask(server)
    assert len(server.calls) == calls


def test_a_look_is_one_for_all_who_wait_for_it(now: list[float]) -> None:
    """A server that refuses slowly was looked at by one caller after the other."""
    server = Silent(now, 0.5, ConnectionResetError("closed midway"))
    served = RemoteRanker(ranker(causal()), server).checked()
    question, shelf = slate_samples.slates(1, 4), slate_samples.shelf()

    def refused() -> str:
        with pytest.raises(ModelError) as found:
            served(question, shelf)
        return str(found.value)

    with ThreadPoolExecutor(4) as callers:
        asked = [callers.submit(refused) for _ in range(4)]
        assert server.begun.acquire(timeout=10)
        server.gate.set()
        assert all("closed midway" in one.result(10) for one in asked)
    assert server.calls == ["/v1/models"]
    now[0] += PAUSES_S[0]
    refused()
    assert server.calls == ["/v1/models"] * 2


def test_a_caller_does_not_wait_for_a_look_at_a_server_that_is_silent(now: list[float]) -> None:
    server = Silent(now)
    served = RemoteRanker(ranker(causal()), server).checked()
    question, shelf = slate_samples.slates(1, 4), slate_samples.shelf()
    server.gate.set()
    with pytest.raises(ModelError):
        served(question, shelf)
    now[0] += PAUSES_S[0]
    server.gate.clear()
    server.begun.acquire()
    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(served, question, shelf)
        assert server.begun.acquire(timeout=10)
        with pytest.raises(ModelError, match="left alone"):
            served(question, shelf)
        assert not first.done()
        server.gate.set()
        assert isinstance(first.exception(10), ModelError)


def _empty(slates: Slates) -> Slates:
    gone: Tensor = torch.full_like(slates.items, NOBODY)
    scores = torch.full_like(slates.scores, -torch.inf)
    return Slates(slates.users, slates.history, gone, scores, 0 * slates.latent, 0 * slates.facts)


@pytest.mark.parametrize("candidates", [0, 3])
def test_a_question_without_candidates_asks_no_server(candidates: int) -> None:
    question = _empty(slate_samples.slates(2, 3)).places(torch.arange(candidates).expand(2, -1))
    with serving(causal()) as server:
        served = RemoteRanker(ranker(causal()), VllmServer(server.url, "tiny")).checked()
        assert served(question, slate_samples.shelf()).tolist() == [[0.0] * candidates] * 2
        assert server.requests == []


def test_a_look_is_by_a_question_that_has_candidates() -> None:
    """One by an empty row proved nothing and held for five minutes."""
    rows = slate_samples.slates(2, 3)
    first = _empty(rows.take(slice(0, 1)))
    questions = Slates.joined([first, rows.take(slice(1, 2))])
    with serving(causal("qwen2")) as server:
        served = RemoteRanker(ranker(causal("llama")), VllmServer(server.url, "tiny")).checked()
        with pytest.raises(ModelError, match="not the same model"):
            served(questions, slate_samples.shelf())


def test_with_a_deadline_requests_do_not_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server answers as many as ask at once: here each only once all four have asked."""
    asked, shelf = slate_samples.slates(1), slate_samples.shelf()
    model = causal()
    with serving(model) as stand_in:
        reranking = Reranking("language", ranker(model), 1.0, 6, deadline_ms=20_000.0, server=(stand_in.url, "tiny"))
        assert reranking.terms(asked, shelf).reasons == (None,), "the server has been looked at"
        likelihoods, gate = VllmServer.likelihoods, threading.Barrier(4)

        def together(self: VllmServer, *args: Any) -> Tensor:
            gate.wait(10)
            return likelihoods(self, *args)

        monkeypatch.setattr(VllmServer, "likelihoods", together)
        with ThreadPoolExecutor(4) as callers:
            found = list(callers.map(lambda _: reranking.terms(asked, shelf).reasons, range(4)))
    assert found == [(None,)] * 4
