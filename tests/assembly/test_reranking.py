"""Re-ranking in a fitted run: what is trained on the cut, what serves, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from tests.assembly.made import BRIEF
from tests.assembly.walks import ITEMS, NAMES, USERS, serve, walk_config, walks, world
from tests.language.tiny import tiny_folder
from tests.language.vllm_stand_in import serving

from dynmm import Dataset, Recommender
from dynmm.assembly import FitOptions, controls, explainer_of, reranking, rungs
from dynmm.assembly.reranked import NONE
from dynmm.assembly.whole import whole_of
from dynmm.assembly.wordingtargets import wanted_texts
from dynmm.errors import ConfigError, ModelError, TamperedArtefact
from dynmm.evidence.weights import learn_weights
from dynmm.interactions.splits.cut import cut_last
from dynmm.language.causal import CausalModel
from dynmm.language.loading import open_model
from dynmm.system import Query
from dynmm.types import UserHistory

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> FitOptions:
    return FitOptions("cpu", cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tiny_folder("llama", tmp_path_factory.mktemp("model"))
    return {"model": str(folder), "epochs": 1, "precision": "float32"}


@pytest.fixture(scope="module")
def fitted(language: dict[str, Any], options: FitOptions) -> Recommender:
    config = walk_config(rerank="auto", language=language)
    made = Recommender.fit(world(), config, split="full", seed=1, options=options)
    serve(made, "mlp")
    return made


def _query(recommender: Recommender, user: str) -> Query:
    history = recommender.known.history(recommender.users.encode(user))
    return Query(history, recommender.now, exclude=np.unique(history.items))


def test_every_kind_is_trained_with_the_same_inputs(fitted: Recommender) -> None:
    facts = fitted.facts["rerank"]
    assert set(facts["kinds"]) == {"mlp", "transformer", "language", NONE}
    assert facts["learned_from"] > 20
    # Its members leave people out by turns, so that all questions train it.
    assert facts["kinds"]["mlp"]["learned_from"] > facts["learned_from"]
    assert set(controls(fitted)) == {"dynmm/rerank-transformer", "dynmm/rerank-language"}
    assert list(rungs(fitted))[-2:] == ["dynmm/evidence", "dynmm/rerank"]
    reached = {kind: one["validation_ndcg@10"] for kind, one in facts["kinds"].items()}
    assert reached[facts["chosen"]] >= reached[NONE]


def test_the_last_rung_is_the_whole(fitted: Recommender) -> None:
    queries = [_query(fitted, user) for user in NAMES]
    below, top = (rungs(fitted)[name].rank(queries, 10) for name in ("dynmm/evidence", "dynmm/rerank"))
    ours = fitted.system.rank(queries, 10)
    assert np.array_equal(ours.items, top.items)
    assert np.array_equal(ours.scores, top.scores)
    assert (top.scores >= below.scores - 1e-6).all(), "re-ranking adds, and never takes"
    assert not np.array_equal(top.items, below.items)


@pytest.mark.parametrize("kind", ["mlp", "transformer", "language"])
def test_nobody_changes_what_another_gets(fitted: Recommender, kind: str) -> None:
    systems = {"mlp": fitted.system} | {name.rpartition("-")[2]: one for name, one in controls(fitted).items()}
    queries = [_query(fitted, user) for user in NAMES]
    together = systems[kind].rank(queries, 25)
    for place, query in enumerate(queries):
        alone = systems[kind].rank([query], 25)
        assert np.array_equal(alone.items[0], together.items[place])
        assert np.array_equal(alone.scores[0], together.scores[place])


def test_the_parts_sum_to_the_score_that_ranks(fitted: Recommender) -> None:
    lifted = 0.0
    for user in NAMES:
        for place, one in enumerate(fitted.recommend(user, 5, explain=True), start=1):
            assert one.explained is not None
            assert list(one.explained.contributions) == ["latent", "evidence", "rerank"]
            assert one.explained.rank == place
            assert one.explained.score == pytest.approx(one.score, abs=1e-4)
            assert sum(one.explained.contributions.values()) == pytest.approx(one.explained.score, abs=1e-9)
            lifted += one.explained.contributions["rerank"]
    assert lifted > 0


def test_without_a_fact_everything_is_recomputed(fitted: Recommender) -> None:
    explainer = explainer_of(fitted)
    moved = 0
    for user in NAMES:
        query = _query(fitted, user)
        item = int(explainer.rank([query], 1).items[0, 0])
        before = explainer.explain(query, item)
        for fact in before.evidence[:2]:
            after = explainer.explain_without(query, item, [fact.id], [])
            lost = before.contributions["evidence"] - after.contributions["evidence"]
            assert lost == pytest.approx(fact.contribution, abs=1e-5)
            moved += after.contributions["rerank"] != before.contributions["rerank"]
    assert moved, "the re-ranker reads facts"


def test_what_a_fact_adds_is_one_number_whatever_the_re_ranker_makes_of_it(fitted: Recommender) -> None:
    other = 0
    for user in NAMES:
        (one,) = fitted.recommend(user, 1, explain=True, view="operator")
        assert one.explained is not None
        if not one.explained.evidence:
            continue
        fact = one.explained.evidence[0]
        found = fitted.explain(user, one.item, without=[fact.id], view="operator").what_if
        assert found is not None
        assert found.adds == pytest.approx(fact.contribution, abs=1e-5)
        assert found.text.startswith(f"it adds {fact.contribution:.4f} to the evidence; without it the score ")
        other += abs(found.contributes - fact.contribution) > 1e-4
    assert other, "what the score loses is another number"


def test_a_lever_of_the_user_changes_the_list(fitted: Recommender) -> None:
    user = NAMES[2]
    last = fitted.history(user)[-1]
    assert fitted.recommend(user, 10, without=[last]) != fitted.recommend(user, 10)


def test_a_run_from_disk_is_the_same_to_the_bit(fitted: Recommender, tmp_path: Path) -> None:
    fitted.save_pretrained(tmp_path / "run")
    loaded = Recommender.from_pretrained(tmp_path / "run")
    assert loaded.recommend_many(NAMES, 9) == fitted.recommend_many(NAMES, 9)
    assert loaded.facts["rerank"] == fitted.facts["rerank"]
    for name, one in controls(fitted).items():
        queries = [_query(fitted, user) for user in NAMES]
        assert np.array_equal(controls(loaded)[name].rank(queries, 5).scores, one.rank(queries, 5).scores)
    weights = tmp_path / "run" / "model" / "rerank" / "mlp" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(TamperedArtefact, match=r"rerank/mlp/weights\.safetensors"):
        Recommender.from_pretrained(tmp_path / "run")


def test_a_language_model_that_is_another_is_refused(fitted: Recommender, tmp_path: Path) -> None:
    fitted.save_pretrained(tmp_path / "run")
    folder = Path(fitted.facts["config"]["language"]["model"])
    kept = (folder / "model.safetensors").read_bytes()
    try:
        tiny_folder("llama", folder, seed=9)
        loaded = Recommender.from_pretrained(tmp_path / "run")
        with pytest.raises(ModelError, match="does not hold the model"):
            controls(loaded)
    finally:
        (folder / "model.safetensors").write_bytes(kept)


def test_learning_is_seen_by_what_re_ranks(fitted: Recommender, tmp_path: Path) -> None:
    fitted.save_pretrained(tmp_path / "run")
    loaded = Recommender.from_pretrained(tmp_path / "run")
    newest = max(one for _, _, one in walks(USERS))
    loaded.learn([{"user_id": f"n{n}", "item_id": f"i{n % 3:02d}", "timestamp": newest + n} for n in range(60)])
    again = Recommender.from_pretrained(tmp_path / "run")
    assert again.recommend(NAMES[0], 10) == loaded.recommend(NAMES[0], 10)
    loaded.save_pretrained(tmp_path / "later")
    assert Recommender.from_pretrained(tmp_path / "later").recommend_many(NAMES, 9) == loaded.recommend_many(NAMES, 9)
    assert loaded.recommend_many(NAMES, 9) != fitted.recommend_many(NAMES, 9)


def test_new_items_are_re_ranked(fitted: Recommender, tmp_path: Path) -> None:
    fitted.save_pretrained(tmp_path / "run")
    wider = Recommender.from_pretrained(tmp_path / "run")
    wider.add_items([{"item_id": "new", "title": "Walk 3 number 1"}], cache=tmp_path / "cache")
    queries = [Query(UserHistory(np.asarray([12, 13, 14], np.int32)))]
    ranked = wider.system.rank(queries, ITEMS + 1).items[0]
    assert ITEMS in ranked
    found = wider.rank(NAMES[0], ["new", "i03", "i30"])
    assert {one.item for one in found} == {"new", "i03", "i30"}


def test_only_the_cut_is_learned_from(options: FitOptions, monkeypatch: pytest.MonkeyPatch) -> None:

    seen: list[Any] = []
    from dynmm.language.questions import apart

    def watched(questions: Any, share: float, seed: int) -> Any:
        seen.append(questions)
        return apart(questions, share, seed)

    monkeypatch.setattr("dynmm.assembly.reranking.apart", watched)
    made = Recommender.fit(world(), walk_config(rerank="mlp"), split="full", seed=2, options=options)
    assert made.split is not None
    train = made.split.train
    asked = cut_last(train).asked
    last = {int(asked.users[case]): int(asked.targets(case)[0]) for case in range(len(asked))}
    answers = seen[0].slates.items.gather(1, seen[0].answers[:, None])[:, 0]
    assert len(answers) > 20
    assert {int(user): last[int(user)] for user in seen[0].people} == dict(
        zip(seen[0].people.tolist(), answers.tolist(), strict=True)
    )
    for user, history in zip(seen[0].people.tolist(), seen[0].slates.history, strict=True):
        newest = train.history(user).items[:-1][-1]
        assert int(history[-1]) == int(newest), "what came last before the answer is the newest that is shown"


def test_none_leaves_the_stages_below(options: FitOptions) -> None:
    made = Recommender.fit(world(), walk_config(rerank="none"), split="full", seed=1, options=options)
    assert (made.facts["rerank"]["chosen"], made.facts["rerank"]["why"]) == (NONE, "rerank=none")
    assert list(rungs(made))[-1] == "dynmm/evidence"


def test_too_few_answers_teach_nothing(options: FitOptions) -> None:
    config = walk_config(rerank="mlp", reranking={"least_users": 5_000})
    told = Recommender.fit(world(), config, split="full", seed=1, options=options).facts["rerank"]
    assert (told["chosen"], told["kinds"]) == (NONE, {})
    assert told["why"].startswith("fewer than 5,000 training questions")


def test_a_compact_model_is_pretrained_and_travels_with_the_run(tmp_path: Path) -> None:
    config = walk_config(rerank="language", language={"pretrain_seconds": 2.0, "epochs": 1})
    made = Recommender.fit(world(), config, split="full", seed=1, options=FitOptions("cpu", cache=tmp_path / "cache"))
    told = made.facts["rerank"]["kinds"]["language"]["model"]
    assert told["name"] == "compact"
    assert told["perplexity"] > 1
    made.save_pretrained(tmp_path / "run")
    assert (tmp_path / "run" / "model" / "compact" / "config.json").is_file()
    loaded = Recommender.from_pretrained(tmp_path / "run")
    assert loaded.recommend_many(NAMES, 9) == made.recommend_many(NAMES, 9)


def test_words_that_verify_teach_the_language_model(language: dict[str, Any], options: FitOptions) -> None:
    taught = Recommender.fit(
        world(),
        walk_config(rerank="language", language={**language, "wording": 0.5}),
        split="full",
        seed=1,
        options=options,
    )
    plain = Recommender.fit(
        world(), walk_config(rerank="language", language=language), split="full", seed=1, options=options
    )
    told, other = (one.facts["rerank"]["kinds"]["language"] for one in (taught, plain))
    assert 0 < told["worded"] <= taught.facts["rerank"]["learned_from"]
    assert "worded" not in other
    weights = [whole_of(one).reranked for one in (taught, plain)]
    first, second = (one.fitted["language"].reranking.ranker for one in weights if one is not None)
    assert isinstance(first, torch.nn.Module)
    assert isinstance(second, torch.nn.Module)
    moved = [
        not torch.equal(value, second.state_dict()[name])
        for name, value in first.state_dict().items()
        if value.is_floating_point()
    ]
    assert any(moved)


def test_explanations_that_came_with_the_data_are_the_words(
    language: dict[str, Any], options: FitOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the questions that train, and no others: a file may hold texts of all that anybody took."""
    data = world()
    rows = [(f"u{user:03d}", f"i{item:02d}") for user in range(USERS) for item in range(0, ITEMS, 2)]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")
    frame.with_columns(text=pl.lit("It goes on from there."), source=pl.lit("made")).write_parquet(
        tmp_path / "explanations.parquet"
    )
    seen: list[tuple[int, int]] = []

    def watched(questions: Any, *rest: Any) -> Any:
        answers = questions.slates.items.gather(1, questions.answers[:, None])[:, 0].tolist()
        texts = wanted_texts(questions, *rest)
        seen.append((sum(item % 2 == 0 for item in answers), len(texts)))
        return texts

    monkeypatch.setattr(reranking, "wanted_texts", watched)
    config = walk_config(rerank="language", language={**language, "wording": 0.5})
    made = Recommender.fit(replace(data, folder=tmp_path), config, split="full", seed=1, options=options)
    ((told, read),) = seen
    assert 0 < told < made.facts["rerank"]["learned_from"]
    assert made.facts["rerank"]["kinds"]["language"]["worded"] == read == told


