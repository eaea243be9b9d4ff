"""Words for pictures without training: which of two descriptions does CLIP find closer to the picture?

Radford et al., Learning Transferable Visual Models From Natural Language Supervision (2021), section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dynmm.errors import ConfigError

#: What every word is weighed against.
NEUTRAL = "a picture"

#: "is ..." is asked as "a picture that is ...", "of ..." as "a picture of ...". The word's name is the rest.
DEFAULT_WORDS: tuple[str, ...] = (
    *("is dark", "is bright", "is colourful", "is black and white", "is red", "is orange", "is yellow", "is green"),
    *("is blue", "is purple", "is pink", "is brown", "is plain", "is full of detail", "is drawn", "is animated"),
    *("is a photograph", "is old", "is modern", "is romantic", "is frightening", "is funny"),
    *("of a person", "of a man", "of a woman", "of a child", "of a couple", "of a crowd", "of a face"),
    *("of an animal", "of a car", "of a building", "of a city", "of nature", "of the sea", "of the sky", "of space"),
    *("of fire", "of a weapon", "of food", "of clothes", "of a machine", "of large letters"),
)


def prompts(words: Sequence[str]) -> dict[str, str]:
    """The name of each word and what is asked. Raises ConfigError for words without a name, or with the same one."""
    asked: dict[str, str] = {}
    for word in words:
        how, _, rest = word.strip().partition(" ")
        name = rest.strip() if how in ("is", "of") else word.strip()
        if not name:
            raise ConfigError(f"{word!r} is no word to look for in pictures: write 'dark', 'is dark' or 'of a car'")
        if name in asked:
            raise ConfigError(f"the word {name!r} is listed twice")
        asked[name] = f"a picture that is {name}" if how == "is" else f"a picture of {name}"
    return asked


def read_words(path: Path) -> tuple[str, ...]:
    """One word or phrase a line; empty lines are passed over. Raises ConfigError where there is nothing to read."""
    try:
        lines = path.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"encoders.words: {path} is no readable text file ({error}); write one word or phrase a line, in UTF-8"
        ) from error
    words = tuple(line.strip() for line in lines if line.strip())
    if not words:
        raise ConfigError(f"encoders.words: {path} has no words; write one a line, or set [] to look for none")
    return words


class ZeroShot:
    """The probability of each of A words for pictures, by CLIP's own text side.

    model: a CLIPModel. tokenizer: its own. Raises ConfigError where the tokenizer cannot tell words apart.
    """

    def __init__(self, model: Any, tokenizer: Any, words: Sequence[str]) -> None:
        asked = prompts(words)
        self.names = tuple(asked)
        texts = [NEUTRAL, *asked.values()]
        longest = model.config.text_config.max_position_embeddings
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=longest, return_tensors="pt")
        rows = [tuple(row) for row in tokens["input_ids"].tolist()]
        for name, row in zip(self.names, rows[1:], strict=True):
            if row == rows[0]:
                raise ConfigError(
                    f"the tokenizer beside the model {model.config.name_or_path} reads the word {name!r} as nothing"
                )
        self._directions = _directions(model, tokens)

    def probabilities(self, pictures: torch.Tensor) -> torch.Tensor:
        """pictures: (B, D) of length one. Returns (B, A): softmax over a word's description and the neutral one."""
        return torch.sigmoid(pictures @ self._directions.T)


@torch.inference_mode()
def _directions(model: Any, tokens: Any) -> torch.Tensor:
    """(A, D): scaled difference of each description to the neutral one, since a softmax over two is a sigmoid."""
    device = model.logit_scale.device
    read = model.text_model(
        input_ids=tokens["input_ids"].to(device), attention_mask=tokens["attention_mask"].to(device)
    )
    described = torch.nn.functional.normalize(model.text_projection(read.pooler_output), dim=-1)
    directions: torch.Tensor = model.logit_scale.exp() * (described[1:] - described[:1])
    return directions
