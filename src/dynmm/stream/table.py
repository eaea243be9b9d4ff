"""Every log that can be named. Adding one is a file, and one line here."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import cast

from dynmm.errors import ConfigError
from dynmm.stream.protocol import EventLog


@dataclass(frozen=True)
class Backend:
    """A line of the table.

    path: ``module:Class`` with a class method ``open(where)``. where: what follows the name and a colon.
    forgets: whether it can take a user's events out. needs: for a person to read.
    """

    path: str
    where: str
    about: str
    needs: str
    forgets: bool


_HERE = "dynmm.stream"

TABLE: dict[str, Backend] = {
    "sqlite": Backend(f"{_HERE}.sqlite_log:SqliteLog", "PATH", "one file, one writing process", "nothing", True),
    "redis": Backend(
        f"{_HERE}.redis_log:RedisLog", "redis://HOST:PORT/DB#NAME", "a stream in Redis", "`.[redis]`, a server", True
    ),
    "nats": Backend(
        f"{_HERE}.nats_log:NatsLog", "nats://HOST:PORT#NAME", "a stream of JetStream", "`.[nats]`, a server", False
    ),
    "kafka": Backend(
        f"{_HERE}.kafka_log:KafkaLog", "HOST:PORT#TOPIC", "a topic of one partition", "`.[kafka]`, a server", False
    ),
}


def open_log(address: str) -> EventLog:
    """The log of an address such as ``sqlite:state/events.sqlite``, made where there is none.

    Raises ConfigError that lists what there is, MissingExtraError where a package lacks, and what the log raises.
    """
    name, colon, where = address.partition(":")
    if name not in TABLE or not colon or not where:
        offered = ", ".join(f"{one}:{backend.where}" for one, backend in TABLE.items())
        raise ConfigError(f"{address!r} names no log; write one of {offered}")
    module, _, made = TABLE[name].path.partition(":")
    return cast(EventLog, getattr(importlib.import_module(module), made).open(where))
