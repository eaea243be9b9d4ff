"""The pictures and sounds of a world: what they cost the events (nothing), what they tell, and what is wrong."""

from __future__ import annotations

import hashlib
import io
import json
import wave
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import rankdata, spearmanr

from dynmm.catalogue.content import AUDIO, IMAGE, TEXT, Modality, Picture, Sound
from dynmm.catalogue.decoding.decoder import Decoder
from dynmm.catalogue.decoding.refused import Refused
from dynmm.cli import main
from dynmm.encoders.acoustic import Acoustic
from dynmm.encoders.visual import Visual
from dynmm.errors import ConfigError
from dynmm.interactions.dataset import Dataset
from dynmm.simulation import PictureConfig, SoundConfig, World, WorldConfig, demo_world, simulate
from dynmm.simulation.reading import read_world

WORLDS = Path(__file__).resolve().parents[2] / "examples" / "worlds"
TINY = WorldConfig(
    users=20, items=40, events=200, categories=4, new_items=0.4, pictures=PictureConfig(size=16),
    sounds=SoundConfig(seconds=0.25),
)  # fmt: skip
MEDIA = {"item_id": pl.String, "modality": pl.String, "format": pl.String, "bytes": pl.Binary}


def tiny(pictures: dict[str, object] | None = None, sounds: dict[str, object] | None = None, seed: int = 0) -> World:
    """TINY with changes; None leaves the modality off."""
    changes = {
        "pictures": None if pictures is None else {"size": 16, **pictures},
        "sounds": None if sounds is None else {"seconds": 0.25, **sounds},
    }
    return simulate(WorldConfig.model_validate({**TINY.model_dump(), **changes}), seed)


def media_of(world: World) -> pl.DataFrame:
    media = world.media()
    assert media is not None
    return media


def files(world: World, modality: Modality) -> list[bytes]:
    return media_of(world).filter(pl.col("modality") == modality)["bytes"].to_list()


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("small", "bcca1199d462ec0db9ed4b59f6d262f6f9139e335b5b0c6cd74b193518a15a1d"),
        ("drift", "e4b405726181a6194cc0a37a88f6f1d6057a0022a2fca6b2382b3281bc25930a"),
    ],
)
def test_events_and_texts_are_those_of_before_with_and_without_media(name: str, digest: str) -> None:
    config = read_world(WORLDS / f"{name}.json")
    silent = simulate(config, 7)
    loud = simulate(config.model_copy(update={"pictures": PictureConfig(), "sounds": SoundConfig(shows=1.0)}), 7)
    for world in (silent, loud):
        events = world.events
        assert events.timestamps is not None
        numbers = np.concatenate([events.users, events.items, events.timestamps]).astype("<i8")
        assert hashlib.sha256(numbers.tobytes()).hexdigest() == digest
    assert silent.items().equals(loud.items())
    assert silent.media() is None
    assert silent.media_truth().is_empty()
    assert silent.dataset().media is None


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    one, again, other = (media_of(simulate(TINY, seed)) for seed in (3, 3, 4))
    assert dict(one.schema) == MEDIA
    assert one.equals(again)
    assert not set(one["bytes"]) & set(other["bytes"])
    # One modality does not depend on the other.
    alone = media_of(tiny(pictures={}, seed=3))
    assert alone.equals(one.filter(pl.col("modality") == IMAGE))


def test_every_item_has_its_picture_and_sound_late_ones_too() -> None:
    world = simulate(TINY, 1)
    late = np.flatnonzero(world.catalogue.arrives > 0)
    assert len(late) > 5
    for modality, form in ((IMAGE, "png"), (AUDIO, "wav")):
        rows = media_of(world).filter(pl.col("modality") == modality)
        assert rows["item_id"].to_list() == world.item_ids
        assert rows["format"].unique().to_list() == [form]
        assert rows["bytes"].n_unique() == world.config.items
    assert {Image.open(io.BytesIO(one)).size for one in files(world, IMAGE)} == {(16, 16)}
    for one in files(world, AUDIO):
        with wave.open(io.BytesIO(one)) as sound:
            assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (1, 16_000, 4_000)


def test_some_items_have_none_and_some_have_several() -> None:
    world = tiny(pictures={"share": 0.5, "each": 3}, sounds={"share": 0.0})
    counts = media_of(world).group_by("item_id", "modality").len()
    assert 8 < counts.height < 32
    assert counts["len"].unique().to_list() == [3]
    assert counts["modality"].unique().to_list() == [IMAGE]
    assert len(set(files(world, IMAGE))) == 3 * counts.height
    assert media_of(tiny(sounds={"share": 0.0})).is_empty()


def test_a_wrong_picture_is_the_very_picture_of_another_item() -> None:
    right, wrong = tiny(pictures={}), tiny(pictures={"wrong": 0.5})
    true = dict(zip(right.item_ids, files(right, IMAGE), strict=True))
    truth = wrong.media_truth()
    mixed = truth["item_id"] != truth["of"]
    assert 8 < mixed.sum() < 32
    assert files(wrong, IMAGE) == [true[one] for one in truth["of"]]


