"""The log as a stream of NATS JetStream. Several processes may write; each message only behind the one expected."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag

from pydantic import Field

from dynmm.configuration import Settings
from dynmm.errors import ConfigError, MissingExtraError, StorageError
from dynmm.stream.background import Background
from dynmm.stream.bundle_log import BundleLog
from dynmm.stream.bundles import Moved, Version

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

logger = logging.getLogger(__name__)

#: The server's codes for "the last message is not the one that you expected".
_NOT_AS_EXPECTED = (10070, 10071, 10164)
_NO_SUCH_STREAM = 10059
_AT_ONCE = 32
#: What headers and the protocol add to a message.
_AROUND = 1024
#: How often a lost connection is tried while one call waits.
_TRIES = 8


class NatsSettings(Settings):
    """How the log speaks to NATS."""

    timeout_s: float = Field(10.0, gt=0, description="Seconds to wait for an answer of the server.")
    replicas: int = Field(1, ge=1, le=5, description="Servers that hold each message, where the stream is made.")


class NatsLog(BundleLog):
    """A log in the JetStream stream NAME, made with file storage where there is none.

    An acknowledged event is in the files of as many servers as there are replicas. A server writes them to its
    disk at its `sync_interval`, two minutes unless it says `always`: with less than three replicas, or without
    `always`, a loss of power can take acknowledged events. A killed server keeps them. JetStream's own memory
    of message ids lasts minutes, so it is not what keeps duplicates out. The log cannot forget a user: a
    stream that denies deletion is part of the promise.
    """

    def __init__(self, url: str, name: str, settings: NatsSettings | None = None) -> None:
        super().__init__(_JetStream(url, name, settings or NatsSettings()), f"{url}#{name}")

    @classmethod
    def open(cls, where: str) -> NatsLog:
        """The log of an address ``nats://HOST:PORT#NAME``."""
        url, name = urldefrag(where)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise ConfigError(
                f"{where!r} names no log; write nats://HOST:PORT#NAME, the name of letters, digits, _ and -"
            )
        return cls(url, name)


class _JetStream:
    """Bundles as the messages of one stream with one subject; message n + 1 is bundle n."""

    def __init__(self, url: str, name: str, settings: NatsSettings) -> None:
        if importlib.util.find_spec("nats") is None:
            raise MissingExtraError("a log in NATS needs nats-py; install it with: pip install 'dynmm[nats]'")
        self._url, self._name, self._subject = url, name, f"dynmm.log.{name}"
        self._settings = settings
        self._background = Background(url, settings.timeout_s)
        try:
            with self._named():
                self._client, self._stream = self._background.run(self._connect())
        except BaseException:
            self._background.close()
            raise
        self.largest = int(self._client.max_payload) - _AROUND

    def version(self) -> Version:
        with self._named():
            info = self._background.run(self._stream.stream_info(self._name))
        return Version(str(info.created), int(info.state.last_seq))

    def read(self, start: int, stop: int, generation: str) -> Iterator[bytes]:
        while start < stop:
            end = min(start + _AT_ONCE, stop)
            with self._named():
                page = self._background.run(self._page(start, end))
            yield from page
            start = end

    def add(self, known: Version, bundle: bytes) -> None:
        with self._named():
            self._background.run(
                self._stream.publish(
                    self._subject,
                    bundle,
                    timeout=self._settings.timeout_s,
                    stream=self._name,
                    # For the subject, since zero there means "none yet"; for the stream zero means "any".
                    headers={"Nats-Expected-Last-Subject-Sequence": str(known.length)},
                )
            )

    def close(self) -> None:
        with contextlib.suppress(StorageError), self._named():  # a connection that is gone is closed
            self._background.run(self._client.close())
        self._background.close()

    async def _connect(self) -> tuple[Client, JetStreamContext]:
        import nats

        # A lost connection is made again by the client; calls meanwhile end at their timeout. It tries several times
        # within one: at its own pace, every two seconds, a call could end beside a server that is long back.
        telling = _Telling()
        client = await nats.connect(
            self._url,
            connect_timeout=self._settings.timeout_s,
            max_reconnect_attempts=-1,
            reconnect_time_wait=min(1.0, self._settings.timeout_s / _TRIES),
            error_cb=telling.wrong,
            reconnected_cb=telling.back,
        )
        try:
            stream = client.jetstream(timeout=self._settings.timeout_s)
            await self._make(stream)
        except BaseException:
            await client.close()
            raise
        return client, stream

    async def _make(self, stream: JetStreamContext) -> None:
        from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
        from nats.js.errors import APIError

        try:
            config = (await stream.stream_info(self._name)).config
        except APIError as error:
            if error.err_code != _NO_SUCH_STREAM:
                raise
            config = StreamConfig(
                name=self._name,
                subjects=[self._subject],
                storage=StorageType.FILE,
                retention=RetentionPolicy.LIMITS,
                discard=DiscardPolicy.NEW,
                num_replicas=self._settings.replicas,
                deny_delete=True,
                deny_purge=True,
            )
            await stream.add_stream(config)
            return
        unlimited = all((value or -1) < 0 for value in (config.max_msgs, config.max_bytes)) and not config.max_age
        if config.subjects != [self._subject] or config.storage != StorageType.FILE or not unlimited:
            raise StorageError(
                f"{self._url}: the stream {self._name} is not one of a log: it needs the one subject {self._subject}, "
                f"file storage and no limits; take another name"
            )

    async def _page(self, start: int, end: int) -> list[bytes]:
        messages = await asyncio.gather(*(self._stream.get_msg(self._name, seq) for seq in range(start + 1, end + 1)))
        return [message.data or b"" for message in messages]

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        from nats.errors import Error
        from nats.js.errors import APIError

        try:
            yield
        except APIError as error:
            if error.err_code in _NOT_AS_EXPECTED:
                raise Moved(f"{self._url}: the stream {self._name} has grown") from error
            raise self._refused(error) from error
        except (TimeoutError, Error, OSError) as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> StorageError:
        return StorageError(
            f"{self._url}: {error or type(error).__name__}; check the server, then send the events again. What was "
            f"acknowledged stays."
        )


class _Telling:
    """Says what is wrong with a connection once, however often the client tries again."""

    def __init__(self) -> None:
        self._last = ""

    async def wrong(self, error: Any) -> None:
        said = str(error) or type(error).__name__
        logger.log(logging.DEBUG if said == self._last else logging.WARNING, "the connection of a log: %s", said)
        self._last = said

    async def back(self) -> None:
        """It is there again: what comes next is news."""
        self._last = ""
