"""The log in Kafka on a readable fake: the contract, fencing, lost answers, gaps of transactions."""

from __future__ import annotations

from collections import defaultdict

import pytest
from tests.stream.fake_kafka import Broker
from tests.stream.made import event, events, ids

from dynmm.errors import ConfigError, StorageError
from dynmm.stream.kafka_log import KafkaLog, KafkaSettings
from dynmm.testing.log_contract import LOG_CHECKS, LogCheck


def opened(broker: Broker, **settings: float) -> KafkaLog:
    chosen = KafkaSettings.model_validate(settings)
    return KafkaLog("broker:9092", "log", chosen, producer=broker.producer, consumer=broker.consumer)


@pytest.mark.parametrize("check", LOG_CHECKS, ids=lambda check: check.__name__)
def test_the_contract(check: LogCheck) -> None:
    brokers: dict[str, Broker] = defaultdict(Broker)
    check(lambda name: opened(brokers[name]))


def test_a_later_writer_fences_the_one_before() -> None:
    broker = Broker()
    first = opened(broker)
    first.append(events(3))
    second = opened(broker)
    with pytest.raises(StorageError, match="another process writes"):
        first.append([event(3)])
    assert second.append([event(4)]).accepted == (3,)
    # It stays so: whoever was fenced does not take the pen back.
    with pytest.raises(StorageError, match="another process writes"):
        first.append([event(3)])
    assert second.append([event(5)]).accepted == (4,)
    assert ids(second.read()) == ["e0", "e1", "e2", "e4", "e5"]


def test_after_a_lost_answer_nothing_is_there_twice() -> None:
    broker = Broker()
    log = opened(broker)
    broker.loses_answers = True
    with pytest.raises(StorageError, match="send the events again"):
        log.append(events(3))
    broker.loses_answers = False
    assert log.append(events(4)).accepted == (3,)
    assert ids(log.read()) == [one.id for one in events(4)]


def test_it_goes_on_after_a_commit_that_is_not_answered_in_time() -> None:
    """The producer is in the middle of that commit for good, and begins no other transaction."""
    broker = Broker()
    log = opened(broker, timeout_s=0.2)
    log.append(events(3))
    broker.silent = True
    for _ in range(2):
        with pytest.raises(StorageError, match=r"does not answer within 0\.2 s"):
            log.append([event(3)])
    broker.silent = False
    assert log.append([event(3), event(4)]).accepted == (4,)
    assert ids(log.read()) == [one.id for one in events(5)]
    assert broker.producers == 1
    assert opened(broker).head == log.head


def test_it_goes_on_when_the_broker_is_back() -> None:
    broker = Broker()
    log = opened(broker)
    log.append(events(3))
    broker.down = True
    with pytest.raises(StorageError):
        log.append([event(3)])
    with pytest.raises(StorageError):
        list(log.read())
    broker.down = False
    assert log.append([event(3)]).offset == 4
    assert opened(broker).head == log.head


def test_a_topic_of_several_partitions_is_refused() -> None:
    with pytest.raises(StorageError, match="exactly one"):
        opened(Broker(partitions={0, 1}))


@pytest.mark.parametrize("where", ["host:9092", "#topic", "host#a topic"])
def test_an_address_without_a_topic_is_refused(where: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT#TOPIC"):
        KafkaLog.open(where)


def test_brokers_that_are_not_there_are_named() -> None:
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:1"):
        KafkaLog.open("127.0.0.1:1#topic")
