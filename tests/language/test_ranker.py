"""A ranker by soft prompt: order, company and batch, gradients, evidence, short contexts, and what is saved."""

from __future__ import annotations

import itertools
import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language.reading import HISTORY, ranker
from tests.language.slate_samples import FACTS, WIDTH, shelf, slates
from tests.language.tiny import CONTEXT, KINDS, tiny_model

from dynmm.errors import ModelError
from dynmm.language.contracts import Reranker
from dynmm.language.layout import Layout
from dynmm.language.ranker import LanguageRanker
from dynmm.language.slates import NOBODY, Slates

LAYOUTS = [
    Layout(arrangement, HISTORY, 3, shown, titles)  # type: ignore[arg-type]
    for arrangement, shown, titles in itertools.product(
        ("branch", "listwise"), ("candidate", "segment", "none"), (0, 4)
    )
]
BRANCHES = [one for one in LAYOUTS if one.arrangement == "branch"]
SHELF = shelf()
NEAR = 1e-5


def _name(layout: Layout) -> str:
    return f"{layout.arrangement}-{layout.shown}-{layout.titles}"


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).detach().abs().max())


@pytest.mark.parametrize("layout", LAYOUTS, ids=_name)
@torch.no_grad()
def test_a_row_gets_what_it_gets_alone(layout: Layout) -> None:
    made: Reranker = ranker(layout=layout)
    asked = slates(padding=1)
    together = made(asked, SHELF)
    alone = torch.cat([made(asked.take(slice(row, row + 1)), SHELF) for row in range(len(asked))])
    assert together.dtype == torch.float32
    assert together[:, :-1].std() > 0.05
    assert _apart(together, alone) < NEAR
    assert not together[:, -1].any()


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_every_kind_of_model_ranks_alike_in_any_company(kind: str) -> None:
    made, asked = ranker(kind), slates()
    together = made(asked, SHELF)
    one = made(asked.places(torch.full((len(asked), 1), 3)), SHELF)
    assert together.std() > 0.05
    assert _apart(together[:, 3:4], one) < NEAR


@settings(max_examples=12, deadline=None)
@given(st.permutations(range(6)), st.sampled_from(BRANCHES), st.sampled_from(["llama", "bert"]))
@torch.no_grad()
def test_no_order_changes_a_branch(order: list[int], layout: Layout, kind: str) -> None:
    made, asked = ranker(kind, layout), slates()
    columns = torch.tensor(order)
    permuted = made(asked.places(columns.expand(len(asked), -1)), SHELF)
    assert _apart(made(asked, SHELF)[:, columns], permuted) < NEAR


@torch.no_grad()
def test_order_does_change_a_list() -> None:
    made, asked = ranker(layout=Layout("listwise", HISTORY, 3, "none")), slates()
    columns = torch.arange(5, -1, -1)
    permuted = made(asked.places(columns.expand(len(asked), -1)), SHELF)
    assert _apart(made(asked, SHELF)[:, columns], permuted) > 100 * NEAR


@torch.no_grad()
def test_what_stands_at_padding_is_not_read() -> None:
    asked = slates(padding=2)
    for layout in LAYOUTS:
        made = ranker(layout=layout)
        short = asked.places(torch.arange(4).expand(len(asked), -1))
        assert _apart(made(asked, SHELF)[:, :4], made(short, SHELF)) < NEAR, _name(layout)


@torch.no_grad()
def test_user_history_facts_and_titles_all_count() -> None:
    made, asked = ranker(layout=Layout("branch", HISTORY, 3, "candidate", 4)), slates()
    was = made(asked, SHELF)
    other = slates(seed=5)
    retitled = type(SHELF)(SHELF.vectors, SHELF.taken, [f"another {title}" for title in SHELF.titles])
    changed = {
        "user": made(_with(asked, users=other.users), SHELF),
        "history": made(_with(asked, history=asked.history.roll(1, 1)), SHELF),
        "facts": made(_with(asked, facts=other.facts), SHELF),
        "title": made(asked, retitled),
    }
    for what, scores in changed.items():
        assert _apart(was, scores) > 100 * NEAR, what


