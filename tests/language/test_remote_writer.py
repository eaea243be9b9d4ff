"""Writing by a server: only texts of the phrase can be asked for, and only what is checked is told."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language.tiny import tiny_model
from tests.language.vllm_stand_in import StandIn, serving, unpacked

from dynmm.language.causal import CausalModel
from dynmm.language.remote import VllmServer
from dynmm.language.remote_writer import RemoteWriter, regex_of
from dynmm.language.writing import Order
from dynmm.types import OneOf, Phrase


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    model = tiny_model("llama")
    assert isinstance(model, CausalModel)
    with serving(model) as server:
        yield server


def order(stand_in: StandIn, *, true: bool = True) -> Order:
    phrase = (OneOf(("because", "for")), OneOf((" you", "")))
    return Order(("<fact>bought 3 times</fact>",), phrase, "because", lambda text: true and text == "because")


def writer(stand_in: StandIn, most: int = 40) -> RemoteWriter:
    return RemoteWriter(stand_in.model, VllmServer(stand_in.url, "tiny"), most=most)


def test_a_text_of_the_server_stands_where_the_check_holds(stand_in: StandIn) -> None:
    written = writer(stand_in).write(order(stand_in))
    assert (written.text, written.why) == ("because", None)
    (asked,) = stand_in.requests
    assert asked["structured_outputs"] == {"regex": " (because|for)( you|)"}
    assert asked["temperature"] == 0.0
    sent = unpacked(asked["prompt_embeds"])
    read = [stand_in.model.words.beginning, *stand_in.model.tokens(order(stand_in).facts[0])]
    vectors = stand_in.model.embed(torch.tensor(read))
    assert bool((sent[:, None] == vectors[None]).all(-1).any(0).all()), "the fact was not sent"


@pytest.mark.parametrize(
    ("fault", "true", "most", "why"),
    [
        ("", False, 40, "not verified"),
        ("fails", True, 40, "failed"),
        ("", True, 2, "failed"),
    ],
)
def test_else_the_plain_words_do(stand_in: StandIn, fault: str, true: bool, most: int, why: str) -> None:
    stand_in.fault = fault
    written = writer(stand_in, most).write(order(stand_in, true=true))
    assert (written.text, written.why) == ("because", why)


def test_a_server_that_is_silent_is_late(stand_in: StandIn) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    with silent:
        server = VllmServer(f"http://127.0.0.1:{silent.getsockname()[1]}", "tiny", timeout_s=0.1)
        remote = RemoteWriter(stand_in.model, server)
        assert remote.write(order(stand_in)).why == "late"
        # It is left alone for a while: the next reason does not wait.
        assert remote.write(order(stand_in)).why == "failed"


def test_too_long_for_the_model_is_replaced_and_facts_go_first(stand_in: StandIn) -> None:
    """As in process."""
    many = replace(order(stand_in), facts=tuple(f"<fact>{'y' * 80}</fact>" for _ in range(40)))
    assert writer(stand_in).write(many).why is None
    long = replace(order(stand_in), plain="because " * 250)
    assert RemoteWriter(stand_in.model, VllmServer(stand_in.url, "tiny")).write(long).why == "out of tokens"
    assert len(stand_in.requests) == 1


phrases: st.SearchStrategy[Phrase] = st.recursive(
    st.text(max_size=4) | st.sampled_from(["a.b", "(x)", "[1]*", "{2}", "$^\\|?+"]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(tuple)
        | st.lists(inner, min_size=1, max_size=3).map(lambda ways: OneOf(tuple(ways)))
    ),
    max_leaves=5,
)


def texts(phrase: Phrase) -> set[str]:
    if isinstance(phrase, str):
        return {phrase}
    if isinstance(phrase, OneOf):
        return set().union(*map(texts, phrase.ways))
    found = {""}
    for part in phrase:
        found = {first + second for first in found for second in texts(part)}
    return found


@settings(max_examples=60, deadline=None)
@given(phrases, st.text(max_size=4))
def test_the_expression_holds_the_texts_of_the_phrase_and_no_other(phrase: Phrase, other: str) -> None:
    expression, allowed = re.compile(regex_of(phrase), re.DOTALL), texts(phrase)
    assert all(expression.fullmatch(text) for text in allowed)
    for text in {other, *(one + other for one in allowed), *(one[1:] for one in allowed)}:
        assert bool(expression.fullmatch(text)) == (text in allowed)
