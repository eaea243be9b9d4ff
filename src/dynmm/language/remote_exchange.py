"""One request over HTTP and its whole answer, within a time and a size, whatever the other side does."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import SplitResult

#: No answer that is asked for here comes near to so many bytes.
MOST_BYTES = 4 * 2**20


def exchange(
    address: SplitResult, method: str, path: str, content: bytes | None, headers: Mapping[str, str], timeout_s: float
) -> tuple[int, bytes]:
    """Status and content of the answer. Redirections are not followed, so that a key goes to this address alone.

    timeout_s: to connect, to send, and for the whole answer, each. Raises OSError, TimeoutError among them, and
    http.client.HTTPException.
    """
    host, port = address.hostname or "", address.port
    if address.scheme == "https":
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=timeout_s, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    # What is made here reads the answer's beginning as well as its content.
    connection.response_class = partial(_Answer, timeout_s=timeout_s)  # type: ignore[assignment]
    try:
        connection.request(method, address.path.rstrip("/") + path, content, dict(headers))
        with connection.getresponse() as answer:
            read = answer.read(MOST_BYTES + 1)
        if len(read) > MOST_BYTES:
            raise http.client.HTTPException(f"an answer of more than {MOST_BYTES} bytes")
        return answer.status, read
    finally:
        connection.close()


class _Answer(http.client.HTTPResponse):
    """An answer that is there in time or not at all: a socket's own limit begins anew with each byte."""

    def __init__(self, sock: socket.socket, *args: Any, timeout_s: float, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        self.fp = io.BufferedReader(_Until(sock, self.fp, time.monotonic() + timeout_s))


class _Until(io.RawIOBase):
    """Reads from a socket until a moment of the monotonic clock; then it raises TimeoutError."""

    def __init__(self, sock: socket.socket, file: io.BufferedIOBase, end: float) -> None:
        """file: the socket's own, which keeps it open until this is closed."""
        self._sock, self._file, self._end = sock, file, end

    def close(self) -> None:
        """Let go of the socket."""
        self._file.close()
        super().close()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As a file: how many bytes came, 0 at the end."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not come to its end in time")
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)
