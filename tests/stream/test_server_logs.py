"""Logs on real servers that are killed, damaged, shared between writers, or not durable."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.stream.made import event, events, ids
from tests.stream.servers import Server, nats_server, redis_server

from dynmm.errors import ConfigError, NewerArtefact, StorageError, TamperedArtefact
from dynmm.stream.nats_log import NatsLog, NatsSettings
from dynmm.stream.redis_log import RedisLog, RedisSettings

Log = RedisLog | NatsLog


@pytest.fixture(params=["redis", "nats"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    running = {"redis": redis_server, "nats": nats_server}[request.param](tmp_path)
    yield running
    running.kill()


def opened(server: Server, request: pytest.FixtureRequest) -> Log:
    kind = request.node.callspec.params["server"]
    if kind == "redis":
        return RedisLog(f"redis://127.0.0.1:{server.port}/0", "log", RedisSettings(timeout_s=2))
    return NatsLog(f"nats://127.0.0.1:{server.port}", "log", NatsSettings(timeout_s=2))


def test_a_killed_server_keeps_what_it_acknowledged(server: Server, request: pytest.FixtureRequest) -> None:
    log = opened(server, request)
    log.append(events(20))
    log.mark("m", {})
    server.kill()
    with pytest.raises(StorageError, match="send the events again"):
        log.append([event(20)])
    server.start()
    # What was refused may have been taken all the same, by a client that sends it when the server is back.
    receipt = log.append(events(22))
    assert receipt.accepted in ((20, 21), (21,))
    assert ids(log.read()) == [one.id for one in events(22)]
    again = opened(server, request)
    assert (again.offset, again.marks, again.head) == (22, 1, log.head)
    assert ids(again.read()) == [one.id for one in events(22)]
    again.close()
    log.close()


def test_two_writers_make_one_log(server: Server, request: pytest.FixtureRequest) -> None:
    logs = [opened(server, request), opened(server, request)]

    def produce(worker: int) -> None:
        for step in range(20):
            assert logs[worker].append([event(worker * 100 + step), event(1000 + step)]).conflicts == ()

    threads = [threading.Thread(target=produce, args=(worker,)) for worker in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [ids(log.read()) for log in logs]
    assert found[0] == found[1]
    assert len(found[0]) == len(set(found[0])) == 60
    assert logs[0].head == logs[1].head
    for log in logs:
        log.close()


def test_more_than_one_message_holds(server: Server, request: pytest.FixtureRequest) -> None:
    log = opened(server, request)
    many = [event(number, user="u" * 900) for number in range(3000)]
    assert log.append(many).offset == 3000
    assert ids(log.read(1500, 1503)) == ["e1500", "e1501", "e1502"]
    assert log.append(many[:10]).accepted == ()
    log.close()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    running = redis_server(tmp_path)
    yield running
    running.kill()


def url(server: Server) -> str:
    return f"redis://127.0.0.1:{server.port}/0"


def test_a_writer_learns_that_another_took_a_user_out(redis: Server) -> None:
    one, other = RedisLog(url(redis), "log"), RedisLog(url(redis), "log")
    one.append(events(20))
    begun = other.read()
    next(begun)
    waiting = other.read()
    one.forget("u3")
    with pytest.raises(StorageError, match="read it again"):
        list(waiting)
    assert other.append([event(3), event(4)]).duplicates == ("e4",)
    assert other.head != one.head
    assert ids(one.read()) == ids(other.read())
    assert one.head == other.head
    one.forget("u0")
    for user in range(7):
        one.forget(f"u{user}")
    assert (one.offset, one.head) == (0, "0" * 64)


@pytest.mark.parametrize("change", ["body", "digest", "order", "format", "none"])
def test_a_changed_entry_is_refused(redis: Server, change: str) -> None:
    from redis import Redis

    log = RedisLog(url(redis), "log")
    log.append(events(3))
    log.append(events(5))
    client = Redis.from_url(url(redis))
    found: Any = client.xrange("{log}:log")
    entries: list[bytes] = [fields[b"b"] for _, fields in found]
    changed = {
        "body": [entries[0].replace(b"i1", b"i9"), entries[1]],
        "digest": [entries[0].replace(b"a", b"b"), entries[1]],
        "order": entries[::-1],
        "format": [entries[0].replace(b'"format":1', b'"format":2'), entries[1]],
        "none": [b"", entries[1]],
    }[change]
    client.delete("{log}:log")
    for number, entry in enumerate(changed, start=1):
        client.xadd("{log}:log", {"b": entry}, id=f"{number}-0")
    client.close()
    with pytest.raises(NewerArtefact if change == "format" else TamperedArtefact, match=r"offset [01]|upgrade"):
        RedisLog(url(redis), "log")
    with pytest.raises((NewerArtefact, TamperedArtefact)):
        list(log.read())


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        (("--appendonly", "no"), False),
        (("--appendonly", "yes", "--appendfsync", "everysec"), True),
        (("--appendonly", "yes", "--appendfsync", "no"), False),
    ],
)
def test_a_server_that_may_lose_events_is_refused(
    tmp_path: Path, options: tuple[str, ...], allowed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    running = redis_server(tmp_path, *options)
    try:
        with pytest.raises(StorageError, match="appendfsync always"):
            RedisLog(url(running), "log")
        settings = RedisSettings(may_lose_a_second=True)
        if not allowed:
            with pytest.raises(StorageError, match="appendfsync always"):
                RedisLog(url(running), "log", settings)
            return
        with caplog.at_level(logging.WARNING):
            RedisLog(url(running), "log", settings).append(events(1))
        assert "may be lost" in caplog.text
    finally:
        running.kill()


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:1"):
        RedisLog("redis://127.0.0.1:1/0", "log")


def test_a_server_that_is_not_there_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "dynmm.stream"), pytest.raises(StorageError):
        NatsLog("nats://127.0.0.1:1", "log", NatsSettings(timeout_s=2))
    told = [one.levelno for one in caplog.records if "the connection of a log" in one.getMessage()]
    assert len(told) > 2, "the client tries again and again"
    assert told.count(logging.WARNING) == 1


def test_a_stream_of_another_kind_is_refused(tmp_path: Path) -> None:
    import asyncio

    running = nats_server(tmp_path)
    where = f"nats://127.0.0.1:{running.port}"

    async def make() -> None:
        import nats

        client = await nats.connect(where)
        await client.jetstream().add_stream(name="other", subjects=["dynmm.log.other"], max_msgs=10)
        await client.close()

    try:
        asyncio.run(make())
        with pytest.raises(StorageError, match="no limits"):
            NatsLog(where, "other")
    finally:
        running.kill()


@pytest.mark.parametrize("where", ["redis://127.0.0.1:1/0", "redis://127.0.0.1:1/0#"])
def test_an_address_without_a_name_is_refused(where: str) -> None:
    with pytest.raises(ConfigError, match=r"#NAME"):
        RedisLog.open(where)


@pytest.mark.parametrize("where", ["nats://127.0.0.1:1", "nats://127.0.0.1:1#a.b"])
def test_a_name_that_is_no_stream_is_refused(where: str) -> None:
    with pytest.raises(ConfigError, match=r"#NAME"):
        NatsLog.open(where)