class Trained(Exception):
    """Training begins: the cache did not hold it."""


def begins(*_: Any) -> None:
    raise Trained


def test_other_words_are_learned_anew(
    language: dict[str, Any], options: FitOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a rationale may say, and the data's own noun and verb, are what teaches."""
    taught = walk_config(rerank="language", language={**language, "wording": 0.5})
    plain = walk_config(rerank="language", language=language)
    for config in (taught, plain):
        Recommender.fit(world(), config, split="full", seed=1, options=options)
    monkeypatch.setattr(reranking, "_trained", begins)
    Recommender.fit(world(), taught, split="full", seed=1, options=options)
    other = replace(world(), info=replace(world().info, verb="walked past"))
    for data, rationale in ((world(), {"view": "operator"}), (world(), {"k": 7}), (other, {})):
        Recommender.fit(data, {**plain, "rationale": rationale}, split="full", seed=1, options=options)
        with pytest.raises(Trained):
            Recommender.fit(data, {**taught, "rationale": rationale}, split="full", seed=1, options=options)


def test_other_answers_teach_anew(options: FitOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same events before the cut, and another answer of half the users; their last event is validation's."""
    brief = {name: {**BRIEF[name], "epochs": 1} for name in ("backbone", "fusion")}
    rows = walks(USERS)
    moved = [
        (user, f"i{(int(item[1:]) + 7) % ITEMS:02d}" if n % 16 == 14 else item, time)
        for n, (user, item, time) in enumerate(rows)
    ]
    frame = pl.DataFrame(moved, schema=["user_id", "item_id", "timestamp"], orient="row")
    other = Dataset.from_frames(frame, world().item_table, info=world().info)
    weighed: list[int] = []

    def watched(terms: Any, scores: Any, asked: Any, *rest: Any) -> Any:
        weighed.append(len(asked))
        return learn_weights(terms, scores, asked, *rest)

    Recommender.fit(world(), walk_config(rerank="mlp", **brief), split="none", seed=1, options=options)
    monkeypatch.setattr("dynmm.assembly.evidencing.learn_weights", watched)
    monkeypatch.setattr(reranking, "_trained", begins)
    Recommender.fit(world(), walk_config(rerank="mlp", **brief), split="none", seed=1, options=options)
    assert not weighed
    with pytest.raises(Trained):
        Recommender.fit(other, walk_config(rerank="mlp", **brief), split="none", seed=1, options=options)
    assert len(weighed) == 3, "the weights of all answers, and those of each half"


def test_the_margin_of_the_manifest_is_the_configured_one(options: FitOptions) -> None:
    for margin in (0.05, 0.4):
        config = walk_config(rerank="mlp", language={"margin": margin})
        made = Recommender.fit(world(), config, split="full", seed=1, options=options)
        assert made.facts["rerank"]["kinds"]["mlp"]["faithfulness"]["margin"] == margin


def test_an_encoder_cannot_be_taught_by_words(options: FitOptions, tmp_path: Path) -> None:
    folder = tiny_folder("bert", tmp_path / "model")
    config = walk_config(rerank="language", language={"model": str(folder), "epochs": 1, "wording": 0.5})
    with pytest.raises(ConfigError, match=r"language\.wording teaches by words"):
        Recommender.fit(world(), config, split="full", seed=1, options=options)


def test_a_model_that_reads_too_little_at_once_is_told_before_training(
    options: FitOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tiny_folder("llama", tmp_path / "model", max_position_embeddings=40)
    config = walk_config(rerank="language", language={"model": str(folder), "epochs": 1})
    with pytest.raises(ModelError, match="the model reads 40: choose a model with a longer context"):
        Recommender.fit(world(), config, split="full", seed=1, options=options)
    assert "questions at a time" not in caplog.text


def test_a_server_ranks_in_place_of_this_process_and_its_absence_is_told(
    language: dict[str, Any], options: FitOptions
) -> None:
    model = open_model(language["model"], precision="float32")
    assert isinstance(model, CausalModel)
    with serving(model) as stand_in:
        served, asked = {**language, "server": stand_in.url, "served_as": "tiny"}, walk_config()["reranking"]
        config = walk_config(
            rerank="language", language=served, reranking={**walk_config()["reranking"], "candidates": 5}
        )
        made = Recommender.fit(world(), config, split="full", seed=1, options=options)
        serve(made, "language")
        requests, asked = len(stand_in.requests), made.reranked["asked"]
        ranked = made.recommend(NAMES[0], 5)
        assert len(stand_in.requests) > requests
        assert made.reranked["asked"] == asked + 1
        assert made.reranked["model"] == 0
        assert ranked
    made.recommend(NAMES[1], 5)
    assert made.reranked["model"] == 1
