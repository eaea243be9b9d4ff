"""LLM-only: titles in, an order out, and the system below for all else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from tests.language.tiny import tiny_model
from torch import Tensor

from dynmm.baselines.popularity import Popularity
from dynmm.errors import ModelError
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import TITLE
from dynmm.language.titles_only import TitlesOnly, TitlesOnlySettings
from dynmm.system import Query
from dynmm.testing import SYSTEM_CHECKS
from dynmm.testing.contract import SystemCheck
from dynmm.testing.data import dataset_of, tiny_dataset
from dynmm.types import UserHistory


class Rhyming:
    """A causal model whose next token is most likely the one that it read last. Letters are tokens.

    It reads as a model must: what may not be seen does not count, and positions must go on from what is seen.
    """

    width, identity, device = 27, "rhyming", torch.device("cpu")

    def __init__(self, context: int = 200) -> None:
        self.context, self.caches = context, True
        self.beginning: list[int] = []
        self.lengths: list[int] = []

    def tokens(self, text: str) -> list[int]:
        return [ord(letter) - ord("a") for letter in text if letter.isascii() and letter.islower()]

    def embed(self, tokens: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(tokens, self.width).float()

    def run(
        self, embeddings: Tensor, visible: Tensor, places: Tensor, past: Any = None, *, keep: bool = False
    ) -> tuple[Tensor, Any]:
        assert int(places.max()) < self.context
        self.lengths.append(embeddings.shape[1])
        # The mean of what is seen, later positions more: a token's own counts most.
        weights = torch.where(visible, 2.0 ** (places[:, None, :] - places[:, :, None]), 0.0)
        assert bool((weights <= 1).all()), "a token sees what comes after it"
        return (weights / weights.sum(-1, keepdim=True)) @ embeddings, None

    def logits(self, hidden: Tensor) -> Tensor:
        return 5 * hidden


def titled(histories: list[list[int]], titles: Sequence[str | None]) -> Dataset:
    dataset = dataset_of(histories, n_items=len(titles), titles=True)
    table = dataset.item_table.with_columns(pl.Series(TITLE, titles, dtype=pl.Utf8))
    return Dataset(**{**vars(dataset), "item_table": table})


TITLES = ["aaaa", "bbbb", "cccc", "aaab", None, "xyzw"]
#: Item 5 was taken most, then 4, 3, 2, 1, 0.
HISTORIES = [[5, 4, 3, 2, 1, 0], [5, 4, 3, 2, 1], [5, 4, 3, 2], [5, 4, 3], [5, 4], [5]]


def fitted(candidates: int = 5, history: int = 5, context: int = 200, title_tokens: int = 4) -> TitlesOnly:
    settings = TitlesOnlySettings(candidates=candidates, history=history, title_tokens=title_tokens)
    system = TitlesOnly(Rhyming(context), Popularity(), settings)
    system.fit(titled(HISTORIES, TITLES))
    return system


def asked(*history: int, **others: Any) -> Query:
    return Query(UserHistory(np.asarray(history, dtype=np.int32)), **others)


def alone(system: TitlesOnly, history: Sequence[int], item: int) -> float:
    """The mean log-likelihood of one title, read by itself, token by token."""
    model = Rhyming(1_000)
    read = model.tokens("Taken, oldest first: ")
    for one in history:
        read += [*model.tokens(TITLES[one] or ""), *model.tokens("; ")]
    values = []
    for token in model.tokens(TITLES[item] or ""):
        vectors = model.embed(torch.tensor(read))[None]
        length = len(read)
        seen = torch.ones(1, length, length, dtype=torch.bool).tril()
        hidden, _ = model.run(vectors, seen, torch.arange(length)[None])
        values.append(float(model.logits(hidden[0, -1]).log_softmax(-1)[token]))
        read.append(token)
    return float(np.mean(values))


def test_a_score_is_the_mean_likelihood_of_the_title_after_the_history() -> None:
    system = fitted(candidates=6)
    found = system.rank([asked(1, 0)], 6)
    by_item = dict(zip(found.items[0].tolist(), found.scores[0].tolist(), strict=True))
    for item in (0, 1, 2, 3, 5):
        assert by_item[item] == pytest.approx(alone(system, [1, 0], item), abs=1e-5)
    assert found.items[0, 0] == 0, "what rhymes with the last item is likeliest"
    assert found.items[0, -1] == 4, "what has no title cannot be judged and stands below"


def test_what_texts_begin_with_stands_before_all_and_takes_its_room() -> None:
    model = Rhyming(len(Rhyming().tokens("Taken, oldest first: ")) + 4)
    model.beginning = [26]
    settings = TitlesOnlySettings(candidates=6, history=5, title_tokens=4)
    with pytest.raises(ModelError, match="of context"):
        TitlesOnly(model, Popularity(), settings).fit(titled(HISTORIES, TITLES))
    model.context = 200
    system = TitlesOnly(model, Popularity(), settings)
    system.fit(titled(HISTORIES, TITLES))
    assert not np.array_equal(system.rank([asked(1)], 6).scores, fitted(candidates=6).rank([asked(1)], 6).scores)


def test_below_the_candidates_the_other_system_orders() -> None:
    found = fitted(candidates=2).rank([asked(0)], 6)
    assert found.items[0].tolist() == [5, 4, 3, 2, 1, 0]
    found = fitted(candidates=3).rank([asked(0)], 6)
    assert found.items[0].tolist() == [3, 5, 4, 2, 1, 0]
    assert bool((np.diff(found.scores[0]) < 0).all())


def test_exclusion_and_candidates_are_the_other_systems_and_hold() -> None:
    system = fitted(candidates=3)
    found = system.rank([asked(0, exclude=np.array([3, 5], np.int32), candidates=np.array([0, 1, 3], np.int32))], 4)
    assert found.items[0].tolist() == [0, 1, -1, -1]


def test_the_history_order_counts_and_only_the_newest_is_read() -> None:
    system = fitted(candidates=6, history=1)
    assert system.rank([asked(1, 0)], 1).items[0, 0] == 0
    assert system.rank([asked(0, 1)], 1).items[0, 0] == 1
    np.testing.assert_array_equal(system.rank([asked(2, 2, 1)], 6).scores, system.rank([asked(1)], 6).scores)


def test_what_does_not_fit_the_context_drops_the_oldest_first() -> None:
    words = len(Rhyming().tokens("Taken, oldest first: "))
    narrow = fitted(candidates=6, context=words + 4 + 4)
    wide = fitted(candidates=6)
    np.testing.assert_allclose(narrow.rank([asked(2, 2, 1)], 6).scores, wide.rank([asked(1)], 6).scores, atol=1e-6)
    np.testing.assert_allclose(narrow.rank([asked()], 6).scores, wide.rank([asked()], 6).scores, atol=1e-6)


def test_a_question_takes_one_run() -> None:
    model = Rhyming()
    system = TitlesOnly(model, Popularity(), TitlesOnlySettings(candidates=6, title_tokens=4))
    system.fit(titled(HISTORIES, TITLES))
    system.rank([asked(1), asked(2)], 3)
    assert len(model.lengths) == 2


def test_long_titles_are_cut() -> None:
    system = fitted(candidates=6, title_tokens=3)
    found = system.rank([asked(1)], 6)
    by_item = dict(zip(found.items[0].tolist(), found.scores[0].tolist(), strict=True))
    assert by_item[3] == pytest.approx(by_item[0]), "aaa and aaa(b)"


def test_a_context_without_room_is_refused() -> None:
    with pytest.raises(ModelError, match="tokens of context: this model reads 5"):
        fitted(context=5)


def test_an_encoder_is_refused() -> None:
    encoder = Rhyming()
    encoder.caches = False
    with pytest.raises(ModelError, match="needs a causal language model"):
        TitlesOnly(encoder, Popularity())


def test_a_likelihood_that_is_no_number_is_never_served() -> None:
    class Broken(Rhyming):
        def logits(self, hidden: Tensor) -> Tensor:
            return super().logits(hidden) * torch.nan

    system = TitlesOnly(Broken(), Popularity(), TitlesOnlySettings(candidates=6))
    system.fit(titled(HISTORIES, TITLES))
    found = system.rank([asked(1)], 6)
    assert found.items[0].tolist() == [5, 4, 3, 2, 1, 0]
    assert bool(np.isfinite(found.scores).all())


def test_learning_reaches_the_system_below() -> None:
    system = fitted(candidates=1)
    assert system.learns_online
    before = system.rank([asked(0)], 2).items[0].tolist()
    events = titled(HISTORIES, TITLES).events
    system.learn(events.take(np.repeat(np.flatnonzero(events.items == 2), 9)))
    assert before == [5, 4]
    assert system.rank([asked(0)], 2).items[0].tolist() == [2, 5]


@pytest.mark.parametrize("check", SYSTEM_CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_contract_of_systems(check: SystemCheck) -> None:
    check(lambda: TitlesOnly(Rhyming(), Popularity(), TitlesOnlySettings(candidates=4, title_tokens=4)))


def test_a_real_model_gives_a_query_alone_the_bits_that_it_gives_in_company() -> None:
    dataset = tiny_dataset(titles=True)
    system = TitlesOnly(tiny_model("llama"), Popularity(), TitlesOnlySettings(candidates=8, history=5))
    system.fit(dataset)
    queries = [Query(dataset.history(user)) for user in range(6)]
    together = system.rank(queries, 10)
    for row, query in enumerate(queries):
        one = system.rank([query], 10)
        np.testing.assert_array_equal(one.items[0], together.items[row])
        np.testing.assert_array_equal(one.scores[0], together.scores[row])
    assert len({tuple(row) for row in together.items[:, :8].tolist()}) > 1, "histories make no difference"
