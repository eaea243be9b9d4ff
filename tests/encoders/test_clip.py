from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.catalogue.files import picture_file, scene
from tests.encoders.made import noise_picture, picture, plain
from tests.encoders.tiny_models import CLIP_WIDTH, SIDE, change_json, save_clip, save_wav2vec2

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import Picture
from dynmm.encoders.clip import LONGEST, Clip
from dynmm.encoders.encoder import Encoder
from dynmm.encoders.running import encode_catalogue
from dynmm.encoders.settings import EncoderSettings
from dynmm.encoders.zeroshot import DEFAULT_WORDS
from dynmm.errors import ConfigError
from dynmm.testing.state import state_hash

pytest.importorskip("transformers")
#: The library alone takes seconds to import.
pytestmark = pytest.mark.slow
_MEAN, _DEVIATION = np.array([0.481, 0.457, 0.408]), np.array([0.268, 0.261, 0.275])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    saved = save_clip(tmp_path_factory.mktemp("clip"))
    change_json(saved / "preprocessor_config.json", image_mean=_MEAN.tolist(), image_std=_DEVIATION.tolist())
    return saved


@pytest.fixture(scope="module")
def clip(folder: Path) -> Clip:
    return Clip(folder, precision="float32", words=("is dark", "of a car"))


def _pictures() -> list[Picture]:
    return [noise_picture(seed, (40 + 9 * seed, 60)) for seed in range(5)]


def test_it_is_an_encoder_with_the_promised_shapes(clip: Clip) -> None:
    assert isinstance(clip, Encoder)
    encoded = clip.encode(_pictures())
    assert encoded.attributes is not None
    assert encoded.vectors.shape == (5, CLIP_WIDTH) == (5, clip.width)
    assert encoded.attributes.shape == (5, 2)
    assert encoded.vectors.dtype == encoded.attributes.dtype == np.float32
    assert np.allclose(np.linalg.norm(encoded.vectors, axis=1), 1, atol=1e-5)
    assert ((encoded.attributes >= 0) & (encoded.attributes <= 1)).all()
    assert clip.attribute_names == ("dark", "a car")


def test_a_row_depends_on_its_own_picture_alone(clip: Clip) -> None:
    pictures = [noise_picture(seed) for seed in range(35)]
    sizes: list[int] = []
    seeing = clip._model.vision_model.register_forward_hook(lambda *made: sizes.append(len(made[2].pooler_output)))
    together = clip.encode(pictures).vectors
    seeing.remove()
    assert sizes == [35], "encoders.image_batch says how many go together"
    alone = np.concatenate([clip.encode([one]).vectors for one in pictures])
    assert np.allclose(together, alone, atol=1e-5)


def test_the_same_as_the_library_gives(clip: Clip, folder: Path) -> None:
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder)
    pixels = torch.from_numpy(clip.prepared(_pictures()))
    with torch.inference_mode():
        expected = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(clip.encode(_pictures()).vectors, expected, atol=1e-5)


def test_a_plain_picture_is_normalised_as_the_folder_says(clip: Clip) -> None:
    prepared = clip.prepared([plain(255, 0, 51)])
    assert prepared.shape == (1, 3, SIDE, SIDE)
    by_hand = (np.array([1, 0, 0.2]) - _MEAN) / _DEVIATION
    assert np.allclose(prepared[0].mean(axis=(1, 2)), by_hand, atol=1e-5)
    assert np.allclose(prepared[0].std(axis=(1, 2)), 0, atol=1e-5)


def test_the_shortest_side_is_scaled_and_the_middle_kept(clip: Clip) -> None:
    """96 x 64 pixels become 48 x 32 by bicubic interpolation, of which the rows 8 to 40 are kept."""
    shown = noise_picture(7, (96, 64))
    scaled = Image.fromarray(shown.pixels).resize((32, 48), Image.Resampling.BICUBIC)
    by_hand = (np.asarray(scaled)[8:40] / 255 - _MEAN) / _DEVIATION
    assert np.allclose(clip.prepared([shown])[0], by_hand.transpose(2, 0, 1), atol=1e-4)


def test_a_picture_of_the_right_size_stays_as_it_is(clip: Clip) -> None:
    shown = noise_picture(8, (SIDE, SIDE))
    by_hand = (shown.pixels / 255 - _MEAN) / _DEVIATION
    assert np.allclose(clip.prepared([shown])[0], by_hand.transpose(2, 0, 1), atol=1e-4)


