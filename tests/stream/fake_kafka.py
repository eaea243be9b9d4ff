"""A broker with one partition in memory, and clients with the methods of aiokafka's that the log calls.

What it keeps of Kafka: committed transactions take an offset for their marker, aborted messages are skipped by
those who read what is committed, and a producer with the same transactional id fences the one before it. What
transactions a producer may begin is asked of aiokafka itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, ProducerFenced
from aiokafka.producer.transaction_manager import TransactionManager


@dataclass
class Broker:
    """rows: messages, None for a marker or an aborted message. epochs: the last of each transactional id.

    loses_answers: commits are done, and their answers are errors. silent: they have no answer.
    producers: that were made and are not stopped.
    """

    partitions: set[int] = field(default_factory=lambda: {0})
    rows: list[bytes | None] = field(default_factory=list)
    epochs: dict[str, int] = field(default_factory=dict)
    down: bool = False
    loses_answers: bool = False
    silent: bool = False
    producers: int = 0

    def producer(self, **settings: Any) -> Producer:
        assert settings["acks"] == "all"
        assert settings["enable_idempotence"]
        return Producer(self, settings["transactional_id"])

    def consumer(self, **settings: Any) -> Consumer:
        assert settings["isolation_level"] == "read_committed"
        return Consumer(self)

    def answer(self) -> None:
        if self.down:
            raise KafkaConnectionError("no broker answers")


class Producer:
    def __init__(self, broker: Broker, name: str) -> None:
        self._broker, self._name, self._epoch, self._sent = broker, name, 0, 0
        broker.producers += 1

    async def start(self) -> None:
        self._broker.answer()
        self._epoch = self._broker.epochs[self._name] = self._broker.epochs.get(self._name, 0) + 1
        self._states = TransactionManager(self._name, 60_000)
        self._states.set_pid_and_epoch(1, self._epoch)

    async def stop(self) -> None:
        self._broker.producers -= 1

    async def partitions_for(self, topic: str) -> set[int]:
        return self._broker.partitions

    def transaction(self) -> Producer:
        return self

    async def __aenter__(self) -> Producer:
        self._states.begin_transaction()
        self._sent = 0
        return self

    async def send_and_wait(self, topic: str, value: bytes, *, partition: int) -> SimpleNamespace:
        self._must_be_current()
        self._broker.rows.append(value)
        self._sent += 1
        return SimpleNamespace(offset=len(self._broker.rows) - 1)

    async def __aexit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        if self._states.is_fatal_error():
            return
        if kind is not None:
            self._states.aborting_transaction()
            self._broker.answer()
            for place in range(len(self._broker.rows) - self._sent, len(self._broker.rows)):
                self._broker.rows[place] = None
        else:
            self._states.committing_transaction()
        if self._sent:
            self._broker.rows.append(None)
        if self._broker.silent:
            await asyncio.sleep(60)
        if self._broker.loses_answers:
            raise KafkaTimeoutError("the answer was lost")
        self._states.complete_transaction()

    def _must_be_current(self) -> None:
        self._broker.answer()
        if self._broker.epochs[self._name] != self._epoch:
            error = ProducerFenced("there is a newer producer with the same transactional id")
            self._states.fatal_error(error)
            self._states.wait_for_transaction_end().exception()  # or it is told that nobody looked
            raise error


class Consumer:
    def __init__(self, broker: Broker) -> None:
        self._broker, self._at = broker, 0

    async def start(self) -> None:
        self._broker.answer()

    async def stop(self) -> None: ...

    def assign(self, partitions: list[TopicPartition]) -> None: ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._at = offset

    async def position(self, partition: TopicPartition) -> int:
        return self._at

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._broker.answer()
        return {partition: len(self._broker.rows) for partition in partitions}

    async def getone(self, partition: TopicPartition) -> SimpleNamespace:
        self._broker.answer()
        while self._broker.rows[self._at] is None:
            self._at += 1
        self._at += 1
        return SimpleNamespace(offset=self._at - 1, value=self._broker.rows[self._at - 1])

    async def getmany(self, partition: TopicPartition, *, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        self._broker.answer()
        rows = [(place, value) for place, value in enumerate(self._broker.rows) if place >= self._at]
        if any(value is not None for _, value in rows):
            # As the real one, it stays before a marker until something comes behind it.
            self._at = 1 + max(place for place, value in rows if value is not None)
        found = [SimpleNamespace(offset=place, value=value) for place, value in rows if value is not None]
        return {partition: found} if found else {}