@torch.no_grad()
def test_history_beyond_the_layout_is_not_read() -> None:
    asked = slates(history=5)
    made = ranker(layout=Layout(history=2))
    older = asked.history.clone()
    older[:, :3] = 7
    same_length = torch.where(asked.history == NOBODY, asked.history, older)
    assert _apart(made(asked, SHELF), made(_with(asked, history=same_length), SHELF)) < NEAR


@pytest.mark.parametrize("layout", [one for one in LAYOUTS if one.shown != "none"], ids=_name)
@torch.no_grad()
def test_evidence_can_be_withheld_or_exchanged(layout: Layout) -> None:
    made, asked = ranker(layout=layout), slates()
    own = made.evidence(asked, SHELF)
    assert own is not None
    told, untold, others = (made.score(asked, SHELF, one) for one in (own, None, own.roll(1, 0)))
    assert torch.equal(told, made(asked, SHELF))
    assert _apart(told, untold) > 100 * NEAR
    assert _apart(told, others) > 100 * NEAR
    unlike = _with(asked, facts=torch.rand(asked.facts.shape), scores=asked.scores - 1)
    assert torch.equal(untold, made.score(unlike, SHELF, None))


@torch.no_grad()
def test_the_base_aligner_knows_no_facts() -> None:
    made, asked = ranker(layout=Layout(history=HISTORY, shown="none")), slates()
    assert made.evidence(asked, SHELF) is None
    assert torch.equal(made(asked, SHELF), made(_with(asked, facts=asked.facts * 3), SHELF))
    assert not any(name.startswith(("encoder", "features")) for name in made.state_dict())


def test_gradients_reach_every_trained_part_and_no_other() -> None:
    for kind in ("llama", "bert"):
        made = ranker(kind, dropout=0.1).train()
        made(slates(), SHELF).square().sum().backward()
        for name, parameter in made.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name
        frozen = tiny_model(kind)
        assert all(one.grad is None for one in frozen.library.parameters())
        frozen.check()


