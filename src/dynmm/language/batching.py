"""Questions of several callers answered in one run of a re-ranker, since one row costs nearly what eight cost."""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, fields
from types import TracebackType

import torch
from torch import Tensor

from dynmm.language.contracts import Reranker
from dynmm.language.settings import MOST_WAIT_MS
from dynmm.language.slates import Shelf, Slates

#: Batchers whose workers have not ended.
_AT_WORK: set[MicroBatcher] = set()


@atexit.register
def _end_all() -> None:
    """A thread that is inside torch when the interpreter goes takes the whole process down: each is waited for."""
    for batcher in list(_AT_WORK):
        batcher.close()


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A question that no run has taken yet. since: when it came, in seconds of the monotonic clock."""

    slates: Slates
    shelf: Shelf
    answer: Future[Tensor]
    since: float

    @property
    def shape(self) -> tuple[tuple[int, ...], ...]:
        """Of everything in it, but for the number of rows."""
        return tuple(tuple(getattr(self.slates, one.name).shape[1:]) for one in fields(Slates))


class MicroBatcher:
    """A re-ranker for many threads: groups the questions that wait, asks once, hands each caller their rows.

    What a caller gets is what they would get alone, up to the rounding of another matrix size: below 1e-5 where the
    model computes in float32. For that only questions of one shape share a run: beside one of more candidates a prompt
    may have less room for the history. Where a grouped run fails each question is asked again by itself, so that only
    its own caller meets an error.
    """

    def __init__(self, reranker: Reranker, *, rows: int = 8, wait_ms: float = 2.0) -> None:
        """rows: most rows in one run; a question with more of its own runs alone. wait_ms: the longest that a question
        waits for company; at 0 only those are grouped that came while the re-ranker was busy.
        """
        if rows < 1 or not 0 <= wait_ms <= MOST_WAIT_MS:
            raise ValueError(
                f"a batch of {rows} rows after {wait_ms} ms: rows is at least 1, wait_ms at least 0 and at most a day"
            )
        self._reranker, self._rows, self._wait = reranker, rows, wait_ms / 1000
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        # A daemon, for Python waits for other threads before it calls `_end_all`, which alone can end this one.
        self._worker = threading.Thread(target=self._work, name="dynmm-reranking", daemon=True)
        _AT_WORK.add(self)
        self._worker.start()

    def __call__(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(B, C) raw scores, after a wait. Raises what the re-ranker raises about this question."""
        return self.submit(slates, shelf).result()

    def submit(self, slates: Slates, shelf: Shelf) -> Future[Tensor]:
        """The same without waiting. Cancel the answer and the question is dropped, if no run has taken it yet.

        Raises RuntimeError after `close`.
        """
        waiting = _Waiting(slates, shelf, Future(), time.monotonic())
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed: nothing can be asked any more")
            self._queue.append(waiting)
            self._changed.notify()
        return waiting.answer

    def close(self, *, wait: bool = True) -> None:
        """Answer what waits, and end the worker. A second call does nothing. wait: until it has ended.

        Where nobody calls it, the end of the process does.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        if wait:
            self._worker.join()

    def __enter__(self) -> MicroBatcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self) -> None:
        # Whether gradients are kept is a thread's own matter: the caller's no_grad does not hold here.
        try:
            with torch.no_grad():
                while group := self._gather():
                    taken = [one for one in group if one.answer.set_running_or_notify_cancel()]
                    if taken:
                        self._answer(taken)
        finally:
            _AT_WORK.discard(self)

    def _gather(self) -> list[_Waiting]:
        """The next questions to answer, oldest first; none where the batcher was closed and all is answered."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            while self._queue and not self._closed and sum(len(one.slates) for one in self._queue) < self._rows:
                rest = self._queue[0].since + self._wait - time.monotonic()
                if rest <= 0 or not self._changed.wait(rest):
                    break
            return self._take()

    def _take(self) -> list[_Waiting]:
        """The oldest, and as many as fit of the same shelf and shape; the others stay in their order."""
        group: list[_Waiting] = []
        left: deque[_Waiting] = deque()
        rows = 0
        for one in self._queue:
            fits = rows + len(one.slates) <= self._rows
            if not group or (fits and one.shelf is group[0].shelf and one.shape == group[0].shape):
                group.append(one)
                rows += len(one.slates)
            else:
                left.append(one)
        self._queue = left
        return group

    def _answer(self, group: Sequence[_Waiting]) -> None:
        try:
            scores = self._reranker(Slates.joined([one.slates for one in group]), group[0].shelf)
            parts = torch.split(scores, [len(one.slates) for one in group])
        except BaseException as error:  # noqa: BLE001  # goes to whom it belongs
            if len(group) == 1:
                group[0].answer.set_exception(error)
                return
            for one in group:
                self._answer([one])
            return
        for one, part in zip(group, parts, strict=True):
            one.answer.set_result(part)