def test_files_cut_short_are_marked_and_their_pictures_refused() -> None:
    world, whole = tiny(pictures={"cut": 0.4, "wrong": 0.3}), tiny(pictures={"wrong": 0.3})
    truth = world.media_truth()
    cut = truth["cut"].to_list()
    assert 6 < sum(cut) < 28
    assert not truth.filter(pl.col("cut") & (pl.col("of") != pl.col("item_id"))).height
    for file, entire, short in zip(files(world, IMAGE), files(whole, IMAGE), cut, strict=True):
        assert entire.startswith(file)
        assert (len(file) < 0.7 * len(entire)) == short
        assert short or file == entire
    with Decoder() as decoder:
        decoded = list(decoder.decode(IMAGE, files(world, IMAGE)))
    assert [isinstance(one, Refused) for one in decoded] == cut


def test_a_written_world_and_one_in_memory_have_the_same_media(tmp_path: Path) -> None:
    world = tiny(pictures={"wrong": 0.2}, sounds={"share": 0.5})
    world.write(tmp_path / "data")
    written = pl.read_parquet(tmp_path / "data" / "media.parquet")
    assert written.equals(media_of(world))
    assert pl.read_parquet(tmp_path / "data" / "truth" / "media.parquet").equals(world.media_truth())
    held = world.dataset()
    assert held.media_rows is not None
    assert held.media_rows.equals(written)
    loaded = Dataset.load(tmp_path / "data")
    assert loaded.media is not None
    assert held.media is not None
    assert loaded.media.equals(held.media)

    world.write(tmp_path / "again")
    media = [(tmp_path / name / "media.parquet").read_bytes() for name in ("data", "again")]
    assert media[0] == media[1]


def test_a_world_without_media_writes_no_table_of_them(tmp_path: Path) -> None:
    tiny().write(tmp_path / "data")
    assert not list((tmp_path / "data").rglob("media.parquet"))


def pictures(world: World) -> list[Picture]:
    opened = [np.asarray(Image.open(io.BytesIO(one))) for one in files(world, IMAGE)]
    return [Picture(pixels, pixels.shape[1], pixels.shape[0]) for pixels in opened]


def sounds(world: World) -> list[Sound]:
    read = [np.frombuffer(one[44:], "<i2") for one in files(world, AUDIO)]
    return [Sound((samples / np.float32(32_768)).astype(np.float32), 16_000, 1) for samples in read]


def vectors(world: World, modality: Modality) -> NDArray[np.float64]:
    """(I, W) what the handcrafted descriptors say, each dimension with mean 0 and deviation 1."""
    encoded = Visual().encode(pictures(world)) if modality == IMAGE else Acoustic().encode(sounds(world))
    return standardised(encoded.vectors.astype(np.float64))


def standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9)
    return scaled


def likeness(world: World, modality: Modality) -> float:
    """Rank correlation, over pairs of items, of being alike in content and in the tastes that show in it."""
    tastes = world.item_tastes[:, world.shown(modality)]
    one, other = np.triu_indices(world.config.items, 1)
    apart = [
        np.linalg.norm(space[one] - space[other], axis=1) for space in (vectors(world, modality), standardised(tastes))
    ]
    return float(spearmanr(*apart).statistic)


def styled(follows: float, seed: int, modality: Modality) -> World:
    pictures = PictureConfig(follows=follows, size=32) if modality == IMAGE else None
    sounds = SoundConfig(follows=follows, seconds=0.5) if modality == AUDIO else None
    return simulate(WorldConfig(users=10, items=160, events=100, pictures=pictures, sounds=sounds), seed)


@pytest.mark.slow
@pytest.mark.parametrize("modality", [IMAGE, AUDIO])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_alike_in_taste_looks_and_sounds_alike_as_far_as_style_follows_it(
    modality: Modality, seed: int
) -> None:
    close, half, none = (likeness(styled(follows, seed, modality), modality) for follows in (1.0, 0.6, 0.0))
    assert close > 0.35
    assert close > half + 0.15
    assert half > none
    assert abs(none) < 0.15


def bag_of_words(world: World) -> NDArray[np.float64]:
    items = world.items()
    said = [f"{title} {about}".lower().split() for title, about in items.select("title", "description").iter_rows()]
    words = sorted({word for one in said for word in one if not word.isdigit()})
    return standardised(np.array([[word in one for word in words] for one in said], dtype=np.float64))


def separation(scores: NDArray[np.float64], taken: NDArray[np.bool_]) -> float:
    """The chance that an item that the user took scores above one that they did not (ties count half)."""
    ranks, positives = rankdata(scores), int(taken.sum())
    return float((ranks[taken].sum() - positives * (positives + 1) / 2) / (positives * (~taken).sum()))


