"""The walk on outside ids: recommend, rank, learn, save, load."""

from __future__ import annotations

import datetime
import errno
import os
import shutil
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.worlds import DAY, QUICK, START, circle_data

from dynmm import Recommender
from dynmm.assembly import FitOptions, fit
from dynmm.errors import ArtefactError, ConfigError, DataError, StorageError, TamperedArtefact, UnknownIdError
from dynmm.system import Query
from dynmm.types import UserHistory


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def fitted(cache: Path) -> Recommender:
    return Recommender.fit(circle_data(), QUICK, split="full", seed=3, options=FitOptions(cache=cache))


@pytest.fixture(scope="module")
def saved(fitted: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run"
    fitted.save_pretrained(run)
    return run


@pytest.fixture
def run(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil. Copying the folder is moving it."""
    return Path(shutil.copytree(saved, tmp_path / "moved"))


def test_a_fit_in_python_tells_what_was_not_read(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("PIL")
    data = circle_data()
    rows = [{"item_id": one, "modality": "image", "format": "png", "bytes": b"none"} for one in ("i1", "strange")]
    with_media = replace(data, media_rows=pl.DataFrame(rows))
    recommender = Recommender.fit(with_media, QUICK, split="full", seed=3, options=FitOptions(cache=cache))
    said = [one.getMessage() for one in caplog.records if one.name == "dynmm.assembly.contentreport"]
    assert said[0].startswith("image: i1 is left out: begins with b'none'")
    assert said[1].startswith("image: 1 for items outside the catalogue, such as 'strange'")
    (told,) = [one for one in recommender.facts["content"]["modalities"] if one["modality"] == "image"]
    assert told["left_out"][0]["item"] == "i1"


def _next(recommender: Recommender, user: str) -> str:
    return f"i{(int(recommender.history(user)[-1][1:]) + 1) % 30}"


def test_it_learns_what_follows(fitted: Recommender) -> None:
    users = [f"u{user}" for user in range(60)]
    found = fitted.recommend_many(users, 1).by_user
    right = sum(found[user][0].item == _next(fitted, user) for user in users)
    assert right >= 50


def test_recommend_leaves_out_history_and_exclusions(fitted: Recommender) -> None:
    first = fitted.recommend("u1", 5)
    assert len(first) == 5
    assert not {one.item for one in first} & set(fitted.history("u1"))
    assert [one.score for one in first] == sorted((one.score for one in first), reverse=True)
    assert first[0].title == f"Film {first[0].item[1:]}"
    again = fitted.recommend("u1", 5, exclude=[first[0].item])
    assert first[0].item not in {one.item for one in again}
    assert again[0] == first[1]


def test_a_catalogue_that_runs_out_gives_fewer(fitted: Recommender) -> None:
    assert len(fitted.recommend("u1", 500)) == 30 - len(set(fitted.history("u1")))


def test_history_is_what_the_split_lets_be_known(fitted: Recommender) -> None:
    assert len(fitted.history("u7")) == 11


def test_many_users_get_what_each_gets_alone(fitted: Recommender) -> None:
    together = fitted.recommend_many(["u3", "u5", "u3"], 4)
    assert together.by_user["u5"] == fitted.recommend("u5", 4)
    frame = together.to_frame()
    assert frame.columns == ["user_id", "rank", "item_id", "score", "title"]
    assert frame.filter(pl.col("user_id") == "u3")["rank"].to_list() == [1, 2, 3, 4]


def test_rank_orders_the_given_items(fitted: Recommender) -> None:
    wanted = _next(fitted, "u4")
    ranked = fitted.rank("u4", ["i0", wanted, "i9"])
    assert ranked[0].item == wanted
    assert {one.item for one in ranked} == {"i0", wanted, "i9"}


def test_a_session_needs_no_user(fitted: Recommender) -> None:
    assert fitted.recommend_session(["i4", "i5", "i6"], 1)[0].item == "i7"


@pytest.mark.parametrize("call", ["recommend", "history"])
def test_unknown_users_are_named(fitted: Recommender, call: str) -> None:
    with pytest.raises(UnknownIdError, match=r"unknown user 'nobody'.*60 users"):
        getattr(fitted, call)("nobody")


def test_unknown_items_are_named(fitted: Recommender) -> None:
    with pytest.raises(UnknownIdError, match="unknown item 'i99'"):
        fitted.rank("u1", ["i1", "i99"])
    with pytest.raises(UnknownIdError, match="unknown item 'i99'"):
        fitted.recommend("u1", exclude=["i99"])


def test_no_items_asked_for_is_refused(fitted: Recommender) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        fitted.recommend("u1", 0)


def test_recommend_changes_nothing(saved: Path) -> None:
    recommender = Recommender.from_pretrained(saved)
    before = recommender.recommend_many(["u1", "u2"], 5)
    parameters = recommender.system.backbone.parameter_hash()  # type: ignore[attr-defined]
    recommender.recommend("u9", 3)
    assert recommender.recommend_many(["u1", "u2"], 5) == before
    assert recommender.system.backbone.parameter_hash() == parameters  # type: ignore[attr-defined]


def test_a_saved_run_loads_to_the_same_answers(fitted: Recommender, run: Path) -> None:
    loaded = Recommender.from_pretrained(run)
    users = [f"u{user}" for user in range(0, 60, 7)]
    assert loaded.recommend_many(users, 6) == fitted.recommend_many(users, 6)
    assert loaded.facts["validation"] == fitted.facts["validation"]
    assert loaded.facts["config"]["backbone"]["width"] == 32


def test_learning_moves_the_history_and_survives_saving(run: Path, tmp_path: Path) -> None:
    recommender = Recommender.from_pretrained(run)
    at = START + 30 * DAY
    recommender.learn(
        [
            {"user_id": "u1", "item_id": "i20", "timestamp": at},
            {"user_id": "stranger", "item_id": "i3", "timestamp": at + 1},
            {"user_id": "stranger", "item_id": "i4", "timestamp": at + 2},
        ]
    )
    assert recommender.history("u1")[-1] == "i20"
    assert recommender.recommend("stranger", 1)[0].item == "i5"
    recommender.save_pretrained(tmp_path / "later")
    loaded = Recommender.from_pretrained(tmp_path / "later")
    assert loaded.history("stranger") == ["i3", "i4"]
    assert loaded.recommend_many(["u1", "stranger"], 4) == recommender.recommend_many(["u1", "stranger"], 4)


def test_events_of_unknown_items_wait_and_are_told(run: Path) -> None:
    recommender = Recommender.from_pretrained(run)
    before = recommender.history("u1")
    recommender.learn([{"user_id": "u1", "item_id": "i77", "timestamp": START}])
    assert recommender.history("u1") == before
    assert (recommender.held, recommender.counted) == (1, 0)
    with pytest.raises(DataError, match="'timestamp' is missing"):
        recommender.learn([{"user_id": "u1", "item_id": "i7"}])
    recommender.learn([])
    assert recommender.history("u1") == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"timestamp": 1_600_000_000}, "looks like seconds"),
        ({"timestamp": None}, "missing but every row needs one"),
        ({"timestamp": "yesterday"}, "whole numbers"),
        ({"user_id": None}, "'user_id'.*is no id"),
        ({"item_id": 2.0}, "'item_id'.*write ids as strings"),
    ],
)
def test_learning_checks_what_comes_in(run: Path, change: dict[str, object], words: str) -> None:
    recommender = Recommender.from_pretrained(run)
    with pytest.raises(DataError, match=words):
        recommender.learn([{"user_id": "u1", "item_id": "i7", "timestamp": START, **change}])
    assert not recommender.counted
    assert len(recommender.users) == 60


def test_learning_reads_dates_as_a_data_set_does(run: Path) -> None:
    recommender = Recommender.from_pretrained(run)
    moment = datetime.datetime(2020, 10, 1, tzinfo=datetime.UTC)
    recommender.learn(pl.DataFrame({"user_id": ["u1"], "item_id": ["i20"], "timestamp": [moment]}))
    assert recommender.counted == 1
    assert recommender.now == int(moment.timestamp() * 1000)


def test_newcomers_do_not_move_the_split(run: Path, tmp_path: Path) -> None:
    recommender = Recommender.from_pretrained(run)
    recommender.learn([{"user_id": f"new{n}", "item_id": "i3", "timestamp": START} for n in range(5)])
    recommender.save_pretrained(tmp_path / "later")
    later = Recommender.from_pretrained(tmp_path / "later")
    assert later.split is not None
    assert later.split.counts == Recommender.from_pretrained(run).split.counts  # type: ignore[union-attr]
    assert list(later.users.ids[60:]) == [f"new{n}" for n in range(5)]
    later.save_pretrained(tmp_path / "again")
    assert Recommender.from_pretrained(tmp_path / "again").history("new4") == ["i3"]


@pytest.mark.parametrize(
    "victim", ["model/backbone/weights.safetensors", "model/items.parquet", "state/events.parquet"]
)
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_run_is_refused_by_name(run: Path, victim: str, damage: str) -> None:
    content = bytearray((run / victim).read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 2] ^= 1
    (run / victim).write_bytes(content)
    with pytest.raises(TamperedArtefact, match=Path(victim).name):
        Recommender.from_pretrained(run)


def test_state_of_another_run_is_refused(run: Path, cache: Path, tmp_path: Path) -> None:
    other = Recommender.fit(circle_data(seed=9), QUICK, split="full", options=FitOptions(cache=cache))
    other.save_pretrained(tmp_path / "other")
    shutil.rmtree(run / "state")
    shutil.copytree(tmp_path / "other" / "state", run / "state")
    with pytest.raises(TamperedArtefact, match="another model"):
        Recommender.from_pretrained(run)


def test_there_is_no_run_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="no run at"):
        Recommender.from_pretrained(tmp_path / "nowhere")


def test_a_full_disk_leaves_the_old_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender = Recommender.from_pretrained(run)
    before = _contents(run)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        recommender.save_pretrained(run)
    monkeypatch.undo()
    assert _contents(run) == before
    assert [path.name for path in run.parent.iterdir()] == [run.name]


def _contents(run: Path) -> dict[Path, bytes]:
    """Of every file but the lock, which is no part of the run and is made by whoever looks whether somebody writes."""
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_a_folder_that_is_no_run_is_not_replaced(fitted: Recommender, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(DataError, match="not a run"):
        fitted.save_pretrained(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "dear"


def test_the_published_part_names_no_user(fitted: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded: dict[str, bytes] = {}

    def upload_folder(*, repo_id: str, folder_path: str, commit_message: str, delete_patterns: str) -> str:
        assert delete_patterns == "*", "files of an earlier model must not stay"
        root = Path(folder_path)
        uploaded.update({str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()})
        return f"hub/{repo_id}"

    hub = types.ModuleType("huggingface_hub")
    hub.create_repo = lambda *_, **__: None  # type: ignore[attr-defined]
    hub.upload_folder = upload_folder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert fitted.push_to_hub("me/films") == "hub/me/films"
    assert {"manifest.json", "config.json", "README.md", "items.parquet"} <= set(uploaded)
    assert not any("user" in name or "event" in name or "state" in name for name in uploaded)
    everything = b"".join(uploaded.values())
    assert not any(f'"u{user}"'.encode() in everything for user in range(60))


def test_a_published_model_serves_sessions(fitted: Recommender, saved: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(saved / "model", tmp_path / "model"))
    published = Recommender.from_pretrained(model)
    items = fitted.items.encode_known(["i1", "i2"])
    now_unknown = fitted.system.rank([Query(UserHistory(items), exclude=items)], 3)
    told = published.recommend_session(["i1", "i2"], 3)
    # It knows no events, so no trend either.
    assert [one.item for one in told] == [fitted.items.decode(item) for item in now_unknown.items[0]]
    assert [one.score for one in told] == now_unknown.scores[0].tolist()
    with pytest.raises(UnknownIdError, match="knows 0 users"):
        published.recommend("u1")


def test_what_a_published_model_learned_is_not_lost_in_silence(saved: Path, tmp_path: Path) -> None:
    published = Recommender.from_pretrained(saved / "model")
    published.learn([{"user_id": "new", "item_id": "i1", "timestamp": START}])
    with pytest.raises(ArtefactError, match="no state/ in which to keep"):
        published.save_pretrained(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_misspelt_folder_is_called_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # as where it is not installed
    with pytest.raises(ArtefactError, match=r"no folder 'runs/fims'.*pip install"):
        Recommender.from_pretrained("runs/fims")


def test_a_second_fit_comes_from_the_cache(cache: Path) -> None:
    data = circle_data(users=40)
    epochs: list[int] = []
    options = FitOptions(cache=cache, on_epoch=lambda report: epochs.append(report.epoch))
    first = fit(data, QUICK, split="full", seed=1, options=options).recommender
    trained = len(epochs)
    second = fit(data, QUICK, split="full", seed=1, options=options).recommender
    assert trained > 0
    assert len(epochs) == trained
    assert second.recommend("u1", 5) == first.recommend("u1", 5)
    fit(data, QUICK, split="full", seed=2, options=options)
    assert len(epochs) > trained


def test_a_fit_for_deployment_knows_every_event(cache: Path) -> None:
    recommender = Recommender.fit(circle_data(), QUICK, options=FitOptions(cache=cache))
    assert len(recommender.history("u7")) == 12


@pytest.mark.parametrize("split", ["none", "stream"])
def test_validation_is_measured_before_the_refit_has_seen_its_answers(cache: Path, split: str) -> None:
    config = {**QUICK, "evidence": {"variant": "off"}}  # or validation would know more than the joint stage
    fitted = fit(circle_data(), config, split=split, options=FitOptions(cache=cache))
    facts = fitted.recommender.facts
    for stage, curve in fitted.curves.items():
        assert len(fitted.refits[stage]) == curve[-1].best_epoch
    joint = fitted.curves["joint"]
    best = joint[joint[-1].best_epoch - 1]
    assert best.validation is not None
    assert facts["validation"]["ndcg@10"]["mean"] == pytest.approx(best.validation, abs=0.02)
    assert facts["refitted"]


def test_the_configuration_names_the_split_where_the_caller_does_not(cache: Path) -> None:
    options = FitOptions(cache=cache)
    recommender = Recommender.fit(circle_data(), {**QUICK, "split": {"name": "full"}}, seed=3, options=options)
    assert recommender.facts["split"]["name"] == "full"
    assert len(recommender.history("u7")) == 11


def test_misspelt_keys_are_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'backbone\.widht'"):
        Recommender.fit(circle_data(), {"backbone": {"widht": 3}})


def test_row_filters_need_a_folder() -> None:
    with pytest.raises(ConfigError, match="data set in memory"):
        Recommender.fit(circle_data(), {"data": {"min_rating": 3}})


def test_learning_takes_any_table_and_puts_it_in_order_of_time(run: Path) -> None:
    at = START + 30 * DAY
    rows = pl.DataFrame({"user_id": ["new"] * 2, "item_id": ["i5", "i4"], "timestamp": [at + 1, at]})
    tables = (rows, rows.lazy(), rows.to_dict(as_series=False), iter(rows.to_dicts()), tuple(rows.to_dicts()))
    for number, table in enumerate(tables):
        recommender = Recommender.from_pretrained(Path(shutil.copytree(run, run.with_name(f"own{number}"))))
        recommender.learn(table)
        assert recommender.history("new") == ["i4", "i5"]
    for nonsense in (None, "events", [1, 2]):
        with pytest.raises(DataError, match="is not a table"):
            recommender.learn(nonsense)


@pytest.mark.parametrize("k", [0, -1, 1.5, "3"])
def test_a_number_of_items_that_is_none_is_refused(fitted: Recommender, k: Any) -> None:
    with pytest.raises(ConfigError, match="at least 1 item, in a whole number"):
        fitted.recommend("u1", k)


def test_a_fit_names_what_is_no_data_set_and_no_configuration() -> None:
    with pytest.raises(DataError, match=r"Dataset\.from_frames"):
        Recommender.fit(pl.DataFrame())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a configuration is a mapping"):
        Recommender.fit("data", "epochs=5")  # type: ignore[arg-type]


def test_the_gate_of_an_item_shares_one(fitted: Recommender) -> None:
    weights = fitted.gate("i3")
    assert set(weights) == {"cf", "text"}
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-5)
