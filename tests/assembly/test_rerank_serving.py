"""A run whose language model serves: many threads at once, deadlines, and what is said of answers without it."""

from __future__ import annotations

import gc
import importlib.util
import json
import shutil
import sys
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import torch
from tests.assembly.walks import NAMES, serve, walk_config, walks, world
from tests.language.tiny import tiny_folder

from dynmm import Recommender
from dynmm.assembly import FitOptions, controls
from dynmm.assembly.live import follow
from dynmm.assembly.reranked import NONE
from dynmm.assembly.whole import whole_of
from dynmm.errors import MissingExtraError, ModelError, UnsupportedByData
from dynmm.language.batching import MicroBatcher
from dynmm.language.serving import Reason
from dynmm.language.system import Reranking
from dynmm.measurement import evaluate

pytestmark = pytest.mark.slow

#: A copy beside the run, whose log no test writes to.
UNTOUCHED = "untouched"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a disk in which a tiny language model was trained."""
    folder = tiny_folder("llama", tmp_path_factory.mktemp("model"))
    language = {"model": str(folder), "epochs": 1, "precision": "float32", "questions": 40}
    runs = tmp_path_factory.mktemp("runs")
    options = FitOptions("cpu", cache=runs / "cache")
    config = walk_config(rerank="language", language=language)
    made = Recommender.fit(world(), config, split="full", seed=1, options=options)
    made.save_pretrained(runs / "run")
    shutil.copytree(runs / "run", runs / UNTOUCHED)
    return runs / "run"


def served(run: Path, **changes: Any) -> tuple[Recommender, Reranking]:
    """The run from its folder, its language model ranking under these options of `Reranking`."""
    recommender = Recommender.from_pretrained(run)
    reranking = serve(recommender, "language").fitted["language"].reranking
    for name, value in changes.items():
        object.__setattr__(reranking, name, value)
    return recommender, reranking


def test_questions_of_several_threads_are_read_together(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    answer = MicroBatcher._answer

    def watched(self: MicroBatcher, group: Sequence[Any]) -> None:
        sizes.append(len(group))
        answer(self, group)

    monkeypatch.setattr(MicroBatcher, "_answer", watched)
    together, _ = served(run, batch_wait_ms=2_000.0)
    with ThreadPoolExecutor(8) as callers:
        found = list(callers.map(lambda user: together.recommend(user, 5), NAMES[:8]))
    assert max(sizes) > 1, sizes
    assert sum(sizes) == 8
    alone, _ = served(run)
    for user, items in zip(NAMES, found, strict=False):
        scores = {one.item: one.score for one in alone.recommend(user, 20)}
        assert [one.score for one in items] == pytest.approx([scores[one.item] for one in items], abs=1e-4)


def test_the_shelf_is_one_until_events_are_counted(run: Path) -> None:
    recommender, _ = served(run)
    shelf = whole_of(recommender).below().shelf
    assert whole_of(recommender).below().shelf is shelf
    newest = max(one for _, _, one in walks(200))
    recommender.learn([{"user_id": "u001", "item_id": "i07", "timestamp": newest + 1}])
    after = whole_of(recommender).below().shelf
    assert float(after.taken[7] - shelf.taken[7]) == 1
    assert whole_of(recommender).below().shelf is after


def test_an_evaluation_knows_no_deadline(run: Path) -> None:
    """Or what is measured would hang on the clock, and be the stages below without a word."""
    hurried, reranking = served(run, deadline_ms=0.001)
    result = evaluate(hurried, systems=["popularity"])
    assert reranking.deadline_ms is not None
    patient, _ = served(run)
    assert result["systems"] == evaluate(patient, systems=["popularity"])["systems"]
    assert result["reranker"] == {"kind": "language", "why": None, "idle": []}
    assert result["served"]["dynmm"] == {"asked": result["cases"], **dict.fromkeys(get_args(Reason), 0)}
    assert not [note for note in result["notes"] if "re-ranked" in note]
    assert "The re-ranker of dynmm is language." in result["notes"]


def test_an_evaluation_says_which_re_ranker_has_no_weight(run: Path) -> None:
    """Its row has the figures of the stages below, to the last digit, and would be taken for a mistake."""
    recommender, _ = served(run)
    kinds = recommender.facts["rerank"]["kinds"]
    kinds["language"]["gamma"] = 0.0
    result = evaluate(recommender, systems=["popularity"])
    assert result["reranker"]["idle"] == ["language"]
    (told,) = (note for note in result["notes"] if "so it has no weight" in note)
    assert told.startswith("language gained nothing sure")
    kinds["mlp"] = {"gamma": 0.0}
    notes = evaluate(recommender, systems=["popularity"])["notes"]
    (told,) = (note for note in notes if "so they have no weight" in note)
    assert told.startswith("language and mlp gained nothing sure")


def test_an_evaluation_says_what_was_not_re_ranked(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender, reranking = served(run)
    monkeypatch.setattr(type(reranking.ranker), "forward", lambda self, slates, shelf: slates.latent * torch.nan)
    object.__setattr__(reranking, "prefixes", 0)
    result = evaluate(recommender, systems=["popularity"])
    cases = result["cases"]
    assert result["served"]["dynmm"]["not_finite"] == cases
    assert [note for note in result["notes"] if "re-ranked" in note] == [
        f"dynmm: {cases} of {cases} questions were not re-ranked (not_finite {cases}); they are measured in the order "
        "of the stages below."
    ]


def test_a_run_serves_without_a_language_model_that_it_does_not_use(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is saved anew; whoever asks for the model is told what is missing."""
    patient, _ = served(run)
    expected = patient.recommend(NAMES[0], 5)
    below = serve(patient, NONE)
    patient.save_pretrained(tmp_path / "plain")
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "transformers", None)
        plain = Recommender.from_pretrained(tmp_path / "plain")
        assert plain.recommend(NAMES[0], 5)
        plain.save_pretrained(tmp_path / "again")
        with pytest.raises(MissingExtraError, match="transformers"):
            controls(plain)
        serve(patient, "language")
        patient.save_pretrained(tmp_path / "served")
        with pytest.raises(MissingExtraError, match="transformers"):
            Recommender.from_pretrained(tmp_path / "served")
    assert list(below.fitted) == ["language"]
    again = Recommender.from_pretrained(tmp_path / "again")
    serve(again, "language")
    assert again.recommend(NAMES[0], 5) == expected