@pytest.mark.slow
def test_in_the_demo_world_each_modality_serves_those_whose_taste_it_shows() -> None:
    """Items that nobody has been seen with, ranked by their likeness to what each user took of the others."""
    world = simulate(demo_world(), 1)
    spaces = {TEXT: bag_of_words(world), IMAGE: vectors(world, IMAGE), AUDIO: vectors(world, AUDIO)}
    taken = np.zeros((world.config.users, world.config.items), dtype=bool)
    taken[world.events.users, world.events.items] = True
    cold = np.arange(world.config.items) % 5 == 0
    able = np.flatnonzero(taken[:, cold].any(axis=1))
    main_taste = world.tastes.before.argmax(axis=1)
    found: dict[tuple[Modality, Modality], float] = {}
    for modality, space in spaces.items():
        unit = space / np.linalg.norm(space, axis=1, keepdims=True)
        scores = (taken * ~cold) @ unit @ unit.T
        for shown_in in spaces:
            users = [user for user in able if world.shown(shown_in)[main_taste[user]]]
            found[modality, shown_in] = float(
                np.mean([separation(scores[user, cold], taken[user, cold]) for user in users])
            )
    for modality in spaces:
        others = [found[modality, other] for other in spaces if other != modality]
        assert found[modality, modality] > (0.57 if modality == TEXT else 0.63), found
        assert found[modality, modality] > max(others) + 0.06, found
        assert max(others) < 0.6, found


def test_the_truth_says_which_modality_explains_an_item() -> None:
    world = simulate(demo_world(users=50, items=100, events=1_000), 2)
    moment = world.moment_ms(1)
    shown = {modality: world.shown(modality) for modality in (TEXT, IMAGE, AUDIO)}
    assert np.sum(list(shown.values()), axis=0).tolist() == [1] * 6
    parts = []
    for user in range(50):
        best = int(world.oracle(user, moment, 1)[0])
        behind = world.behind(user, best, moment)
        assert behind.sum() == pytest.approx(1)
        parts.append([behind[tastes].sum() for tastes in shown.values()])
    # For most users one modality alone explains the best item, and each of the three does for some.
    alone = np.array(parts) > 0.9
    assert alone.any(axis=1).mean() > 0.7
    assert (alone.sum(axis=0) >= 5).all()
    assert not simulate(TINY.model_copy(update={"pictures": None}), 0).shown(IMAGE).any()


def test_texts_tell_only_of_the_tastes_that_they_show() -> None:
    world = simulate(demo_world(users=50, items=200, events=1_000), 2)
    hidden = ~world.shown(TEXT)
    of_category = [world.item_tastes[world.catalogue.category == one].mean(axis=0) for one in range(8)]
    assert np.abs(np.array(of_category)[:, hidden]).mean() < 0.25
    assert np.abs(np.array(of_category)[:, ~hidden]).mean() > 0.5
    assert set(world.catalogue.main_taste) == set(np.flatnonzero(~hidden))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"pictures": {"wrong": 0.6, "cut": 0.6}}, "must not exceed 1 together"),
        ({"pictures": {"sise": 64}}, "unknown key 'pictures.sise'"),
        ({"sounds": {"seconds": 100}}, "sounds.seconds: Input should be less"),
        ({"sounds": {"follows": 1.5}}, "sounds.follows: Input should be less"),
        ({"text_shows": 0}, "text_shows: Input should be greater"),
    ],
)
def test_a_mistake_is_named(said: dict[str, object], message: str, tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text(json.dumps(said))
    with pytest.raises(ConfigError, match=r"world\.json") as caught:
        read_world(tmp_path / "world.json")
    assert message in str(caught.value)


def test_every_field_is_described() -> None:
    for config in (PictureConfig, SoundConfig):
        assert all(field.description for field in config.model_fields.values())


def test_the_demo_world_is_the_one_in_the_examples() -> None:
    assert read_world(WORLDS / "senses.json") == demo_world()


def test_the_command_writes_media_and_says_how_many(tmp_path: Path) -> None:
    config = {**TINY.model_dump(mode="json"), "pictures": {"size": 16, "share": 0.8, "wrong": 0.3, "cut": 0.2}}
    (tmp_path / "world.json").write_text(json.dumps(config))
    arguments = ["simulate", str(tmp_path / "world.json"), "--out", str(tmp_path / "data"), "--overwrite"]
    ran = CliRunner().invoke(main, [*arguments, "--json"])
    assert ran.exit_code == 0, ran.stderr
    media = json.loads(ran.stdout)["media"]
    rows = pl.read_parquet(tmp_path / "data" / "media.parquet")
    for modality in (IMAGE, AUDIO):
        assert media[modality]["items"] == rows.filter(pl.col("modality") == modality).height
    assert media[IMAGE]["wrong"] > 0
    assert media[IMAGE]["cut short"] > 0
    assert media[AUDIO] == {"items": 40, "wrong": 0, "cut short": 0}
    said = CliRunner().invoke(main, arguments).stdout
    assert f"image: {media[IMAGE]['items']} items, {media[IMAGE]['wrong']} wrong" in said
    assert "audio: 40 items\n" in said
