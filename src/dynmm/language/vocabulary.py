"""A tokenizer made from a catalogue's own texts: byte pairs (Sennrich et al. 2016), so that no letter is unknown."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynmm.errors import MissingExtraError
from dynmm.storage import named_disk_errors

PADDING, BEGINNING, ENDING = "<|pad|>", "<|begin|>", "<|end|>"
SPECIAL = (PADDING, BEGINNING, ENDING)
#: Their token ids, as they stand first.
PADDING_ID, BEGINNING_ID, ENDING_ID = range(3)
#: A pair of tokens becomes one only if it is met so often: a small corpus gets a small vocabulary.
_MET = 4
_LONGEST_TOKEN = 24
#: Read to find pairs; a part of a large corpus, spread over it, has the same ones.
_LETTERS = 6_000_000


def train_tokenizer(texts: Sequence[str], most: int) -> Any:
    """A tokenizer of the tokenizers library. most: tokens, with 256 bytes and the special ones among them.

    The same texts give the same tokenizer. Raises MissingExtraError without the library.
    """
    library = _tokenizers()
    tokenizer = library.Tokenizer(library.models.BPE())
    # Digits one by one: sizes and years share what is learnt of them.
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence(
        [
            library.pre_tokenizers.Digits(individual_digits=True),
            library.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=most,
        min_frequency=_MET,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=_LONGEST_TOKEN,
        show_progress=False,
    )
    every = math.ceil(sum(map(len, texts)) / _LETTERS) or 1
    tokenizer.train_from_iterator((_sound(text) for text in texts[::every]), trainer)
    return tokenizer


def encode_texts(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The tokens of each text. A special token's name in a text is read as the letters that it is."""
    tokenizer.encode_special_tokens = True
    read = tokenizer.encode_batch_fast([_sound(text) for text in texts], add_special_tokens=False)
    return [one.ids for one in read]


def save_tokenizer(tokenizer: Any, folder: Path, context: int) -> None:
    """Write it as `AutoTokenizer` reads it. context: tokens that its model reads at once. Raises StorageError."""
    transformers = importlib.import_module("transformers")
    names = {"pad_token": PADDING, "bos_token": BEGINNING, "eos_token": ENDING}
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=context, **names)
    with named_disk_errors(folder):
        wrapped.save_pretrained(folder)


def _sound(text: str) -> str:
    """Half a surrogate pair is no text, and the library refuses it."""
    return text.encode("utf-8", "replace").decode()


def _tokenizers() -> Any:
    try:
        return importlib.import_module("tokenizers")
    except ImportError as error:
        raise MissingExtraError("a compact language model needs tokenizers: pip install 'dynmm[llm]'") from error
