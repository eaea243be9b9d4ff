"""The parent's side of the decoding process: start it, send to it, hear from it, end it."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from typing import Any, BinaryIO

from dynmm.catalogue.decoding.frames import BrokenFrame, read_frame, write_frame

Answer = tuple[dict[str, Any], bytes]

#: All that the process learns of our environment: where programs, libraries and the time zone lie.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "LANG", "LC_ALL", "TZ")


class DecodingProcess:
    """One process and its two pipes. A thread writes and a thread reads, so that neither side waits for the other."""

    def __init__(self, max_answer: int, module: str = "dynmm.catalogue.decoding.worker") -> None:
        """max_answer: bytes of the largest array that it may send. module: what it runs."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            close_fds=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._threads = (
            threading.Thread(target=_write, args=(self._process.stdin, self._requests), daemon=True),
            threading.Thread(target=_read, args=(self._process.stdout, self._answers, max_answer), daemon=True),
        )
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Put a request in line. Never waits, and never fails: a dead process shows in `receive`."""
        self._requests.put((header, body))

    def receive(self, seconds: float) -> Answer | None:
        """The next answer, or None where the process ended or sent nonsense. Raises TimeoutError."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None

    def end(self) -> int:
        """Kill it and wait for its end; returns its exit status. May be called again."""
        self._process.kill()
        status = self._process.wait()
        self._requests.put(None)
        for thread in self._threads:
            thread.join()
        return status


def _environment() -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed | {
        "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
        # More threads would only ask for more memory.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def _write(pipe: BinaryIO, requests: queue.SimpleQueue[Answer | None]) -> None:
    # The reading thread tells of a process that is gone; here it only means that there is nobody to write to.
    with contextlib.suppress(OSError):
        while (request := requests.get()) is not None:
            write_frame(pipe, *request)
    with contextlib.suppress(OSError):
        pipe.close()


def _read(pipe: BinaryIO, answers: queue.SimpleQueue[Answer | None], max_answer: int) -> None:
    with pipe, contextlib.suppress(BrokenFrame):
        while (answer := read_frame(pipe, max_answer)) is not None:
            answers.put(answer)
    answers.put(None)
