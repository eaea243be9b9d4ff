"""Concurrent appends that share one commit: whoever holds the pen writes for all who wait."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from dynmm.errors import DynmmError, StorageError

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass
class _Waiting(Generic[Asked, Answer]):
    asked: Asked
    answer: Answer | None = None
    error: BaseException | None = None
    done: bool = False


class GroupCommit(Generic[Asked, Answer]):
    """Gives requests to `commit` in the order in which they came, as many at once as wait.

    commit: takes requests, returns one answer each once all are durable; where it raises, none is, and each
    waiting call raises the same. most: requests in one commit.
    """

    def __init__(self, commit: Callable[[Sequence[Asked]], Sequence[Answer]], most: int = 256) -> None:
        self._commit = commit
        self._most = most
        self._queue: deque[_Waiting[Asked, Answer]] = deque()
        self._free = threading.Condition()
        self._writing = False

    def submit(self, asked: Asked) -> Answer:
        """The answer, once it is durable."""
        mine: _Waiting[Asked, Answer] = _Waiting(asked)
        self._queue.append(mine)
        while True:
            with self._free:
                # Whoever is answered goes; of the others, one writes next.
                self._free.wait_for(lambda: mine.done or not self._writing)
                if mine.done:
                    break
                self._writing = True
            try:
                self._write()
            finally:
                self._let_go()
        if mine.error is not None:
            raise _copied(mine.error) from mine.error
        return mine.answer  # type: ignore[return-value]  # done without an error: it is there

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nothing is committed by others within the block. Not to be nested."""
        with self._free:
            self._free.wait_for(lambda: not self._writing)
            self._writing = True
        try:
            yield
        finally:
            self._let_go()

    def _let_go(self) -> None:
        with self._free:
            self._writing = False
            self._free.notify_all()

    def _write(self) -> None:
        group = [self._queue.popleft() for _ in range(min(len(self._queue), self._most))]
        try:
            for one, answer in zip(group, self._commit([one.asked for one in group]), strict=True):
                one.answer = answer
        except DynmmError as error:
            for one in group:
                one.error = error
        except BaseException as error:
            # What is no refusal of ours goes up in this thread. Those who wait are told, not left waiting.
            for one in group:
                one.error = StorageError(f"the append was cut off ({error!r}); send the events again")
            raise
        finally:
            for one in group:
                one.done = True


def _copied(error: BaseException) -> BaseException:
    """Each waiting thread raises an error of its own, with a traceback of its own."""
    return type(error)(*error.args)
