"""Asynchronous clients behind synchronous calls: one event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from dynmm.errors import StorageError

T = TypeVar("T")


class Background:
    """Runs coroutines, from any thread, until `close`. server and timeout_s: for the refusal when none answers."""

    def __init__(self, server: str, timeout_s: float) -> None:
        self._server, self._timeout = server, timeout_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dynmm-log", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine. Raises what it raises, and StorageError where it takes too long."""
        if self._loop.is_closed():
            work.close()
            raise StorageError(f"{self._server}: the connection was closed; open the log again")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(self._timeout)
        except (TimeoutError, concurrent.futures.TimeoutError) as error:
            future.cancel()
            raise StorageError(
                f"{self._server} does not answer within {self._timeout} s; check it, then open it, or send the "
                "events again: what is there already counts once"
            ) from error

    def close(self) -> None:
        """End the loop and its thread. May be called again."""
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(_none_left(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


async def _none_left() -> None:
    """End what is still under way: a loop that is stopped first would complain of it."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
