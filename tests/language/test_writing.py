"""Writing: the model's words where they are true, plain words where it fails, and nothing that a title could move."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.language.test_grammar import TITLES, texts
from tests.language.tiny import CAUSAL, tiny_folder, tiny_model
from torch import Tensor

from dynmm.errors import ModelError
from dynmm.language.grammar import Grammars
from dynmm.language.loading import open_model
from dynmm.language.words import Words
from dynmm.language.writing import SYSTEM, Order, Writer, WritingReport, Written
from dynmm.types import OneOf, Phrase

pytest.importorskip("llguidance", reason="constrained decoding needs the extra llm")


def order(title: str = "Gravity", check: Callable[[str], bool] = lambda text: True) -> Order:
    """A sentence about a title in a few ways."""
    told = OneOf((f"more took “{title}”", f"“{title}” was taken by more", "it is alike"))
    phrase: Phrase = (OneOf(("Because ", "As ", "Since ")), told, ".")
    return Order((f"<fact>more took “{title}”</fact>",), phrase, f"Because more took “{title}”.", check)


@pytest.fixture(scope="module", params=CAUSAL)
def writer(request: pytest.FixtureRequest) -> Writer:
    return Writer(_long(request.param))


_MADE: dict[str, Any] = {}


def _long(kind: str) -> Any:
    """A tiny model that reads more than the shared ones, so that the whole prompt fits."""
    if kind not in _MADE:
        longer: dict[str, Any] = {"n_positions" if kind == "gpt2" else "max_position_embeddings": 640}
        with tempfile.TemporaryDirectory() as folder:
            _MADE[kind] = open_model(tiny_folder(kind, Path(folder), **longer), precision="float32")
    return _MADE[kind]


@dataclasses.dataclass
class Faulty:
    """A model with something put in the place of what it says next, from the call on that is given."""

    inner: Any
    logits_of: Callable[[Tensor], Tensor]
    after: int = 0
    calls: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def logits(self, hidden: Tensor) -> Tensor:
        self.calls += 1
        scores: Tensor = self.inner.logits(hidden)
        return self.logits_of(scores) if self.calls > self.after else scores


@pytest.mark.parametrize("title", TITLES)
def test_what_is_written_is_one_of_the_texts(writer: Writer, title: str) -> None:
    asked = order(title)
    written = writer.write(asked)
    assert written.why is None
    assert written.text in set(texts(asked.phrase))


def test_the_same_order_gives_the_same_text_in_any_company(writer: Writer) -> None:
    alone = [writer.write(order(title)) for title in TITLES]
    turned = [writer.write(order(title)) for title in reversed(TITLES)]
    assert turned[::-1] == alone
    assert Writer(writer._model).write(order("Gravity")) == alone[0]


def test_the_model_has_a_choice_and_makes_it() -> None:
    """The likeliest of the texts' first letters, by what the model itself says."""
    model = _long("llama")
    with_favourite = []
    for first in ("B", "A", "S"):
        token = model.words.read(f" {first}")[-1]

        def favour(scores: Tensor, token: int = token) -> Tensor:
            return scores.index_fill(0, torch.tensor([token]), 1e4)

        with_favourite.append(Writer(Faulty(model, favour)).write(order()).text)
    assert [text.split(" ")[0] for text in with_favourite] == ["Because", "As", "Since"]


def test_greedy_choices_are_those_of_the_whole_prompt_read_at_once() -> None:
    """Kept states and forced tokens change nothing but the time."""
    model: Any = _long("llama")
    asked = order("Moon")
    written = Writer(model).write(asked)
    read = [model.words.beginning, *model.tokens(SYSTEM), *model.tokens("\n".join(asked.facts) + "\nReason:")]
    spelling = Grammars(model.words).start((" ", asked.phrase))
    while not spelling.ended:
        if spelling.forced():
            continue
        tokens = torch.tensor([[*read, *spelling.tokens]])
        count = tokens.shape[1]
        visible = torch.ones(1, count, count, dtype=torch.bool).tril()
        hidden, _ = model.run(model.embed(tokens), visible, torch.arange(count)[None])
        scores = model.logits(hidden[0, -1]).masked_fill(~spelling.allowed(), -torch.inf)
        spelling.take(int(scores.argmax()))
    assert written == Written(spelling.text.removeprefix(" "))


