"""Tiny language models with random weights and real tokenizers, saved as pretrained models are."""

from __future__ import annotations

import functools
import importlib
import re
import tempfile
from pathlib import Path
from typing import Any

import torch

from dynmm.language.causal import CausalModel
from dynmm.language.encoder import EncoderModel
from dynmm.language.loading import open_model

WIDTH, CONTEXT = 32, 256
CAUSAL = ("llama", "opt", "qwen2", "gpt2")
KINDS = (*CAUSAL, "bert", "roberta")
_TEXTS = (
    "Toy Story (1995). Animation, Children's, Comedy. A shampoo for dry hair, 12 oz. The user watched these films.",
    "Organic lavender soap by Acme, for the face and the hands. Recommended because it was bought together 3 times.",
    "The quick brown fox jumps over the lazy dog; 0123456789 !?#$%&()*+-/<=>@[]_{|}~ .,;:'\" and a vampire, a robot.",
)


def tiny_folder(kind: str, folder: Path, *, seed: int = 0, dtype: torch.dtype = torch.float32, **sizes: Any) -> Path:
    """Save a tiny model with its tokenizer. kind: one of `KINDS`. sizes: of its configuration, over the defaults."""
    transformers: Any = importlib.import_module("transformers")
    tokenizer = save_tokenizer(kind, folder)
    config = _config(transformers, kind, len(tokenizer), sizes)
    classes = {"gpt2": "GPT2LMHeadModel", "bert": "BertModel", "roberta": "RobertaModel"}
    names = {"llama": "LlamaForCausalLM", "opt": "OPTForCausalLM", "qwen2": "Qwen2ForCausalLM"} | classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, names[kind])(config)
        for parameter in model.parameters():  # wide apart, so that what one token does to another shows
            if parameter.dim() > 1:
                parameter.data.normal_(0, 0.2)
    model.to(dtype).save_pretrained(folder)
    return folder


@functools.cache
def tiny_model(
    kind: str = "llama", precision: Any = "float32", checkpointing: bool = False
) -> CausalModel | EncoderModel:
    """The same, opened; made once for all tests of a process."""
    with tempfile.TemporaryDirectory() as folder:
        saved = tiny_folder(kind, Path(folder))
        return open_model(saved, precision=precision, checkpointing=checkpointing)


def save_tokenizer(kind: str, folder: Path) -> Any:
    """A tokenizer as models of this kind have: byte pairs for causal models, word pieces for BERT."""
    tokenizers: Any = importlib.import_module("tokenizers")
    transformers: Any = importlib.import_module("transformers")
    inner, names = _word_pieces(tokenizers) if kind == "bert" else _byte_pairs(tokenizers)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=CONTEXT, **names)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _byte_pairs(tokenizers: Any) -> tuple[Any, dict[str, str]]:
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=340, special_tokens=list(names.values()), initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(_TEXTS, trainer)
    return inner, names


def _word_pieces(tokenizers: Any) -> tuple[Any, dict[str, str]]:
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    names["mask_token"] = "[MASK]"
    words = sorted({word for text in _TEXTS for word in re.findall(r"[a-z]+", text.lower()) if len(word) > 1})
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    pieces = [*names.values(), *letters, *(f"##{letter}" for letter in letters), *words]
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({piece: place for place, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    inner.normalizer = tokenizers.normalizers.BertNormalizer()
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    inner.decoder = tokenizers.decoders.WordPiece()
    return inner, names


def _config(transformers: Any, kind: str, vocabulary: int, sizes: dict[str, Any]) -> Any:
    common: dict[str, Any] = {"vocab_size": vocabulary, "hidden_size": WIDTH, "num_hidden_layers": 2}
    common |= {"num_attention_heads": 4, "max_position_embeddings": CONTEXT}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if kind == "llama":
        return transformers.LlamaConfig(**common | ends | {"intermediate_size": 64, "num_key_value_heads": 2} | sizes)
    if kind == "qwen2":
        return transformers.Qwen2Config(**common | ends | {"intermediate_size": 64, "num_key_value_heads": 2} | sizes)
    if kind == "opt":
        return transformers.OPTConfig(**common | ends | {"ffn_dim": 64, "word_embed_proj_dim": WIDTH} | sizes)
    if kind == "gpt2":
        shape = {"n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT, "vocab_size": vocabulary}
        return transformers.GPT2Config(**shape | {"bos_token_id": 1, "eos_token_id": 2} | sizes)
    if kind == "roberta":
        longer = {"max_position_embeddings": CONTEXT + 2, "pad_token_id": 1, "intermediate_size": 64}
        return transformers.RobertaConfig(**common | longer | sizes)
    return transformers.BertConfig(**common | {"intermediate_size": 64, "pad_token_id": 0} | sizes)
