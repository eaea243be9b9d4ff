"""Real servers on loopback for tests, started by the tests themselves and killed behind them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """A process that listens on a port of loopback. kill and start again: the same folder, the same port."""

    def __init__(self, command: list[str], port: int) -> None:
        self._command, self.port = command, port
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, f"{self._command[0]} ended at once"
            time.sleep(0.05)
        pytest.fail(f"{self._command[0]} does not listen")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def need(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed; `make test` installs it where it may")
    return found


def redis_server(folder: Path, *options: str) -> Server:
    port = free_port()
    chosen = options or ("--appendonly", "yes", "--appendfsync", "always")
    command = [need("redis-server"), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    return Server([*command, *chosen], port)


def nats_server(folder: Path) -> Server:
    port = free_port()
    command = [need("nats-server"), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder)]
    return Server(command, port)


def address_of(backend: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """An address to which the name of a log is added. A server lives as long as the test."""
    if backend == "sqlite":
        return f"sqlite:{folder}/"
    if backend == "kafka":
        pytest.skip("no Kafka here: its log is tested in test_kafka_log.py on a readable fake")
    start = {"redis": redis_server, "nats": nats_server}[backend]
    server = start(folder)
    request.addfinalizer(server.kill)
    path = "/0" if backend == "redis" else ""
    return f"{backend}:{backend}://127.0.0.1:{server.port}{path}#"