@pytest.mark.parametrize(
    ("wrong", "after", "why"),
    [
        (lambda scores: scores * torch.nan, 0, "no number"),
        (lambda scores: scores * torch.nan, 1, "no number"),
        (lambda scores: scores.index_fill(0, torch.tensor([3]), torch.inf), 0, "no number"),
        (lambda scores: scores - torch.inf, 0, "refused"),
        (lambda scores: scores - torch.inf, 1, "refused"),
    ],
)
def test_a_model_that_fails_is_replaced_and_counted(wrong: Callable[[Tensor], Tensor], after: int, why: str) -> None:
    # One call reads the prompt's beginning.
    asked = order()
    written = Writer(Faulty(_long("llama"), wrong, after + 1)).write(asked)
    assert written == Written(asked.plain, why)  # type: ignore[arg-type]


def test_a_model_that_would_rather_end_writes_all_the_same() -> None:
    """One that was trained on short texts would, anywhere."""
    ending = Faulty(_long("llama"), lambda scores: scores.index_fill(0, torch.tensor([2]), 1e4))
    assert Writer(ending).write(order()) == Writer(_long("llama")).write(order())


def test_an_error_of_the_model_is_replaced_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    def out_of_memory(scores: Tensor) -> Tensor:
        raise ModelError("out of memory")

    asked = order()
    written = Writer(Faulty(_long("llama"), out_of_memory, 1)).write(asked)
    assert written == Written(asked.plain, "failed")
    assert "out of memory" in caplog.text


def test_a_text_that_does_not_verify_is_replaced() -> None:
    seen: list[str] = []

    def untrue(text: str) -> bool:
        seen.append(text)
        return False

    asked = order(check=untrue)
    writer = Writer(_long("llama"))
    assert writer.write(asked) == Written(asked.plain, "not verified")
    assert seen == [writer.write(order()).text]


def test_too_long_for_the_model_is_replaced_and_facts_go_first() -> None:
    model = tiny_model("llama")
    asked = order("x" * 250)
    assert Writer(model).write(asked) == Written(asked.plain, "out of tokens")
    long = _long("llama")
    many = dataclasses.replace(order(), facts=tuple(f"<fact>{'y' * 80}</fact>" for _ in range(40)))
    assert Writer(long).write(many).why is None
    assert Writer(long, most=3).write(order()).why == "out of tokens"


def test_a_text_that_takes_too_long_is_replaced() -> None:
    asked, long = order(), _long("llama")
    assert Writer(long, deadline_ms=60_000).write(asked) == Writer(long).write(asked)
    assert Writer(long, deadline_ms=1e-6).write(asked) == Written(asked.plain, "late")


def test_an_encoder_does_not_write() -> None:
    model: Any = tiny_model("bert")
    with pytest.raises(ModelError, match="choose a causal model"):
        Writer(model)


def test_the_report_counts() -> None:
    texts_ = [Written("a"), Written("b", "refused"), Written("c"), Written("d", "refused"), Written("e", "failed")]
    report = WritingReport.of(texts_)
    assert (report.accepted, dict(report.replaced)) == (2, {"refused": 2, "failed": 1})
    assert report.share == 0.4
    assert WritingReport.of([]).share == 0.0


def test_what_a_title_says_is_read_as_text() -> None:
    """No special token is in a prompt but the one that begins it."""
    model: Any = _long("llama")
    read: list[Tensor] = []

    class Watching(Faulty):
        def embed(self, tokens: Tensor) -> Tensor:
            read.append(tokens)
            out: Tensor = self.inner.embed(tokens)
            return out

    watching = Watching(model, lambda scores: scores)
    assert Writer(watching).write(order("</s><s><pad>")).why is None
    tokens = torch.cat([one.flatten() for one in read]).tolist()
    words: Words = model.words
    assert tokens[0] == words.beginning
    assert not set(tokens[1:]) & set(words.tokenizer.all_special_ids)
