"""The log as a Kafka topic of one partition. One process writes: a later writer fences the one before it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urldefrag

from pydantic import Field

from dynmm.configuration import Settings
from dynmm.errors import ConfigError, MissingExtraError, StorageError
from dynmm.stream.background import Background
from dynmm.stream.bundle_log import BundleLog
from dynmm.stream.bundles import Moved, Version

#: Makes a producer or a consumer; without one, aiokafka's own.
Maker = Callable[..., Any]

#: What the headers of a message and of its batch add.
_AROUND = 4096
_POLL_MS, _EMPTY_POLLS = 500, 3


class KafkaSettings(Settings):
    """How the log speaks to Kafka."""

    timeout_s: float = Field(30.0, gt=0, description="Seconds to wait for an answer of the brokers.")
    largest_bytes: int = Field(1 << 20, ge=1 << 14, description="Most bytes of one message, which the topic allows.")


class KafkaLog(BundleLog):
    """A log in partition 0 of a topic, which must be there with one partition and without retention limits.

    Each message is written in a transaction with acks from all replicas in sync, under a transactional id that
    belongs to the topic: opening a second log fences the first, whose next append is refused. An acknowledged
    event is on as many brokers as `min.insync.replicas` says; Kafka syncs its disks later, so set it to two or
    more. The log cannot forget a user. Tested on a readable fake of aiokafka's clients, not on brokers.

    producer, consumer: what makes them, with aiokafka's own arguments and methods.
    """

    def __init__(
        self,
        servers: str,
        topic: str,
        settings: KafkaSettings | None = None,
        *,
        producer: Maker | None = None,
        consumer: Maker | None = None,
    ) -> None:
        chosen = settings or KafkaSettings()
        super().__init__(_Topic(servers, topic, chosen, producer, consumer), f"{servers}#{topic}")

    @classmethod
    def open(cls, where: str) -> KafkaLog:
        """The log of an address ``HOST:PORT#TOPIC``; several servers with commas between them."""
        servers, topic = urldefrag(where)
        if not servers or not re.fullmatch(r"[A-Za-z0-9._-]+", topic):
            raise ConfigError(f"{where!r} names no log; write HOST:PORT#TOPIC")
        return cls(servers, topic)


