"""A server in bad faith: whatever it sends, no wrong score is served, nothing waits without end, nothing leaks."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from tests.language import slate_samples
from tests.language.test_remote import ranker
from tests.language.tiny import tiny_model

from dynmm.assembly.whyrerank import check_rerank
from dynmm.config import Config
from dynmm.errors import ConfigError, ModelError
from dynmm.language.causal import CausalModel
from dynmm.language.remote import VllmServer
from dynmm.language.remote_exchange import MOST_BYTES
from dynmm.language.remote_ranker import RemoteRanker
from dynmm.language.serving import Refiner

#: What a server does with a connection on which a whole request has come.
Script = Callable[[socket.socket, threading.Event], None]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextlib.contextmanager
def answering(script: Script) -> Iterator[str]:
    """The address of a server that answers every request by this script, until the block ends."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            head, _, content = _until(connection, b"", b"\r\n\r\n").partition(b"\r\n\r\n")
            length = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l")]
            while length and len(content) < length[0]:
                content += connection.recv(65_536)
            script(connection, over)

    def accept(listening: socket.socket) -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        thread = threading.Thread(target=accept, args=(listening,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def _until(connection: socket.socket, read: bytes, end: bytes) -> bytes:
    while end not in read:
        read += connection.recv(65_536)
    return read


def whole(content: bytes, head: bytes = HEAD) -> Script:
    return lambda connection, _: connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(content) + content)


def dripping(start: bytes, piece: bytes) -> Script:
    """Sends on and on, never so late that a socket would give up, and ends after some seconds all the same."""

    def drip(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        for _ in range(200):
            if over.wait(0.02):
                return
            connection.sendall(piece)

    return drip


def told(value: str) -> bytes:
    return (
        b'{"choices": [{"index": 0, "logprobs": {"tokens": ["token_id:4"], "token_logprobs": [%s]}}]}' % value.encode()
    )


def asked(url: str, timeout_s: float = 0.3) -> list[float]:
    found: list[float] = VllmServer(url, "tiny", timeout_s=timeout_s).likelihoods([torch.zeros(2, 4)], 4).tolist()
    return found


DRIPS = {
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "content without a length": (HEAD + b"\r\n", b" "),
    "content of a length": (HEAD + b"Content-Length: 1000000\r\n\r\n", b" "),
    "headers": (HEAD, b"A"),
    "the first line": (b"HTTP/1.1 200 ", b"O"),
    "beginnings": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("part", DRIPS)
def test_an_answer_without_end_is_given_up_in_time(part: str) -> None:
    """The limit of a socket began anew with each byte."""
    with answering(dripping(*DRIPS[part])) as url, pytest.raises(ModelError, match=r"did not answer within 0\.3 s"):
        asked(url)


BODIES = {
    "above 0": (told("3.5"), "a log-probability above 0"),
    "an integer beyond floats": (told("-1" + "0" * 400), "a log-probability"),
    "true as an index": (told("-1.0").replace(b'"index": 0', b'"index": false'), "without index or logprobs"),
    "brackets without end": (b"[" * 100_000, "no JSON"),
    "brackets in brackets": (told("[" * 400 + "]" * 400), "a log-probability of list"),
    "no letters": (b'{"choices": "\xff\xfe"}', "no JSON"),
    "too much": (b" " * (MOST_BYTES + 1), "no vLLM server answers .*an answer of more than"),
}


@pytest.mark.parametrize("what", BODIES)
def test_what_cannot_be_is_a_model_error(what: str) -> None:
    content, said = BODIES[what]
    with answering(whole(content)) as url, pytest.raises(ModelError, match=said) as refused:
        asked(url, 5.0)
    assert len(str(refused.value)) < 1_000


def test_what_is_sound_is_read_with_and_without_a_length() -> None:
    for head in (b"", b"Connection: close\r\n"):
        with answering(whole(told("-1.5"), HEAD + head)) as url:
            assert asked(url) == [-1.5]
    with answering(lambda connection, _: connection.sendall(HEAD + b"\r\n" + told("-1.5"))) as url:
        assert asked(url) == [-1.5]


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "-1e999", "-1" + "0" * 400, "3.5", '"low"', "null"])
def test_no_such_score_is_served(value: str) -> None:
    model = tiny_model("llama")
    assert isinstance(model, CausalModel)
    local = ranker(model)
    local.readout.answer = 4  # type: ignore[assignment]
    with answering(whole(told(value))) as url:
        refiner = Refiner(RemoteRanker(local, VllmServer(url, "tiny", timeout_s=20)))
        refined = refiner(slate_samples.slates(1, 1), slate_samples.shelf())
    assert refined.raw is None
    assert refined.degraded in ("model", "not_finite")
    assert refiner.served.read()[refined.degraded] == 1


def test_what_a_server_says_cannot_move_a_terminal_or_fill_a_log() -> None:
    said = json.dumps({"error": {"message": "\x1b[2Jred\nINFO all is well \ud800" + "x" * 100_000}}).encode()
    with answering(whole(said, b"HTTP/1.1 400 Bad\r\n")) as url, pytest.raises(ModelError) as refused:
        asked(url)
    shown = str(refused.value)
    assert shown.isprintable()
    assert len(shown) < 1_000
    with answering(whole(told('"' + "x" * 100_000 + '"'))) as url, pytest.raises(ModelError) as refused:
        asked(url)
    assert len(str(refused.value)) < 1_000


@pytest.mark.parametrize("key", ["secret\n", "secret\r\nX-Evil: 1", "secretключ", "secret\x00"])
def test_a_key_that_cannot_travel_is_refused_and_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was shown in a traceback of the standard library, with the first question."""
    with pytest.raises(ConfigError, match="DYNMM_SERVER_KEY") as refused:
        VllmServer("http://127.0.0.1:1", "tiny", key=key)
    assert "secret" not in str(refused.value)
    monkeypatch.setattr("os.environ", {"DYNMM_SERVER_KEY": key})
    with pytest.raises(ConfigError, match="DYNMM_SERVER_KEY"):
        VllmServer("http://127.0.0.1:1", "tiny")


def test_a_fit_is_refused_for_such_a_key_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.of({"language": {"server": "http://127.0.0.1:1"}})
    check_rerank(config)
    monkeypatch.setenv("DYNMM_SERVER_KEY", "secret\n")
    check_rerank(Config())
    with pytest.raises(ConfigError, match="DYNMM_SERVER_KEY"):
        check_rerank(config)


ADDRESSES = [
    "http://a..b:80",
    f"http://{'a' * 70}:80",
    "http://host/ä",
    "http://host/a b",
    "http://host/\x00",
    "http://host:80?x=1",
    "http://host:80#x",
    "http://me:secret@host:80",
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_that_cannot_be_asked_is_refused_where_it_is_written(url: str) -> None:
    with pytest.raises(ConfigError, match="is no address of a server") as refused:
        Config.of({"language": {"server": url}})
    with pytest.raises(ConfigError, match="is no address of a server"):
        VllmServer(url, "tiny")
    assert "secret" not in str(refused.value)


def test_addresses_of_every_usual_form_are_taken() -> None:
    for url in ("http://127.0.0.1:8000", "https://host", "http://[::1]:8000", "http://gpu:8000/behind/a-proxy/"):
        assert Config.of({"language": {"server": url}}).language.server == url