@pytest.mark.slow
def test_what_is_trained_learns_through_the_frozen_model() -> None:
    made, asked = ranker().train(), slates(24)
    answers = asked.items.argmax(1)  # something about the items alone
    optimizer = torch.optim.AdamW(made.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(made(asked, SHELF), answers)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@torch.no_grad()
def test_padding_that_training_leaves_out_changes_nothing() -> None:
    made, asked = ranker(), slates()
    short = _with(asked, history=torch.cat([torch.full((12, 3), NOBODY), asked.history[:, 3:]], 1))
    assert _apart(made(short, SHELF), made.train()(short, SHELF)) < NEAR
    assert made.newest(short, HISTORY).shape[1] == 2


@torch.no_grad()
def test_a_user_without_history_is_ranked() -> None:
    made = ranker()
    fresh = _with(slates(), history=torch.full((12, HISTORY), NOBODY))
    scores = made(fresh, SHELF)
    assert torch.isfinite(scores).all()
    assert _apart(scores, made.train()(fresh, SHELF)) < NEAR


@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_a_model_in_half_precision_ranks_nearly_alike_and_trains(kind: str) -> None:
    exact = ranker(kind)
    made = LanguageRanker(tiny_model(kind, "bfloat16"), exact.layout, WIDTH, FACTS, hidden=16)
    made.load_state_dict(exact.state_dict())
    scores = made(slates(), SHELF)
    assert scores.dtype == torch.float32
    # Half precision keeps two or three digits.
    assert _apart(scores, exact(slates(), SHELF)) < 0.2 * float(scores.detach().std())
    scores.square().sum().backward()
    found = [one.grad for one in made.items.parameters() if one.grad is not None]
    assert len(found) == 4
    assert all(torch.isfinite(one).all() and one.any() for one in found)


@torch.no_grad()
def test_no_questions_and_no_candidates_give_no_scores() -> None:
    made = ranker()
    assert made(slates().take(slice(0, 0)), SHELF).shape == (0, 6)
    assert made(slates().places(torch.empty(12, 0, dtype=torch.int64)), SHELF).shape == (12, 0)


def test_only_trained_parts_are_saved_and_they_restore_the_scores() -> None:
    first, second = ranker(), ranker(seed=1)
    state = first.state_dict()
    assert sum(value.numel() for value in state.values()) < 10_000
    assert {name.split(".")[0] for name in state} == {"users", "items", "encoder", "features", "readout"}
    second.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(first(slates(), SHELF), second(slates(), SHELF))


def test_the_identity_follows_the_trained_values() -> None:
    first, second = ranker(), ranker()
    assert first.identity == second.identity
    with torch.no_grad():
        second.readout.score.weight[0, 0] += 1
    assert first.identity != second.identity
    second.load_state_dict(first.state_dict())
    assert first.identity == second.identity


@torch.no_grad()
def test_untrained_soft_tokens_are_as_long_as_the_models_own() -> None:
    made = ranker()
    own = made.model.embed(torch.tensor(made.model.tokens("item 3"))).norm(dim=-1).mean()
    for tokens in (made.items(SHELF.vectors), made.users(slates().users)):
        assert 0.7 < float(tokens.norm(dim=-1).mean() / own) < 1.4


@torch.no_grad()
def test_an_untrained_ranker_changes_no_order() -> None:
    made = LanguageRanker(tiny_model(), Layout(history=HISTORY), WIDTH, FACTS, hidden=16)
    made.fit(slates(), SHELF)
    assert not made(slates(), SHELF).any()


@pytest.mark.parametrize("arrangement", ["branch", "listwise"])
@torch.no_grad()
def test_a_short_context_drops_history_and_says_so_once(
    arrangement: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = ranker(layout=Layout(arrangement, HISTORY, 0, "none"))  # type: ignore[arg-type]
    texts = sum(len(made.model.tokens(text)) for text, _ in made.layout.pieces)
    texts += len(made.model.beginning)
    monkeypatch.setattr(made.model, "_context", texts + 1 + 2 + (1 if arrangement == "branch" else 6))
    asked = slates()
    with caplog.at_level(logging.WARNING, "dynmm.language"):
        found, _ = made(asked, SHELF), made(asked, SHELF)
    assert [one.getMessage() for one in caplog.records] == [made.fitted(6).note]
    assert "the newest 2 of 5 history items" in made.fitted(6).note
    newest = ranker(layout=Layout(arrangement, 2, 0, "none"))  # type: ignore[arg-type]
    newest.load_state_dict(made.state_dict())
    monkeypatch.setattr(made.model, "_context", CONTEXT)
    assert _apart(found, newest(asked, SHELF)) < NEAR


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_prompt_begins_as_the_models_texts_do(kind: str) -> None:
    made, asked = ranker(kind), slates().to(torch.device("cpu"))
    head = made.head(asked, SHELF, HISTORY)
    begun = [*made.model.beginning, *made.model.tokens(made.layout.texts["user"])]
    assert torch.equal(head.tokens[0, : len(begun)], made.model.embed(torch.tensor(begun)))


@torch.no_grad()
def test_branches_are_the_same_in_any_number_of_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = slates()
    for kind in ("llama", "bert"):
        made = ranker(kind)
        whole = made(asked, SHELF)
        texts = sum(len(made.model.tokens(text)) for text, _ in made.layout.pieces)
        monkeypatch.setattr(made.model, "_context", len(made.model.beginning) + texts + 1 + HISTORY + 2)
        made._fitted.clear()
        assert made.fitted(6).at_once == 2
        assert _apart(whole, made(asked, SHELF)) < NEAR
        monkeypatch.undo()


def test_a_context_too_short_for_one_candidate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ranker()
    monkeypatch.setattr(made.model, "_context", 8)
    with pytest.raises(ModelError, match="the model reads 8"):
        made(slates(), SHELF)


def _with(asked: Slates, **changed: torch.Tensor) -> Slates:
    parts = {name: getattr(asked, name) for name in ("users", "history", "items", "scores", "latent", "facts")}
    return Slates(**parts | changed)