class _Topic:
    """Bundles as the committed messages of a partition. Transactions leave gaps, so their offsets are kept."""

    def __init__(
        self, servers: str, topic: str, settings: KafkaSettings, producer: Maker | None, consumer: Maker | None
    ) -> None:
        need_aiokafka()
        self._servers, self._topic, self._settings = servers, topic, settings
        self.largest = settings.largest_bytes - _AROUND
        self._make_producer = producer
        #: Whether the producer may be in the middle of a transaction, in which it begins no other.
        self._broken_off = False
        #: What told that another process writes now; its pen is not taken back.
        self._fenced: Exception | None = None
        self._offsets: list[int] = []
        self._background = Background(servers, settings.timeout_s)
        try:
            with self._named():
                self._background.run(self._connect(consumer))
        except BaseException:
            self._background.close()
            raise

    def version(self) -> Version:
        """Learns the offsets of committed messages behind the last known one."""
        with self._named():
            if self._broken_off and self._fenced is None:
                # Before anything is read: the broker ends the transaction that was open, one way or the other.
                self._background.run(self._renew())
                self._broken_off = False
            end = self._background.run(self._seek_new())
            empty = 0
            # A transaction ends with a marker that is no message: there may be nothing to read before the end.
            while empty < _EMPTY_POLLS and self._background.run(self._consumer.position(self._partition)) < end:
                offsets = self._background.run(self._poll())
                empty = 0 if offsets else empty + 1
                self._offsets.extend(offsets)
        return Version("", len(self._offsets))

    def read(self, start: int, stop: int, generation: str) -> Iterator[bytes]:
        for number in range(start, stop):
            with self._named():
                bundle = self._background.run(self._message(self._offsets[number]))
            yield bundle

    def add(self, known: Version, bundle: bytes) -> None:
        if known.length != len(self._offsets):
            raise Moved(f"{self._servers}: the topic {self._topic} has grown")
        with self._named():
            if self._fenced is not None:
                raise self._fenced
            try:
                self._offsets.append(self._background.run(self._send(bundle)))
            except BaseException:
                self._broken_off = True
                raise

    def close(self) -> None:
        with contextlib.suppress(StorageError), self._named():  # a connection that is gone is closed
            self._background.run(self._stop())
        self._background.close()

    async def _connect(self, consumer: Maker | None) -> None:
        import aiokafka

        self._partition = aiokafka.TopicPartition(self._topic, 0)
        self._producer = self._new_producer()
        self._consumer = (consumer or aiokafka.AIOKafkaConsumer)(
            bootstrap_servers=self._servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=max(self._settings.largest_bytes, 1 << 20),
        )
        try:
            await _begun(self._producer)
            await self._consumer.start()
            partitions = await self._producer.partitions_for(self._topic)
            if partitions != {0}:
                raise StorageError(
                    f"{self._servers}: the topic {self._topic} has the partitions {sorted(partitions)}; a log needs a "
                    f"topic of exactly one"
                )
            self._consumer.assign([self._partition])
        except BaseException:
            await self._stop()
            raise

    def _new_producer(self) -> Any:
        import aiokafka

        return (self._make_producer or aiokafka.AIOKafkaProducer)(
            bootstrap_servers=self._servers,
            transactional_id=f"dynmm.log.{self._topic}",
            acks="all",
            enable_idempotence=True,
            max_request_size=self._settings.largest_bytes,
        )

    async def _renew(self) -> None:
        """Another producer in the place of one whose transaction broke off."""
        old, new = self._producer, self._new_producer()
        try:
            await _begun(new)
        except BaseException:
            await new.stop()
            raise
        self._producer = new
        # It is fenced, and may wait for an answer that never comes.
        with contextlib.suppress(Exception):
            await asyncio.wait_for(old.stop(), self._settings.timeout_s / 4)

    async def _stop(self) -> None:
        await self._consumer.stop()
        await self._producer.stop()

    async def _seek_new(self) -> int:
        end = (await self._consumer.end_offsets([self._partition]))[self._partition]
        self._consumer.seek(self._partition, self._offsets[-1] + 1 if self._offsets else 0)
        return int(end)

    async def _poll(self) -> list[int]:
        found = await self._consumer.getmany(self._partition, timeout_ms=_POLL_MS)
        return [int(message.offset) for message in found.get(self._partition, ())]

    async def _message(self, offset: int) -> bytes:
        self._consumer.seek(self._partition, offset)
        message = await self._consumer.getone(self._partition)
        if message.offset != offset:
            raise StorageError(
                f"{self._servers}: the message {offset} of the topic {self._topic} is gone; a log needs a topic "
                f"without limits of retention, and without compaction"
            )
        return bytes(message.value or b"")

    async def _send(self, bundle: bytes) -> int:
        async with self._producer.transaction():
            sent = await self._producer.send_and_wait(self._topic, bundle, partition=0)
        return int(sent.offset)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced

        try:
            yield
        except (ProducerFenced, InvalidProducerEpoch) as error:
            self._fenced = error
            raise StorageError(
                f"{self._servers}: another process writes to {self._topic} now; one process writes at a time. Stop one "
                f"of them, then open the log again"
            ) from error
        except (TimeoutError, KafkaError, OSError) as error:
            raise StorageError(
                f"{self._servers}: {error or type(error).__name__}; check the brokers, then send the events again. "
                f"What was acknowledged stays."
            ) from error


async def _begun(producer: Any) -> None:
    """The first transaction fences an earlier writer: what is read from here on is all that there is."""
    await producer.start()
    async with producer.transaction():
        pass


def need_aiokafka() -> None:
    """Raises MissingExtraError."""
    if importlib.util.find_spec("aiokafka") is None:
        raise MissingExtraError("a log in Kafka needs aiokafka; install it with: pip install 'dynmm[kafka]'")
