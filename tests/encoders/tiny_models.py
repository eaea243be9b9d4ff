"""CLIP and Wav2Vec2 as the library's own classes, tiny, with random weights, saved as pretrained models are."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import torch

#: Of the tiny CLIP: pixels along a side, and the length of its vectors.
SIDE, CLIP_WIDTH = 32, 12
WAV2VEC2_WIDTH = 16
SENTENCE_WIDTH = 16


def save_clip(folder: Path, *, words: bool = True, image_side_alone: bool = False) -> Path:
    """A CLIPModel with its processor and, with `words`, its tokenizer; or a CLIPVisionModelWithProjection."""
    transformers: Any = importlib.import_module("transformers")
    processing: Any = importlib.import_module("transformers.models.clip.image_processing_pil_clip")
    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2, "projection_dim": CLIP_WIDTH}
    vision = {**sizes, "image_size": SIDE, "patch_size": 8}
    letters = _letters()
    ends = {"bos_token_id": len(letters), "eos_token_id": len(letters) + 1, "pad_token_id": len(letters) + 1}
    text = {**sizes, **ends, "vocab_size": len(letters) + 2, "max_position_embeddings": 77}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        if image_side_alone:
            model = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**vision))
        else:
            config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=CLIP_WIDTH)
            model = transformers.CLIPModel(config)
    model.save_pretrained(folder)
    edges = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    processing.CLIPImageProcessorPil(**edges).save_pretrained(folder)
    if words and not image_side_alone:
        start, end = "<|startoftext|>", "<|endoftext|>"
        vocabulary = {token: place for place, token in enumerate([*letters, start, end])}
        transformers.CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    return folder


def _letters() -> list[str]:
    """Every letter, within a word and at its end, as CLIP's byte pair encoding begins."""
    letters = [chr(place) for place in range(ord("a"), ord("z") + 1)]
    return [*letters, *(f"{letter}</w>" for letter in letters)]


def save_wav2vec2(folder: Path, *, norm: str = "group", head: bool = False, normalise: bool = True) -> Path:
    """A Wav2Vec2Model, or with `head` a Wav2Vec2ForCTC. norm: ``group`` as Base, ``layer`` as Large."""
    transformers: Any = importlib.import_module("transformers")
    config = transformers.Wav2Vec2Config(
        hidden_size=WAV2VEC2_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8,) * 7,
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = transformers.Wav2Vec2ForCTC(config) if head else transformers.Wav2Vec2Model(config)
    model.save_pretrained(folder)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise, return_attention_mask=norm == "layer")
    extractor.save_pretrained(folder)
    return folder


def save_sentences(folder: Path, vocabulary: Path) -> Path:
    """A BertModel with a tokenizer and without a list of parts, as a plain transformer. vocabulary: of MiniLM."""
    transformers: Any = importlib.import_module("transformers")
    sizes = {"hidden_size": SENTENCE_WIDTH, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokenizer = transformers.AutoTokenizer.from_pretrained(vocabulary, local_files_only=True)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = transformers.BertModel(transformers.BertConfig(vocab_size=len(tokenizer), **sizes))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def change_json(file: Path, **values: Any) -> None:
    """Put other values into a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
