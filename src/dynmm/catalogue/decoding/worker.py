"""The decoding process: takes bytes from its input, decodes them under limits, gives arrays to its output.

Started as ``python -m dynmm.catalogue.decoding.worker``. It imports neither torch nor pydantic.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from dynmm.catalogue.decoding.frames import read_frame, write_frame
from dynmm.catalogue.decoding.limits import CannotDecode, Decoded, Limits

#: A request is at most a file of the largest size that the settings allow.
_MAX_REQUEST = 1 << 27


def main() -> None:
    """Serve until the input ends. The first frame holds the limits; the answer to it says that all is imported."""
    requests, answers = own_pipes()
    first = read_frame(requests, _MAX_REQUEST)
    if first is None:
        return
    told = first[0]
    limit_memory(int(told["memory_bytes"]))
    try:
        functions = {name: _function(path) for name, path in told["functions"].items()}
        for module in told["modules"]:
            importlib.import_module(module)
    except (ImportError, AttributeError, MemoryError) as error:
        write_frame(answers, {"failed": f"{type(error).__name__}: {error}"})
        return
    limits = Limits(**told["limits"])
    write_frame(answers, {"ready": True})
    while (request := read_frame(requests, _MAX_REQUEST)) is not None:
        _limit_time(float(told["item_seconds"]))
        header, body = _answer(functions, request[0], request[1], limits)
        write_frame(answers, header, body)


def own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Input and output for frames alone: what a library prints goes to the error stream."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, answers


def _function(path: str) -> Callable[[bytes, str, Limits], Decoded]:
    module, _, name = path.partition(":")
    function: Callable[[bytes, str, Limits], Decoded] = getattr(importlib.import_module(module), name)
    return function


def _answer(
    functions: dict[str, Callable[[bytes, str, Limits], Decoded]], header: dict[str, Any], raw: bytes, limits: Limits
) -> tuple[dict[str, Any], bytes | memoryview]:
    number, name = header["number"], header["format"]
    try:
        decoded = functions[name](raw, name, limits)
    except CannotDecode as error:
        return {"number": number, "refused": str(error)}, b""
    except MemoryError:
        return {"number": number, "refused": "takes more memory to decode than is allowed", "passing": True}, b""
    array = decoded.array
    facts = {"number": number, "shape": array.shape, "dtype": array.dtype.name, **decoded.facts}
    return facts, memoryview(array.data).cast("B")


def limit_memory(size: int) -> None:
    """Allocations beyond `size` bytes fail. No file can be written, no core is dumped."""
    with contextlib.suppress(ImportError):  # Windows has no such limits; the time limit of the parent remains
        import resource

        for what, much in (
            (resource.RLIMIT_AS, size),
            (resource.RLIMIT_DATA, size),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, 0),
        ):
            _lower(resource, what, much, hard=True)


def _limit_time(seconds: float) -> None:
    """The system ends this process when it computes longer than this from now on."""
    with contextlib.suppress(ImportError):
        import resource

        _lower(resource, resource.RLIMIT_CPU, int(time.process_time() + seconds) + 2, hard=False)


def _lower(resource: Any, what: int, much: int, *, hard: bool) -> None:
    _, ceiling = resource.getrlimit(what)
    if ceiling != resource.RLIM_INFINITY:
        much = min(much, ceiling)
    # Some systems know a limit and refuse to set it; the others still hold.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(what, (much, much if hard else ceiling))


if __name__ == "__main__":
    # With an output that is gone nobody waits for an answer.
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main()
