"""Untrusted bytes to pictures and sounds, in order; a hostile file costs nothing but itself."""

from __future__ import annotations

import importlib.util
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from dynmm.catalogue.content import AUDIO, IMAGE, SAMPLE_RATE, Modality, Picture, Sound
from dynmm.catalogue.decoding.answers import content_of
from dynmm.catalogue.decoding.formats import FORMATS, Format, format_of
from dynmm.catalogue.decoding.process import Answer, DecodingProcess
from dynmm.catalogue.decoding.refused import Refused
from dynmm.catalogue.decoding.settings import DecodingSettings
from dynmm.errors import DynmmError, MissingExtraError

logger = logging.getLogger(__name__)

#: How many files, and how many of their bytes, are on their way to the process while one is decoded.
_AHEAD_FILES, _AHEAD_BYTES = 64, 32_000_000


@dataclass
class _Waiting:
    """One file between its request and its answer. settled: an answer that needed no decoding."""

    number: int
    format: str
    raw: bytes
    settled: Refused | None = None
    deaths: int = 0


class Decoder:
    """Owns the one decoding process, from the first file until the ``with`` block ends.

    The process gets bytes by a pipe and gives arrays back by another, under limits of memory and time
    (`DecodingSettings`). Where it dies or takes too long, it is started again, the file that it had in hand
    is refused, and the others go on.
    """

    def __init__(self, settings: DecodingSettings | None = None, formats: Sequence[Format] = FORMATS) -> None:
        """Starts nothing yet. formats: the table, with further formats where a caller has some."""
        self.settings = settings or DecodingSettings()
        self._formats = tuple(formats)
        self._process: DecodingProcess | None = None
        self._serves: Modality | None = None
        self._numbers = 0
        self.restarts = 0

    @property
    def process_id(self) -> int | None:
        """The decoding process as the system numbers it; None while there is none."""
        return None if self._process is None else self._process.pid

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process. A later `decode` starts another."""
        if self._process is not None:
            self._process.end()
        self._process = self._serves = None

    def decode(self, modality: Modality, raw: Iterable[bytes]) -> Iterator[Picture | Sound | Refused]:
        """One result for each file, in the same order: a Picture, a Sound, or Refused with the reason.

        modality: ``image`` or ``audio``; what a file is called does not count, what it holds does. A few files are
        read ahead, whatever their number. Give all at once: one call at a time can use the process.
        Raises MissingExtraError without the decoding library, and DynmmError where the process cannot start.
        """
        formats = tuple(one for one in self._formats if one.modality == modality)
        if modality not in (IMAGE, AUDIO) or not formats:
            raise ValueError(f"{modality!r} is nothing to decode; give 'image' or 'audio'")
        _need_libraries(formats)
        waiting: deque[_Waiting] = deque()
        try:
            for one in raw:
                waiting.append(self._enter(one, modality, formats))
                while len(waiting) > _AHEAD_FILES or sum(len(other.raw) for other in waiting) > _AHEAD_BYTES:
                    yield self._next(waiting, modality)
            while waiting:
                yield self._next(waiting, modality)
        finally:
            # A caller who stops early leaves answers in the pipe that the next call must not take for its own.
            if any(one.settled is None for one in waiting):
                self.close()

    def _enter(self, raw: bytes, modality: Modality, formats: tuple[Format, ...]) -> _Waiting:
        self._numbers += 1
        reason = self._objection(raw, modality, formats)
        if reason is not None:
            return _Waiting(self._numbers, "", b"", settled=Refused(reason))
        found = format_of(raw, formats)
        assert found is not None
        one = _Waiting(self._numbers, found.name, raw)
        self._started(modality).send({"number": one.number, "format": one.format}, raw)
        return one

    def _objection(self, raw: bytes, modality: Modality, formats: tuple[Format, ...]) -> str | None:
        """Why a file is refused before anything decodes it."""
        if not raw:
            return "is empty (0 bytes)"
        if len(raw) > self.settings.max_megabytes * 1e6:
            return f"has {len(raw) / 1e6:.4g} MB; at most {self.settings.max_megabytes:g} MB are read"
        if format_of(raw, formats) is None:
            names = ", ".join(one.name for one in formats)
            other = format_of(raw, self._formats)
            seen = f"is {other.name}" if other is not None else f"begins with {raw[:8]!r}"
            return f"{seen}, which is none of {names}"
        return None

    def _next(self, waiting: deque[_Waiting], modality: Modality) -> Picture | Sound | Refused:
        """The result of the file that waits longest."""
        while True:
            one = waiting[0]
            result = one.settled or self._ask(one, modality)
            if result is not None:
                waiting.popleft()
                if self._process is None and any(other.settled is None for other in waiting):
                    self._send_again(waiting, modality)
                return result
            # It may have been broken by the file before: only a file that ends two processes is to blame.
            self._send_again(waiting, modality)

    def _ask(self, one: _Waiting, modality: Modality) -> Picture | Sound | Refused | None:
        """What the process says of a file. None where the process died on it for the first time."""
        process = self._started(modality)
        try:
            answer = process.receive(self.settings.item_seconds)
        except TimeoutError:
            self._give_up()
            return Refused(f"takes longer than {self.settings.item_seconds:g} s to decode", lasting=False)
        if answer is not None and answer[0].get("number") == one.number:
            return content_of(modality, answer[0], answer[1], self.settings)
        status = self._give_up()
        one.deaths += 1
        logger.warning("the decoding process ended (status %d) and is started again", status)
        return Refused(f"ended the decoding process (status {status})", lasting=False) if one.deaths > 1 else None

    def _give_up(self) -> int:
        assert self._process is not None
        status = self._process.end()
        self._process = self._serves = None
        self.restarts += 1
        return status

    def _send_again(self, waiting: deque[_Waiting], modality: Modality) -> None:
        process = self._started(modality)
        for one in waiting:
            if one.settled is None:
                process.send({"number": one.number, "format": one.format}, one.raw)

    def _started(self, modality: Modality) -> DecodingProcess:
        if self._process is not None and self._serves == modality:
            return self._process
        self.close()
        process = DecodingProcess(_largest_answer(modality, self.settings))
        process.send(self._introduction(modality))
        try:
            answer: Answer | None = process.receive(self.settings.start_seconds)
        except TimeoutError:
            answer = None
        if answer is None or answer[0].get("ready") is not True:
            told = "" if answer is None else f": {str(answer[0].get('failed'))[:300]}"
            raise DynmmError(
                f"the decoding process did not start (status {process.end()}{told}); "
                f"see whether the machine has {self.settings.memory_mb} MB free, or raise encoders.decode_memory_mb "
                "or encoders.decode_start_seconds"
            )
        self._process, self._serves = process, modality
        return process

    def _introduction(self, modality: Modality) -> dict[str, object]:
        formats = [one for one in self._formats if one.modality == modality]
        told = self.settings
        return {
            "functions": {one.name: one.function for one in formats},
            "modules": sorted({module for one in formats for module in one.modules}),
            "memory_bytes": told.memory_mb * 2**20,
            "item_seconds": told.item_seconds,
            "limits": {
                "max_pixels": int(told.max_megapixels * 1e6),
                "max_seconds": told.max_seconds,
                "side": told.side,
            },
        }


def _largest_answer(modality: Modality, settings: DecodingSettings) -> int:
    if modality == IMAGE:
        return 3 * settings.side**2
    return 4 * (int(settings.max_seconds * SAMPLE_RATE) + SAMPLE_RATE)


def _need_libraries(formats: tuple[Format, ...]) -> None:
    for one in formats:
        for module in one.modules:
            if importlib.util.find_spec(module.partition(".")[0]) is None:
                raise MissingExtraError(
                    f"decoding {one.name} needs {module.partition('.')[0]}, which is not installed; "
                    f'run: pip install "dynmm[{one.extra}]"'
                )
