"""The log as a stream in Redis. Several processes may write; each entry is added only behind the one expected."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag

from pydantic import Field

from dynmm.configuration import Settings
from dynmm.errors import ConfigError, MissingExtraError, StorageError
from dynmm.stream.bundle_log import ForgettingBundleLog
from dynmm.stream.bundles import Moved, Version

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

#: Adds an entry where length and generation are as expected: one step, whoever else writes.
_ADD = """
if redis.call('XLEN', KEYS[1]) ~= tonumber(ARGV[1]) or (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then
  return 0
end
redis.call('XADD', KEYS[1], (ARGV[1] + 1) .. '-0', 'b', ARGV[3])
return 1
"""
#: Exchanges the stream for the one beside it, which is absent where nothing stays.
_REPLACE = """
if redis.call('XLEN', KEYS[1]) ~= tonumber(ARGV[1]) or (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then
  return 0
end
redis.call('DEL', KEYS[1])
if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('RENAME', KEYS[3], KEYS[1]) end
redis.call('SET', KEYS[2], ARGV[3])
return 1
"""
_PAGE = 64


class RedisSettings(Settings):
    """How the log speaks to Redis."""

    timeout_s: float = Field(10.0, gt=0, description="Seconds to wait for an answer of the server.")
    largest_bytes: int = Field(1 << 20, ge=1 << 14, description="Most bytes of one entry of the stream.")
    may_lose_a_second: bool = Field(
        False,
        description="Accept a server that syncs once a second, or does not tell.",
    )


class RedisLog(ForgettingBundleLog):
    """A log in the stream ``{NAME}:log`` of a Redis server.

    An acknowledged event is on the server's disk where `appendonly` is `yes` and `appendfsync` is `always`;
    any other server is refused, unless `may_lose_a_second` says that this is known. A server without an
    append-only file is always refused. Replicas follow later and are no part of the promise.
    """

    def __init__(self, url: str, name: str, settings: RedisSettings | None = None) -> None:
        super().__init__(_RedisStream(url, name, settings or RedisSettings()), f"{url}#{name}")

    @classmethod
    def open(cls, where: str) -> RedisLog:
        """The log of an address ``redis://HOST:PORT/DB#NAME``."""
        url, name = urldefrag(where)
        if not name:
            raise ConfigError(f"{where!r} names no log; write redis://HOST:PORT/DB#NAME")
        return cls(url, name)


class _RedisStream:
    """Bundles as entries 1-0, 2-0, ... of a stream. The braces keep the keys on one node of a cluster."""

    def __init__(self, url: str, name: str, settings: RedisSettings) -> None:
        self.largest = settings.largest_bytes
        self._url, self._settings = url, settings
        self._stream, self._generation, self._beside = (f"{{{name}}}:{what}" for what in ("log", "generation", "new"))
        need_redis()
        with self._named():
            self._redis = _client(url, settings.timeout_s)
            self._must_be_durable()

    def version(self) -> Version:
        with self._named():
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.get(self._generation)
            pipeline.xlen(self._stream)
            generation, count = pipeline.execute()
        return Version((generation or b"").decode(), count)

    def read(self, start: int, stop: int, generation: str) -> Iterator[bytes]:
        while start < stop:
            count = min(_PAGE, stop - start)
            with self._named():
                pipeline = self._redis.pipeline(transaction=True)
                pipeline.get(self._generation)
                pipeline.xrange(self._stream, f"{start + 1}-0", f"{start + count}-0")
                now, entries = pipeline.execute()
            if (now or b"").decode() != generation or len(entries) != count:
                raise Moved(f"{self._url}: the stream {self._stream} was rewritten")
            for _, fields in entries:
                # What is no field of ours is no JSON either, and is refused by the reader.
                yield fields.get(b"b", b"")
            start += count

    def add(self, known: Version, bundle: bytes) -> None:
        with self._named():
            done = self._redis.eval(
                _ADD, 2, self._stream, self._generation, str(known.length), known.generation, bundle
            )
        if not done:
            raise Moved(f"{self._url}: the stream {self._stream} has grown or was rewritten")

    def replace(self, known: Version, bundles: Iterable[bytes]) -> None:
        with self._named():
            self._redis.delete(self._beside)
            for number, bundle in enumerate(bundles, start=1):
                self._redis.xadd(self._beside, {"b": bundle}, id=f"{number}-0")
            keys = (self._stream, self._generation, self._beside)
            expected = (str(known.length), known.generation)
            done = self._redis.eval(_REPLACE, 3, *keys, *expected, uuid.uuid4().hex)
        if not done:
            raise Moved(f"{self._url}: the stream {self._stream} has grown or was rewritten")

    def close(self) -> None:
        self._redis.close()

    def _must_be_durable(self) -> None:
        from redis.exceptions import ResponseError

        try:
            answer: Any = self._redis.config_get("append*")
        except ResponseError as error:
            answer, why = {}, f"does not tell ({error})"
        else:
            why = f"has appendonly {answer.get('appendonly')} and appendfsync {answer.get('appendfsync')}"
        if answer.get("appendonly") == "yes" and answer.get("appendfsync") == "always":
            return
        allowed = self._settings.may_lose_a_second and answer.get("appendonly") != "no"
        if not allowed or answer.get("appendfsync") == "no":
            raise StorageError(
                f"{self._url} {why}, so that an acknowledged event could be lost; set appendonly yes and appendfsync "
                f"always there, or set may_lose_a_second for a server that syncs once a second"
            )
        logger.warning("%s %s: acknowledged events of the last second may be lost", self._url, why)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        from redis.exceptions import RedisError

        try:
            yield
        except RedisError as error:
            raise StorageError(
                f"{self._url}: {error}; check the server, then send the events again. What was acknowledged stays."
            ) from error


def need_redis() -> None:
    """Raises MissingExtraError."""
    if importlib.util.find_spec("redis") is None:
        raise MissingExtraError("a log in Redis needs redis-py; install it with: pip install 'dynmm[redis]'")


def _client(url: str, timeout: float) -> Redis:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # A command that is sent twice would come back as a duplicate of itself.
    return Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0))
