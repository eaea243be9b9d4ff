from __future__ import annotations

import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.language import slate_samples
from tests.language.reading import ranker

from dynmm.assembly.voicing import Voice
from dynmm.language.serving import Refiner
from dynmm.language.system import Reranking
from dynmm.making_once import made_once

CALLERS = 8


@pytest.fixture(params=["as it is here", "as from Python 3.12 on"])
def _python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 3.12 on a `cached_property` has no lock."""

    def get(self: Any, instance: Any, owner: Any = None) -> Any:
        if self.attrname not in vars(instance):
            vars(instance)[self.attrname] = self.func(instance)
        return vars(instance)[self.attrname]

    if request.param != "as it is here":
        monkeypatch.setattr(functools.cached_property, "__get__", get)


class Holder:
    """Counts how often its part is made, while others come in."""

    def __init__(self) -> None:
        self.made = 0

    @made_once
    def part(self) -> object:
        self.made += 1
        threading.Event().wait(0.05)
        return object()


@pytest.mark.usefixtures("_python")
def test_all_who_ask_at_once_get_one_object() -> None:
    holder, gate = Holder(), threading.Barrier(CALLERS)

    def ask(_: int) -> object:
        gate.wait(10)
        return holder.part

    with ThreadPoolExecutor(CALLERS) as callers:
        found = set(callers.map(ask, range(CALLERS)))
    assert (len(found), holder.made) == (1, 1)
    assert Holder().part is not holder.part
    assert isinstance(Holder.part, made_once)


class Slow(Refiner):
    """Others come in while it is made."""

    def __init__(self, *args: Any, **named: Any) -> None:
        threading.Event().wait(0.05)
        super().__init__(*args, **named)


@pytest.mark.usefixtures("_python")
def test_first_questions_at_once_share_a_count_and_a_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynmm.language.system.Refiner", Slow)
    reranking = Reranking("language", ranker(), 1.0, 6, None, 64)
    asked, shelf = slate_samples.slates(1), slate_samples.shelf()
    gate = threading.Barrier(CALLERS)

    def ask(_: int) -> object:
        gate.wait(10)
        reranking.terms(asked, shelf)
        return reranking.refiner

    with ThreadPoolExecutor(CALLERS) as callers:
        assert len(set(callers.map(ask, range(CALLERS)))) == 1
    assert reranking.refiner.served.read()["asked"] == CALLERS
    assert reranking.refiner._reranker is reranking._heads
    reranking.clear()
    assert len(reranking._heads) == 0


@pytest.mark.parametrize(("kind", "name"), [(Reranking, "refiner"), (Reranking, "_heads"), (Voice, "writer")])
def test_what_counts_or_grows_is_made_once(kind: type, name: str) -> None:
    assert isinstance(vars(kind)[name], made_once)