def test_strips_and_specks(clip: Clip) -> None:
    """A strip shows its middle; sizes that could be taken for colour channels are not."""
    strip = np.zeros((2, 9000, 3), dtype=np.int64)
    strip[:, 4500 - LONGEST : 4500 + LONGEST] = 255
    prepared = clip.prepared([picture(strip), plain(0, 0, 0, (1, 1)), plain(9, 9, 9, (3, 5))])
    assert prepared.shape == (3, 3, SIDE, SIDE)
    assert np.allclose(prepared[0].mean(axis=(1, 2)), (1 - _MEAN) / _DEVIATION, atol=1e-4)


def test_encoding_changes_no_weight_and_needs_no_gradient(clip: Clip) -> None:
    parameters = list(clip._model.parameters())
    before = state_hash(parameters)
    clip.encode(_pictures())
    assert state_hash(parameters) == before
    assert not any(parameter.requires_grad for parameter in parameters)
    assert not clip._model.training


def test_bfloat16_stays_close(clip: Clip, folder: Path) -> None:
    low = Clip(folder, precision="bfloat16", words=())
    vectors = low.encode(_pictures()).vectors
    assert vectors.dtype == np.float32
    assert ((vectors * clip.encode(_pictures()).vectors).sum(axis=1) > 0.999).all()
    assert low.identity == Clip(folder, precision="float32", words=()).identity, "new items may be encoded elsewhere"


def test_the_cache_keeps_precisions_apart(folder: Path, tmp_path: Path) -> None:
    """One identity, and who asks for a precision gets that one all the same."""
    row = {"item_id": "a", "modality": "image", "format": "png", "bytes": picture_file(pixels=scene(seed=1))}
    catalogue = Catalogue.from_frames([{"item_id": "a"}], [row])
    made = []
    for precision in ("float32", "bfloat16"):
        chosen = {"text": "off", "image": f"clip:{folder}", "audio": "off", "precision": precision}
        made += encode_catalogue(catalogue, EncoderSettings.model_validate(chosen), cache=tmp_path)
    assert made[0].identity == made[1].identity
    assert (made[0].vectors != made[1].vectors).any()


def test_the_identity_follows_weights_words_and_settings(folder: Path, clip: Clip, tmp_path: Path) -> None:
    words = ("is dark", "of a car")
    assert Clip(folder, precision="float32", words=words).identity == clip.identity
    assert Clip(folder, precision="float32", words=("is dark",)).identity != clip.identity
    same = save_clip(tmp_path / "same")
    first = Clip(same, precision="float32", words=words).identity
    change_json(same / "preprocessor_config.json", image_mean=[0.5, 0.5, 0.5])
    assert Clip(same, precision="float32", words=words).identity != first


def test_words_by_default_and_none_on_demand(folder: Path) -> None:
    assert len(Clip(folder).attribute_names) == len(DEFAULT_WORDS)
    silent = Clip(folder, words=())
    assert silent.attribute_names == ()
    assert silent.encode(_pictures()).attributes is None


def test_the_image_side_alone_has_no_words(tmp_path: Path) -> None:
    alone = Clip(save_clip(tmp_path, image_side_alone=True))
    assert alone.attribute_names == ()
    assert alone.encode(_pictures()).vectors.shape == (5, CLIP_WIDTH)
    with pytest.raises(ConfigError, match="image side alone"):
        Clip(tmp_path, words=("is dark",))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing-here"):
        Clip(tmp_path / "nothing-here")


def test_the_folder_of_another_model_is_named(tmp_path: Path) -> None:
    save_wav2vec2(tmp_path / "sounds")
    with pytest.raises(ConfigError, match=r"sounds holds a model of the kind 'wav2vec2', not CLIP"):
        Clip(tmp_path / "sounds")


def test_missing_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tokenizer"):
        Clip(save_clip(tmp_path / "mute", words=False))
    blind = save_clip(tmp_path / "blind")
    (blind / "preprocessor_config.json").unlink()
    with pytest.raises(ConfigError, match=r"preprocessor_config\.json"):
        Clip(blind, words=())
    broken = save_clip(tmp_path / "broken")
    (broken / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="broken is not a model"):
        Clip(broken)


def test_weights_of_another_shape_or_name_are_refused(tmp_path: Path) -> None:
    """The library would go on with random weights in their place."""
    from safetensors.torch import load_file, save_file

    saved = save_clip(tmp_path)
    tensors = load_file(saved / "model.safetensors")
    projection = tensors.pop("visual_projection.weight")
    save_file(tensors, saved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"lacks 1 weights.*visual_projection"):
        Clip(saved)
    save_file(
        {**tensors, "visual_projection.weight": projection[:5].clone()},
        saved / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(ConfigError, match="has no weights for CLIPModel"):
        Clip(saved)


def test_loading_says_nothing_and_leaves_the_library_as_it_was(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    capfd.readouterr()
    Clip(folder)
    written = capfd.readouterr()
    assert written.out + written.err == ""
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
