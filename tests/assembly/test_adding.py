"""Items that come after the fit: rankable at once, kept with the run, and nobody else moves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import load_file
from tests.assembly.made import BRIEF, write_vectors, write_world
from tests.catalogue.files import picture_file, scene
from tests.worlds import START, circles

from dynmm import Dataset, DatasetInfo, Recommender
from dynmm.assembly import FitOptions, known_features
from dynmm.assembly.whole import whole_of
from dynmm.errors import ArtefactError, ConfigError, DataError, UnknownIdError, UnsupportedByData
from dynmm.fusion.joint import Joint
from dynmm.measurement import evaluate
from dynmm.testing import state_hash

USERS = [f"u{user}" for user in range(0, 60, 7)]


@pytest.fixture(scope="module")
def saved(options: FitOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose items are known by precomputed vectors."""
    data = write_world(tmp_path_factory.mktemp("world"))
    run = tmp_path_factory.mktemp("runs") / "run"
    Recommender.fit(data, BRIEF, split="full", seed=3, options=options).save_pretrained(run)
    return run


@pytest.fixture
def run(saved: Path, tmp_path: Path) -> Recommender:
    """Of a copy: what a run learns stays in its log."""
    return Recommender.from_pretrained(shutil.copytree(saved, tmp_path / "own"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Vectors of new items: n7 stands where i7 does, n8 where i8 does, lost has none."""
    return write_vectors(tmp_path / "new", {"n7": 7, "n8": 8, "n20": 20})


@pytest.fixture
def titled(fitted_titled: Path, tmp_path: Path) -> Path:
    """A copy, as above."""
    return Path(shutil.copytree(fitted_titled, tmp_path / "titled"))


@pytest.fixture(scope="module")
def fitted_titled(options: FitOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that reads titles as hashed words and looks at pictures, all of it given in memory."""
    interactions, items = circles()
    rows = [
        {"item_id": f"i{place}", "modality": "image", "format": "png", "bytes": picture_file(pixels=scene(seed=place))}
        for place in range(0, 30, 2)
    ]
    info = DatasetInfo("circles", "film", "watched", "second")
    data = Dataset.from_frames(interactions, items, pl.DataFrame(rows), info=info)
    config = {**BRIEF, "encoders": {"text": "hashed-words", "image": "visual"}}
    run = tmp_path_factory.mktemp("titled") / "run"
    Recommender.fit(data, config, split="full", seed=3, options=options).save_pretrained(run)
    return run


def _joint(recommender: Recommender) -> Joint:
    joint = whole_of(recommender).joint
    assert joint is not None
    return joint


def _place(recommender: Recommender, user: str, item: str) -> int:
    ranked = [one.item for one in recommender.recommend(user, 40, exclude_history=False)]
    return ranked.index(item)


def test_a_new_item_is_ranked_at_once_by_what_is_known_of_it(run: Recommender, folder: Path) -> None:
    before = run.recommend_many(USERS, 30).by_user
    old = _joint(run).item_vectors.clone()
    run.add_items([{"item_id": "n7", "title": "Seven"}, {"item_id": "lost"}], features=folder)
    assert len(run.items) == 32
    assert torch.equal(_joint(run).item_vectors[:30], old)
    for user in USERS:
        ranked = run.recommend(user, 32)
        assert {"n7", "lost"} <= {one.item for one in ranked}
        assert [one for one in ranked if one.item not in ("n7", "lost")] == before[user]
    assert run.title("n7") == "Seven"
    assert run.title("lost") is None


def test_a_new_item_is_like_what_it_stands_beside(run: Recommender, folder: Path) -> None:
    run.add_items(pl.DataFrame({"item_id": ["n7", "n20"]}), features=folder)
    first = run.similar("n7", 5)
    near = {"i5", "i6", "i7", "i8", "i9", "n20"}
    assert len({one.item for one in first} & near) >= 3
    assert first[0].item != "n7"
    assert all(sum(one.parts.values()) == pytest.approx(one.score, abs=1e-4) for one in first)
    by_text = [one for one in first if one.reason is not None]
    assert by_text
    assert all(one.reason == "is described alike" for one in by_text)


def test_nothing_is_like_an_item_of_which_nothing_is_known(run: Recommender, folder: Path) -> None:
    run.add_items([{"item_id": "n7"}, {"item_id": "lost"}], features=folder)
    assert run.similar("lost", 5) == []
    assert all(one.item != "lost" for one in run.similar("i3", 40))
    with pytest.raises(UnknownIdError, match="n99"):
        run.similar("n99")


def test_new_items_can_be_learned_and_follow_from_histories(run: Recommender, folder: Path) -> None:
    run.add_items([{"item_id": "n7"}, {"item_id": "n8"}], features=folder)
    at = START + 90 * 86_400_000
    run.learn([{"user_id": "new", "item_id": "n7", "timestamp": at}])
    assert run.history("new") == ["n7"]
    assert "n7" not in {one.item for one in run.recommend("new", 40)}
    assert _place(run, "new", "n8") < 12
    assert run.recommend_session(["n7"], 5) == run.recommend("new", 5)


def test_added_in_steps_and_learned_it_is_all_there_after_saving(
    run: Recommender, folder: Path, tmp_path: Path
) -> None:
    run.add_items([{"item_id": "n7", "title": "Seven", "year": 1999}], features=folder)
    run.learn([{"user_id": "u1", "item_id": "n7", "timestamp": START * 2}])
    run.add_items([{"item_id": "n20"}, {"item_id": "lost", "brand": "none"}], features=folder)
    run.learn([{"user_id": "new", "item_id": "n20", "timestamp": START * 2 + 1}])
    run.save_pretrained(tmp_path / "later")
    loaded = Recommender.from_pretrained(tmp_path / "later")
    assert loaded.items.ids == run.items.ids
    assert torch.equal(_joint(loaded).item_vectors, _joint(run).item_vectors)
    assert loaded.recommend_many([*USERS, "u1", "new"], 40) == run.recommend_many([*USERS, "u1", "new"], 40)
    assert loaded.similar("n7", 9) == run.similar("n7", 9)
    assert loaded.title("n7") == "Seven"
    loaded.save_pretrained(tmp_path / "again")
    assert Recommender.from_pretrained(tmp_path / "again").recommend("new", 9) == run.recommend("new", 9)


def test_what_was_added_is_kept_in_half_precision(run: Recommender, folder: Path, tmp_path: Path) -> None:
    run.add_items([{"item_id": "n7"}], features=folder)
    kept = load_file(tmp_path / "own" / "state" / "added" / "000000" / "features-text.safetensors")
    assert kept["vectors"].dtype == np.float16


def test_what_was_added_is_private_and_its_bytes_are_checked(run: Recommender, folder: Path, tmp_path: Path) -> None:
    run.add_items([{"item_id": "n7"}], features=folder)
    run.save_pretrained(tmp_path / "later")
    assert b"n7" not in (tmp_path / "later" / "model" / "items.parquet").read_bytes()
    path = tmp_path / "later" / "state" / "added" / "000000" / "features-text.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"features-text\.safetensors"):
        Recommender.from_pretrained(tmp_path / "later")


def test_a_run_is_measured_on_the_items_of_its_fit(run: Recommender, folder: Path) -> None:
    before = evaluate(run, systems=["popularity", "content-knn"])
    run.add_items([{"item_id": "n7"}, {"item_id": "n8"}], features=folder)
    assert evaluate(run, systems=["popularity", "content-knn"]) == before
    assert [one.n_items for one in known_features(run)] == [30]


@pytest.mark.parametrize("known", ["i7", 7])
def test_an_item_that_is_known_is_refused_and_nothing_changes(run: Recommender, folder: Path, known: Any) -> None:
    run.add_items([{"item_id": "7"}, {"item_id": "n7"}], features=write_vectors(folder, {"7": 7, "n7": 7}))
    before = state_hash(run)
    with pytest.raises(DataError, match=rf"'{known}' is known already; add_items takes new ones"):
        run.add_items([{"item_id": "n8"}, {"item_id": str(known)}], features=folder)
    assert state_hash(run) == before


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([{"item_id": "n7"}, {"item_id": "n7"}], "stands in an earlier row too"),
        ([{"item_id": ""}], "is no id"),
        ([{"title": "n7"}], "item_id"),
        ("n7", "is not a table"),
    ],
)
def test_tables_that_are_none_are_refused(run: Recommender, folder: Path, items: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        run.add_items(items, features=folder)
    assert run.added is None
    assert len(run.items) == 30


def test_no_items_are_no_change(run: Recommender) -> None:
    before = state_hash(run)
    run.add_items(pl.DataFrame({"item_id": []}, schema={"item_id": pl.String}))
    assert state_hash(run) == before


def test_items_of_which_nothing_is_known_are_refused_with_what_would_help(run: Recommender, folder: Path) -> None:
    before = state_hash(run)
    lost = [{"item_id": "lost", "title": "A title that this run does not read"}]
    with pytest.raises(DataError, match=r"text \(features=FOLDER, with text-place\.parquet\)"):
        run.add_items(lost)
    with pytest.raises(DataError, match=r"text \(features=FOLDER, with text-place\.parquet\)"):
        run.add_items(lost, features=folder)
    assert state_hash(run) == before


def test_vectors_of_another_making_are_refused(run: Recommender, tmp_path: Path) -> None:
    before = state_hash(run)
    wide = write_vectors(tmp_path / "wide", {"n7": 7}, width=9)
    with pytest.raises(DataError, match=r"9 wide.*encode them the same way"):
        run.add_items([{"item_id": "n7"}], features=wide)
    other = write_vectors(tmp_path / "other", {"n7": 7}, "text-else")
    with pytest.raises(ConfigError, match="no text features 'place'; there are: else"):
        run.add_items([{"item_id": "n7"}], features=other)
    assert state_hash(run) == before


def test_a_published_model_takes_items_in_and_refuses_to_lose_them(saved: Path, folder: Path, tmp_path: Path) -> None:
    published = Recommender.from_pretrained(Path(shutil.copytree(saved / "model", tmp_path / "model")))
    published.add_items([{"item_id": "n7"}], features=folder)
    assert len(published.recommend_session(["n7", "i8"], 5)) == 5
    with pytest.raises(ArtefactError, match="which items came to it"):
        published.save_pretrained(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_run_that_knows_interactions_alone_refuses_new_items(options: FitOptions, tmp_path: Path) -> None:
    data = write_world(tmp_path)
    for change in ({"fusion": {"variant": "off"}}, {"encoders": {"text": "off", "image": "off", "audio": "off"}}):
        run = Recommender.fit(data, {**BRIEF, **change}, split="full", options=options)
        with pytest.raises(UnsupportedByData, match="knows items by their interactions alone"):
            run.add_items([{"item_id": "n7", "title": "Seven"}])
        first = run.similar("i7", 3)
        assert [set(one.parts) for one in first] == [{"cf"}] * 3
        assert first[0].reason == "people take them together"


@pytest.mark.slow
def test_media_in_memory_are_looked_at(titled: Path) -> None:
    run = Recommender.from_pretrained(titled)
    twin = picture_file(pixels=scene(seed=4))
    rows = pl.DataFrame(
        {
            "item_id": ["seen", "stranger"],
            "modality": ["image", "image"],
            "format": ["png", "png"],
            "bytes": [twin, twin],
        }
    )
    run.add_items([{"item_id": "seen"}, {"item_id": "told", "title": "Film 5"}], rows)
    present = _joint(run).parts().present
    assert present[30:].tolist() == [[False, False, True], [False, True, False]]
    assert torch.equal(_joint(run).content.vectors[1][30], _joint(run).content.vectors[1][run.items.encode("i4")])
    like = {one.item: one for one in run.similar("seen", 31)}
    assert like["i4"].reason == "looks alike"
    assert like["i4"].attributes


def test_the_folder_of_feature_files_has_to_be_one(run: Recommender, tmp_path: Path) -> None:
    for wrong in (tmp_path / "nowhere", tmp_path / "file"):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(DataError, match=r"is no folder; features takes"):
            run.add_items([{"item_id": "n7", "title": "Seven"}], features=wrong)


@pytest.mark.slow
def test_new_items_may_lack_what_others_have(titled: Path, tmp_path: Path) -> None:
    """A title now, a picture later: each is encoded as at the fit, and what is missing is missing."""
    run = Recommender.from_pretrained(titled)
    run.add_items([{"item_id": "told", "title": "Film 5"}])
    picture = {"item_id": "seen", "modality": "image", "format": "png", "bytes": picture_file(pixels=scene(seed=4))}
    run.add_items([{"item_id": "seen", "title": "Film 6"}], [picture])
    run.add_items([{"item_id": "plain", "title": "Film 7"}])
    text, both = [False, True, False], [False, True, True]
    assert _joint(run).parts().present[30:].tolist() == [text, both, text]
    run.save_pretrained(tmp_path / "later")
    loaded = Recommender.from_pretrained(tmp_path / "later")
    assert torch.equal(_joint(loaded).item_vectors, _joint(run).item_vectors)
    assert loaded.similar("seen", 9) == run.similar("seen", 9)


@pytest.mark.slow
def test_a_picture_that_cannot_be_read_costs_its_item_the_picture(
    titled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Recommender.from_pretrained(titled)
    broken = {"item_id": "odd", "modality": "image", "format": "png", "bytes": b"no picture"}
    strange = {**broken, "item_id": "zzz"}
    report = run.add_items([{"item_id": "odd", "title": "Film 6"}, {"item_id": "bare"}], [broken, strange])
    refused = "begins with b'no pictu', which is none of jpeg, png, webp"
    losses = [
        f"image: odd is left out: {refused}",
        "image: 1 for items outside the catalogue, such as 'zzz'; a row names its item, and a file is called after it",
        "no content is known of bare",
    ]
    assert report.losses() == losses
    assert [record.getMessage() for record in caplog.records if record.name == "dynmm.assembly.adding"] == losses
    assert _joint(run).parts().present[30].tolist() == [False, True, False]
    assert [line.item for line in _joint(run).added[1].left_out] == ["odd"]
    with pytest.raises(DataError, match="give them one of: image, text"):
        run.add_items([{"item_id": "worse"}], [{**broken, "item_id": "worse"}])


def test_what_the_run_does_not_read_is_told(run: Recommender, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("audio-else", "text-else"):
        write_vectors(folder, {"n7": 7}, name)
    picture = {"modality": "image", "format": "png", "bytes": b"no picture"}
    report = run.add_items(
        [{"item_id": "n7"}], [{"item_id": "n7", **picture}, {"item_id": "zz", **picture}], features=folder
    )
    why = "not read: this run reads what it was fitted on, which is text by precomputed:place"
    told = [
        f"image: 2 given and {why}",
        f"features/text-else.parquet is {why}",
        f"features/audio-else.parquet is {why}",
    ]
    assert report.losses()[-3:] == told
    assert set(told) <= {record.getMessage() for record in caplog.records if record.name == "dynmm.assembly.adding"}


def test_a_feature_file_without_the_new_items_leaves_them_without(options: FitOptions, tmp_path: Path) -> None:
    """It may be the file of the fit, with all the old items in it."""
    (tmp_path / "data").mkdir()
    data = write_world(tmp_path / "data")
    encoders = {"text": "hashed-words", "image": "precomputed:seen", "audio": "off"}
    write_vectors(data / "features", {f"i{place}": place for place in range(29)}, "image-seen")
    run = Recommender.fit(data, {**BRIEF, "encoders": encoders}, split="full", seed=3, options=options)
    run.save_pretrained(tmp_path / "run")
    run = Recommender.from_pretrained(tmp_path / "run")
    report = run.add_items([{"item_id": "told", "title": "Film 5"}], features=data / "features")
    assert "image: 0 items by precomputed:seen, 1 without" in report.lines()
    run.add_items([{"item_id": "seen"}], features=write_vectors(tmp_path / "new", {"seen": 7}, "image-seen"))
    assert _joint(run).parts().present[30:].tolist() == [[False, True, False], [False, False, True]]
    again = Recommender.from_pretrained(tmp_path / "run")
    assert again.recommend_many(USERS, 40) == run.recommend_many(USERS, 40)


def test_weights_that_are_gone_are_sought_where_the_error_says(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Recommender.from_pretrained(saved)
    run.facts["config"]["encoders"]["text"] = "sentence-transformers:./weights"
    monkeypatch.chdir(tmp_path)
    sought = (
        rf"no folder './weights'.*encoders\.text=sentence-transformers:\./weights.*sought from {tmp_path}: work from"
    )
    with pytest.raises(ConfigError, match=sought):
        run.add_items([{"item_id": "told", "title": "Film 5"}])


def test_an_encoder_that_was_chosen_by_itself_is_the_one_of_the_fit(
    options: FitOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` may come to something else today than it did on the day of the fit."""
    interactions, items = circles()
    data = Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))
    with monkeypatch.context() as patch:
        patch.setattr("dynmm.encoders.choosing.installed", lambda name: False)
        run = Recommender.fit(data, {**BRIEF, "encoders": {}}, split="full", options=options)
    assert _joint(run).features[0].encoder == "hashed-words"
    run.add_items([{"item_id": "told", "title": "Film 5"}])
    assert torch.equal(_joint(run).content.vectors[0][30], _joint(run).content.vectors[0][run.items.encode("i5")])
