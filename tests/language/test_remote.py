"""The vLLM backend against a stand-in server: what is sent, what is read, and every way to fail."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.language import slate_samples
from tests.language.tiny import WIDTH, tiny_model
from tests.language.vllm_stand_in import StandIn, serving, unpacked
from torch import Tensor

from dynmm.errors import ConfigError, ModelError
from dynmm.language.answering import AnswerReadOut, answer_token
from dynmm.language.causal import CausalModel
from dynmm.language.layout import Layout
from dynmm.language.ranker import LanguageRanker
from dynmm.language.remote import PAUSES_S, VllmServer
from dynmm.language.remote_protocol import packed, scores_of
from dynmm.language.remote_ranker import RemoteRanker
from dynmm.language.serving import Refiner


def causal(kind: str = "llama", precision: str = "float32") -> CausalModel:
    model = tiny_model(kind, precision)
    assert isinstance(model, CausalModel)
    return model


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with serving(causal()) as server:
        yield server


def prompts(count: int = 3, seed: int = 0) -> list[Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return [torch.randn(4 + one, WIDTH, generator=draws) for one in range(count)]


def expected(model: CausalModel, some: list[Tensor], answer: int) -> Tensor:
    values = []
    for prompt in some:
        length = len(prompt)
        visible = torch.ones(1, length, length, dtype=torch.bool).tril()
        hidden, _ = model.run(prompt[None], visible, torch.arange(length)[None])
        values.append(model.logits(hidden[0, -1]).log_softmax(-1)[answer])
    return torch.stack(values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_prompt_is_packed_as_torch_saves_it_and_nothing_but_it(dtype: torch.dtype) -> None:
    secret = torch.full((1000, WIDTH), 7.0, dtype=dtype)
    view = secret[3:5]
    text = packed(view)
    assert len(text) < 6_000
    found = unpacked(text)
    assert found.dtype == dtype
    assert torch.equal(found, view)


def test_gradients_stay_here() -> None:
    vectors = torch.randn(2, WIDTH, requires_grad=True)
    assert torch.equal(unpacked(packed(vectors)), vectors.detach())


@pytest.mark.parametrize("at_once", [1, 2, 64])
def test_likelihoods_are_those_of_the_model(stand_in: StandIn, at_once: int) -> None:
    some = prompts(5)
    found = VllmServer(stand_in.url, "tiny", at_once=at_once).likelihoods(some, 40)
    torch.testing.assert_close(found, expected(stand_in.model, some, 40), rtol=0, atol=1e-5)
    assert len(stand_in.requests) == -(-5 // at_once)


def test_what_is_asked_is_what_vllm_documents(stand_in: StandIn) -> None:
    VllmServer(stand_in.url + "/", "tiny").likelihoods(prompts(2), 40)
    (asked,) = stand_in.requests
    sent = asked.pop("prompt_embeds")
    assert [unpacked(one).shape for one in sent] == [(4, WIDTH), (5, WIDTH)]
    assert asked == {
        "model": "tiny",
        "max_tokens": 1,
        "temperature": 0.0,
        "logprobs": 1,
        "allowed_token_ids": [40],
        "return_tokens_as_token_ids": True,
    }


def test_no_prompts_are_no_request(stand_in: StandIn) -> None:
    assert VllmServer(stand_in.url, "tiny").likelihoods([], 40).shape == (0,)
    assert stand_in.requests == []


def test_choices_in_another_order_are_put_right(stand_in: StandIn) -> None:
    stand_in.fault = "shuffled"
    found = VllmServer(stand_in.url, "tiny").likelihoods(prompts(3), 40)
    torch.testing.assert_close(found, expected(stand_in.model, prompts(3), 40), rtol=0, atol=1e-5)


FAULTS = {
    "fails": "500.*EngineCore.*its log",
    "no embeds": "400.*--enable-prompt-embeds",
    "web page": "no JSON",
    "other json": "no list of choices",
    "one short": "2 choices for 3 prompts",
    "ignores allowed": "only token 40 was allowed",
    "processed": "raw_logprobs",
    "text": "a log-probability 'low'",
    "hangs up": "no vLLM server answers",
    "moved": "refused with 302",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_is_a_model_error_that_says_what_to_do(stand_in: StandIn, fault: str) -> None:
    stand_in.fault = fault
    with pytest.raises(ModelError, match=FAULTS[fault]):
        VllmServer(stand_in.url, "tiny").likelihoods(prompts(3), 40)


def test_a_server_that_is_down_late_or_of_another_model(stand_in: StandIn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ModelError, match=r"no vLLM server answers.*vllm serve tiny --enable-prompt-embeds"):
        VllmServer(f"http://127.0.0.1:{port}", "tiny").check()
    with pytest.raises(ModelError, match=r"404.*does not exist.*other the name"):
        VllmServer(stand_in.url, "other").likelihoods(prompts(), 40)
    with pytest.raises(ModelError, match="serves tiny, not other"):
        VllmServer(stand_in.url, "other").check()
    with pytest.raises(ModelError, match="hidden_size 8"):
        VllmServer(stand_in.url, "tiny").likelihoods([torch.randn(3, 8)], 40)
    stand_in.fault = "slow"
    with pytest.raises(ModelError, match=r"did not answer within 0\.05 s"):
        VllmServer(stand_in.url, "tiny", timeout_s=0.05).check()


def test_the_key_is_sent_and_its_lack_named() -> None:
    with serving(causal(), key="secret") as server:
        VllmServer(server.url, "tiny", key="secret").check()
        with pytest.raises(ModelError, match=r"401.*DYNMM_SERVER_KEY") as refused:
            VllmServer(server.url, "tiny", key="wrong").check()
        assert "wrong" not in str(refused.value)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "file:///etc/passwd", "ftp://host/", "http://", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no address of a server"):
        VllmServer(url, "tiny")


def choice(**changes: Any) -> dict[str, Any]:
    told = {"tokens": ["token_id:4"], "token_logprobs": [-1.0]}
    return {"index": 0, "logprobs": told} | changes


@pytest.mark.parametrize(
    "answered",
    [
        None,
        [],
        "text",
        {"choices": None},
        {"choices": [1]},
        {"choices": [choice(index="0")]},
        {"choices": [choice(index=5)]},
        {"choices": [choice(logprobs=None)]},
        {"choices": [choice(logprobs={"tokens": [], "token_logprobs": []})]},
        {"choices": [choice(logprobs={"tokens": ["token_id:4"], "token_logprobs": [None]})]},
        {"choices": [choice(logprobs={"tokens": ["token_id:4"], "token_logprobs": [True]})]},
        {"choices": [choice(logprobs={"tokens": [" yes"], "token_logprobs": [-1.0]})]},
    ],
    ids=json.dumps,
)
def test_nothing_malformed_becomes_a_score(answered: Any) -> None:
    assert scores_of({"choices": [choice()]}, 1, 4).tolist() == [-1.0]
    with pytest.raises(ModelError, match="vLLM server"):
        scores_of(answered, 1, 4)


def test_writing_asks_for_a_form_and_wants_its_end(stand_in: StandIn) -> None:
    server = VllmServer(stand_in.url, "tiny")
    assert server.write(prompts(1)[0], "b.*e", 20) == "because"
    asked = stand_in.requests[-1]
    assert asked["structured_outputs"] == {"regex": "b.*e"}
    assert torch.equal(unpacked(asked["prompt_embeds"]), prompts(1)[0])
    with pytest.raises(ModelError, match=r"stopped writing at 'length'.*more tokens"):
        server.write(prompts(1)[0], "b.*e", 3)


def ranker(model: CausalModel, layout: Layout | None = None) -> LanguageRanker:
    torch.manual_seed(3)
    shown = layout or Layout(history=4, shown="candidate")
    made = LanguageRanker(model, shown, slate_samples.WIDTH, slate_samples.FACTS, hidden=16)
    made.fit(slate_samples.slates(), slate_samples.shelf())
    made.readout = AnswerReadOut(model, answer_token(model))  # type: ignore[assignment]
    with torch.no_grad():
        made.readout.score.weight.fill_(1.5)
    return made.eval()


@pytest.mark.parametrize("kind", ["llama", "opt", "qwen2"])
@pytest.mark.parametrize(
    "layout",
    [Layout(history=4), Layout(history=4, titles=3), Layout(history=3, evidence=2, shown="segment")],
    ids=["latent", "title", "segment"],
)
def test_the_server_ranks_as_the_model_in_process_does(kind: str, layout: Layout) -> None:
    local = ranker(causal(kind), layout)
    questions, shelf = slate_samples.slates(3, 5, padding=2), slate_samples.shelf()
    with serving(causal(kind)) as server:
        remote = RemoteRanker(local, VllmServer(server.url, "tiny"))
        remote.check(questions, shelf)
        found = remote(questions, shelf)
        sent = sum(len(one["prompt_embeds"]) for one in server.requests)
    assert sent == 2 * int(questions.present.sum())
    with torch.no_grad():
        own = local(questions, shelf)
    torch.testing.assert_close(found, own, rtol=0, atol=1e-4)
    assert float(own[:, :3].std()) > 1e-3, "scores that are all alike show nothing"


def test_half_precision_travels_as_it_is() -> None:
    model = causal("llama", "bfloat16")
    questions, shelf = slate_samples.slates(2, 4), slate_samples.shelf()
    local = ranker(model)
    with serving(model) as server:
        found = RemoteRanker(local, VllmServer(server.url, "tiny"))(questions, shelf)
        first = unpacked(server.requests[0]["prompt_embeds"][0])
    assert first.dtype == torch.bfloat16
    with torch.no_grad():
        torch.testing.assert_close(found, local(questions, shelf), rtol=0, atol=0.1)


def test_an_address_may_end_as_clients_of_the_interface_write_it() -> None:
    questions, shelf = slate_samples.slates(2, 4), slate_samples.shelf()
    with serving(causal()) as server:
        RemoteRanker(ranker(causal()), VllmServer(f"{server.url}/v1", "tiny")).check(questions, shelf)


def test_a_server_that_gives_no_number_is_not_taken_for_another_model() -> None:
    questions, shelf = slate_samples.slates(2, 4), slate_samples.shelf()
    with serving(causal()) as server:
        server.fault = "not a number"
        with pytest.raises(ModelError, match=r"no finite number"):
            RemoteRanker(ranker(causal()), VllmServer(server.url, "tiny")).check(questions, shelf)


def test_another_model_behind_the_same_name_is_noticed() -> None:
    questions, shelf = slate_samples.slates(2, 4), slate_samples.shelf()
    with serving(causal("qwen2")) as server, pytest.raises(ModelError, match="not the same model"):
        RemoteRanker(ranker(causal("llama")), VllmServer(server.url, "tiny")).check(questions, shelf)


def test_what_a_server_cannot_rank_is_refused_at_once() -> None:
    server, model = VllmServer("http://127.0.0.1:1", "tiny"), causal()
    plain = LanguageRanker(model, Layout(history=4), slate_samples.WIDTH, slate_samples.FACTS, hidden=16)
    with pytest.raises(ModelError, match="train the ranker with an AnswerReadOut"):
        RemoteRanker(plain, server)
    with pytest.raises(ModelError, match="in the layout branch"):
        RemoteRanker(ranker(model, Layout("listwise", history=4)), server)


def test_a_server_in_trouble_falls_back_in_the_refiner(stand_in: StandIn) -> None:
    questions, shelf = slate_samples.slates(2, 4), slate_samples.shelf()
    refiner = Refiner(RemoteRanker(ranker(causal()), VllmServer(stand_in.url, "tiny", timeout_s=20)))
    assert refiner(questions, shelf).degraded is None
    stand_in.fault = "fails"
    assert refiner(questions, shelf).reasons == ("model", "model")
    stand_in.fault = "not a number"
    assert refiner(questions, shelf).reasons == ("not_finite", "not_finite")
    assert refiner.served.read() == {"asked": 6, "deadline": 0, "memory": 0, "model": 2, "not_finite": 2}


def test_a_slow_server_meets_the_deadline(stand_in: StandIn) -> None:
    stand_in.fault = "slow"
    ranking = RemoteRanker(ranker(causal()), VllmServer(stand_in.url, "tiny", timeout_s=20))
    refiner = Refiner(ranking, deadline_ms=30)
    assert refiner(slate_samples.slates(1, 4), slate_samples.shelf()).degraded == "deadline"
    stand_in.hold.set()
    refiner.close()


def test_a_silent_server_is_left_alone_for_longer_each_time(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or every request would wait for it anew."""
    now = [100.0]
    monkeypatch.setattr("dynmm.language.remote.time", SimpleNamespace(monotonic=lambda: now[0]))
    server, exchanged = VllmServer(stand_in.url, "tiny"), list[str]()

    def silent(method: str, path: str, body: object) -> tuple[int, bytes]:
        exchanged.append(path)
        raise TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(server, "_exchange", silent)
        for at, asked in ((100.0, 1), (104.9, 1), (105.1, 2), (115.0, 2), (115.2, 3)):
            now[0] = at
            with pytest.raises(ModelError, match="did not answer within 30 s"):
                server.check()
            assert len(exchanged) == asked, at
    now[0] = 1_000.0
    server.check()
    assert server._pause == 40.0, "a server whose engine hangs still tells its models"
    server.likelihoods(prompts(1), 40)
    assert server._pause == PAUSES_S[0], "what answers is trusted again"


def test_the_key_comes_from_the_environment(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.key = "secret"
    with pytest.raises(ModelError, match="in the environment variable DYNMM_SERVER_KEY"):
        VllmServer(stand_in.url, "tiny").check()
    monkeypatch.setenv("DYNMM_SERVER_KEY", "secret")
    VllmServer(stand_in.url, "tiny").check()


def test_a_server_that_changes_its_model_is_noticed_while_it_serves(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions, shelf = slate_samples.slates(1, 4), slate_samples.shelf()
    served = RemoteRanker(ranker(causal()), VllmServer(stand_in.url, "tiny")).checked()
    first = served(questions, shelf)
    looked = len(stand_in.requests)
    assert torch.equal(served(questions, shelf), first)
    assert len(stand_in.requests) == looked + 1, "one look is enough for a while"
    stand_in.model = causal("qwen2")
    monkeypatch.setattr("dynmm.language.remote_ranker.time", SimpleNamespace(monotonic=lambda: float("inf")))
    for _ in range(2):
        with pytest.raises(ModelError, match="not the same model"):
            served(questions, shelf)