def test_a_list_and_its_reasons_are_one_answer(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clock does: what answers the first time and never again would contradict itself."""
    recommender, reranking = served(run, deadline_ms=60_000.0, prefixes=0)
    forward = vars(type(reranking.ranker))["forward"]
    asked: list[int] = []

    def once(self: Any, slates: Any, shelf: Any) -> Any:
        asked.append(len(slates))
        return forward(self, slates, shelf) * (1.0 if len(asked) == 1 else torch.nan)

    monkeypatch.setattr(type(reranking.ranker), "forward", once)
    found = recommender.recommend(NAMES[0], 5, explain=True)
    assert asked == [1]
    assert recommender.reranked["asked"] == 1
    for place, one in enumerate(found, start=1):
        assert one.explained is not None
        assert (one.degraded, one.explained.degraded, one.explained.rank) == (None, None, place)
        assert one.explained.score == pytest.approx(one.score, abs=1e-4)


def test_each_answer_says_whether_it_was_re_ranked(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender, reranking = served(run, prefixes=0)
    assert {one.degraded for one in recommender.recommend(NAMES[0], 5)} == {None}
    with monkeypatch.context() as patched:
        patched.setattr(type(reranking.ranker), "forward", lambda self, slates, shelf: slates.latent * torch.nan)
        lost = recommender.recommend(NAMES[1], 5, explain=True)
        many = recommender.recommend_many(NAMES[:2], 3).by_user
        left_out = recommender.recommend(NAMES[1], 5, without=[recommender.history(NAMES[1])[-1]])
    for one in lost:
        assert one.explained is not None
        assert (one.degraded, one.explained.degraded) == ("not_finite", "not_finite")
        assert one.explained.contributions["rerank"] == 0
    assert {one.degraded for one in (*left_out, *many[NAMES[0]])} == {"not_finite"}
    assert {one.degraded for one in recommender.recommend(NAMES[0], 5)} == {None}, "the next answer is not marked"


def test_a_row_of_an_experiment_is_measured_with_the_kind_that_it_names(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where validation prefers the stages below, or the rows would all be those."""
    spec = importlib.util.spec_from_file_location("experiment", Path("experiments/run.py"))
    assert spec is not None
    assert spec.loader is not None
    experiment = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(experiment)
    recommender, _ = served(run)
    query = recommender.query_of(NAMES[0])
    ranked = recommender.system.rank([query], 9)
    serve(recommender, NONE)
    below = recommender.system.rank([query], 9)
    monkeypatch.setattr(experiment, "fit", lambda *_, **__: SimpleNamespace(recommender=recommender))
    for kind, expected in (("language", ranked), ("none", below)):
        (system,) = experiment._systems(None, {"config": {"rerank": kind}}, [0], "cpu")
        assert system.rank([query], 9).scores.tolist() == expected.scores.tolist()
    assert ranked.scores.tolist() != below.scores.tolist()
    with pytest.raises(UnsupportedByData, match="no re-ranker of the kind mlp was fitted"):
        next(experiment._systems(None, {"config": {"rerank": "mlp"}}, [0], "cpu"))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_model_that_would_read_otherwise_is_refused_by_the_name_of_its_file(run: Path, name: str) -> None:
    """Its weights are the same: only the hashes of these files tell."""
    recommender, _ = served(run)
    path = Path(recommender.facts["config"]["language"]["model"]) / name
    kept = path.read_bytes()
    told = json.loads(kept)
    if name == "config.json":
        told["rms_norm_eps"] = 0.5
    else:
        words = list(told["model"]["vocab"].items())[-2:]
        told["model"]["vocab"].update({words[0][0]: words[1][1], words[1][0]: words[0][1]})
    try:
        path.write_text(json.dumps(told))
        with pytest.raises(ModelError, match=rf"{name} is not the file that the run was fitted with"):
            served(run)
    finally:
        path.write_bytes(kept)
    served(run)


def test_a_fit_that_serves_otherwise_finds_what_was_trained(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender, _ = served(run)
    named = ("model", "epochs", "precision", "questions")
    language = {name: recommender.facts["config"]["language"][name] for name in named}
    trained: list[str] = []
    monkeypatch.setattr("dynmm.assembly.reranking._trained", lambda kind, *_: trained.append(kind))
    changed = walk_config(rerank="language", language={**language, "deadline_ms": 77.0, "cache_prefixes": 3})
    options = FitOptions("cpu", cache=run.parent / "cache")
    again = Recommender.fit(world(), changed, split="full", seed=1, options=options)
    reranking = serve(again, "language").fitted["language"].reranking
    assert (trained, reranking.deadline_ms, reranking.prefixes) == ([], 77.0, 3)


def kept_of(recommender: Recommender) -> list[int]:
    """How much is remembered of users: prefixes, and vectors in each stage."""
    whole = whole_of(recommender)
    assert whole.reranked is not None
    stages = [one for one in (whole.reranked.reader, whole.backbone, whole.joint) if one is not None]
    heads = vars(whole.reranked.fitted["language"].reranking).get("_heads", ())
    return [len(heads), *(len(one.recent) for one in stages)]  # type: ignore[attr-defined]


def meanwhile(work: Any) -> None:
    """Another request: asking takes no lock."""
    other = threading.Thread(target=work)
    other.start()
    other.join()


def test_nobody_who_asks_while_they_are_deleted_is_remembered(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recommender, reranking = served(Path(shutil.copytree(run.parent / UNTOUCHED, tmp_path / "run")))
    recommender.recommend(NAMES[2], 5)
    heads, asked = weakref.ref(vars(reranking)["_heads"]), recommender.reranked["asked"]
    del reranking

    def watched(rebuilt: Recommender) -> None:
        meanwhile(lambda: recommender.recommend(NAMES[1], 5))
        follow(rebuilt)

    monkeypatch.setattr("dynmm.assembly.forgetting.follow", watched)
    recommender.forget(NAMES[1])
    assert not any(kept_of(recommender))
    gc.collect()
    assert heads() is None, "what late questions wrote into is held no more"
    assert recommender.reranked["asked"] == asked + 1, "the counts go on"
    recommender.recommend(NAMES[2], 5)
    assert kept_of(recommender)[0] == 1


@pytest.mark.parametrize("ask", ["recommend", "reasons", "explain", "rank"])
def test_a_history_from_before_a_deletion_asks_the_stages_from_before(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    """The deletion comes between the reading of a history and the ranking."""
    recommender, _ = served(Path(shutil.copytree(run.parent / UNTOUCHED, tmp_path / "run")))
    query_of = Recommender.query_of

    def late(self: Recommender, *args: Any) -> Any:
        found = query_of(self, *args)
        meanwhile(lambda: recommender.forget(NAMES[1]))
        return found

    monkeypatch.setattr(Recommender, "query_of", late)
    if ask == "rank":
        recommender.rank(NAMES[1], ["i01", "i02"])
    elif ask == "explain":
        recommender.explain(NAMES[1], "i01")
    else:
        recommender.recommend(NAMES[1], 5, explain=ask == "reasons")
    assert not any(kept_of(recommender))
