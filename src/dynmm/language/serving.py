"""A re-ranker as a service may use it: in time and sound, or openly not at all."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from dynmm.errors import ModelError
from dynmm.language.batching import MicroBatcher
from dynmm.language.contracts import Reranker
from dynmm.language.slates import Shelf, Slates
from dynmm.memory import ran_out

logger = logging.getLogger(__name__)

#: Why a question was not re-ranked. deadline: not done in time. memory: none is left, even for one question alone.
#: model: the language model refused or could not be reached. not_finite: a score was NaN or infinite.
Reason = Literal["deadline", "memory", "model", "not_finite"]


@dataclass(frozen=True, eq=False)
class Refined:
    """What became of B questions with C candidates.

    raw: (B, C) float32 finite raw scores, where the slates are, 0 at padding and throughout a row that was not
    re-ranked, which so adds nothing; None where no row was re-ranked. reasons: for each row why it was not, None where
    it was.
    """

    raw: Tensor | None
    reasons: tuple[Reason | None, ...]

    @property
    def degraded(self) -> Reason | None:
        """Why the first row that was not re-ranked was not; None where all were."""
        return next((reason for reason in self.reasons if reason is not None), None)


class Served:
    """How many questions were asked, and how many were not re-ranked, by reason. Safe to use from any thread."""

    #: No part of a state: how often it was asked changes nothing of what is answered.
    only_remembers: ClassVar[bool] = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, refined: Refined) -> None:
        """Count what became of some questions."""
        with self._lock:
            self._counts.update(["asked"] * len(refined.reasons))
            self._counts.update(reason for reason in refined.reasons if reason is not None)

    def read(self) -> dict[str, int]:
        """``asked`` and every reason, 0 where it never happened."""
        with self._lock:
            return {name: self._counts[name] for name in ("asked", *get_args(Reason))}


class Refiner:
    """Asks a re-ranker, waits no longer than it may, and gives on nothing that is not a finite number.

    A question that is not re-ranked keeps the score of the stages below, is marked, and is counted. Where memory runs
    out the questions are asked again in halves. With a deadline the outcome hangs on the clock: leave it off where
    results must be the same twice. Errors other than ModelError are mistakes in the program and are raised.
    """

    def __init__(
        self,
        reranker: Reranker,
        *,
        deadline_ms: float | None = None,
        served: Served | None = None,
        at_once: int = 1,
    ) -> None:
        """reranker: in evaluation mode; a `MicroBatcher` stays its owner's to close. deadline_ms: for all questions of
        one call together; None waits as long as it takes. served: where to count; None makes a new one. at_once: most
        calls that a re-ranker is asked at the same time under a deadline: several for a server, which answers them
        together; a model in process reads one after the other.
        """
        self.served = served or Served()
        self._reranker, self._deadline = reranker, deadline_ms
        self._told = ""
        self._own: MicroBatcher | None = None
        self._threads: ThreadPoolExecutor | None = None
        if deadline_ms is None or isinstance(reranker, MicroBatcher):
            return
        if at_once > 1:
            self._threads = ThreadPoolExecutor(at_once, "dynmm-asking")
            weakref.finalize(self, self._threads.shutdown, wait=False)
        else:
            self._reranker = self._own = MicroBatcher(reranker, rows=1, wait_ms=0)
            weakref.finalize(self, self._own.close, wait=False)

    def __call__(self, slates: Slates, shelf: Shelf) -> Refined:
        """What became of these questions. Never raises for a language model that fails."""
        if len(slates) == 0:
            return Refined(None, ())
        end = None if self._deadline is None else time.monotonic() + self._deadline / 1000
        raw, reasons = self._ask(slates, shelf, end)
        kept = torch.tensor([reason is None for reason in reasons], dtype=torch.bool)
        refined = Refined(raw if bool(kept.any()) else None, tuple(reasons))
        self.served.add(refined)
        return refined

    def close(self) -> None:
        """End the threads that a deadline needs, once what they do is done."""
        if self._own is not None:
            self._own.close()
        if self._threads is not None:
            self._threads.shutdown()

    def _tell(self, why: str) -> None:
        """Once, not for each of the questions that a server which is down leaves open."""
        if why != self._told:
            self._told = why
            logger.warning("questions are not re-ranked: %s", why)

    def _ask(self, slates: Slates, shelf: Shelf, end: float | None) -> tuple[Tensor, list[Reason | None]]:
        try:
            return _sound(self._scores(slates, shelf, end), slates)
        except TimeoutError:
            return _nothing(slates, "deadline")
        except (ModelError, MemoryError, RuntimeError) as error:
            if ran_out(error):
                if len(slates) == 1:
                    return _nothing(slates, "memory")
            elif isinstance(error, ModelError):
                self._tell(str(error))
                return _nothing(slates, "model")
            else:
                raise
        half = len(slates) // 2
        first, its_reasons = self._ask(slates.take(slice(0, half)), shelf, end)
        second, other_reasons = self._ask(slates.take(slice(half, None)), shelf, end)
        return torch.cat([first, second]), its_reasons + other_reasons

    def _scores(self, slates: Slates, shelf: Shelf, end: float | None) -> Tensor:
        """Raises TimeoutError where there is an end and it comes first."""
        if end is not None and self._threads is not None:
            answer = self._threads.submit(_plain, self._reranker, slates, shelf)
        elif end is not None and isinstance(self._reranker, MicroBatcher):
            answer = self._reranker.submit(slates, shelf)
        else:
            return _plain(self._reranker, slates, shelf)
        try:
            return answer.result(timeout=max(0.0, end - time.monotonic()))
        except TimeoutError:
            answer.cancel()  # drops a question that waits; a run cannot be stopped, and what it finds is thrown away
            raise


class Remembered:
    """A refiner that asks the same question once: within one request, a list and the reasons for it must agree.

    With a deadline a second asking may end otherwise than the first. Questions are the same where candidates, history
    and facts are; the order of the candidates is that of scores that may differ in their last bits. For one thread.
    """

    def __init__(self, refiner: Refiner) -> None:
        self.refiner = refiner
        self._answers: dict[bytes, tuple[Tensor | None, Reason | None]] = {}

    def __call__(self, slates: Slates, shelf: Shelf) -> Refined:
        """What became of one question, (1, C), now or before. Raises as `Refiner` does."""
        (own,) = slates.present[0].nonzero(as_tuple=True)
        own = own[slates.items[0, own].argsort()]
        asked = (slates.items[0, own], slates.history[0], slates.facts[0, own])
        key = b"|".join(one.cpu().numpy().tobytes() for one in asked)
        if key not in self._answers:
            refined = self.refiner(slates, shelf)
            self._answers[key] = (None if refined.raw is None else refined.raw[0, own], refined.reasons[0])
        found, reason = self._answers[key]
        if found is None:
            return Refined(None, (reason,))
        raw = torch.zeros(slates.items.shape, device=found.device)
        raw[0, own] = found
        return Refined(raw, (reason,))


def _plain(reranker: Reranker, slates: Slates, shelf: Shelf) -> Tensor:
    # Whether gradients are kept is a thread's own matter.
    with torch.no_grad():
        return reranker(slates, shelf)


def _sound(raw: Tensor, slates: Slates) -> tuple[Tensor, list[Reason | None]]:
    """Rows with a score that is no finite number are emptied and named; padding is emptied."""
    present = slates.present
    raw = torch.where(present, raw.to(present.device).float(), 0.0)
    finite = torch.isfinite(raw).all(dim=1)
    reasons: list[Reason | None] = [None if one else "not_finite" for one in finite.tolist()]
    return torch.where(finite[:, None], raw, 0.0), reasons


def _nothing(slates: Slates, reason: Reason) -> tuple[Tensor, list[Reason | None]]:
    return torch.zeros_like(slates.latent), [reason] * len(slates)
