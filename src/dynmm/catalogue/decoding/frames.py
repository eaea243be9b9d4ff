"""What goes through the pipes: a JSON header and raw bytes, both with their length. Never a pickle."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

_LENGTHS = struct.Struct(">IQ")
_MAX_HEADER = 65_536


class BrokenFrame(Exception):
    """The other side sent something that is no frame, or more than was allowed."""


def write_frame(pipe: BinaryIO, header: dict[str, Any], body: bytes | memoryview = b"") -> None:
    """Send one frame, whole."""
    text = json.dumps(header).encode()
    pipe.write(_LENGTHS.pack(len(text), len(body)))
    pipe.write(text)
    pipe.write(body)
    pipe.flush()


def read_frame(pipe: BinaryIO, max_body: int) -> tuple[dict[str, Any], bytes] | None:
    """The next frame, or None at the end of the pipe.

    Nothing is allocated that the lengths ask for beyond `max_body`. Raises BrokenFrame.
    """
    lengths = pipe.read(_LENGTHS.size)
    if not lengths:
        return None
    if len(lengths) < _LENGTHS.size:
        raise BrokenFrame("the pipe ended within a frame")
    header_length, body_length = _LENGTHS.unpack(lengths)
    if header_length > _MAX_HEADER or body_length > max_body:
        raise BrokenFrame("the frame is longer than any answer can be")
    text, body = pipe.read(header_length), pipe.read(body_length)
    if len(text) < header_length or len(body) < body_length:
        raise BrokenFrame("the pipe ended within a frame")
    try:
        header = json.loads(text)
    except ValueError as error:
        raise BrokenFrame("the header is no JSON") from error
    if not isinstance(header, dict):
        raise BrokenFrame("the header is no object")
    return header, body
