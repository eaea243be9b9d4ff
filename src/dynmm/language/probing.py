"""A look at how an opened model reads, since architectures differ in what of a mask or a past they heed."""

from __future__ import annotations

import torch
from torch import Tensor

from dynmm.errors import ModelError
from dynmm.language.causal import CausalModel
from dynmm.language.encoder import EncoderModel
from dynmm.memory import OutOfMemory

_TOKENS = 4
#: Of the states' size. What the products' precision leaves, and far less than a mask or a past not heeded.
_NEAR = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}


@torch.no_grad()
def check_reading(model: CausalModel | EncoderModel) -> None:
    """Raise ModelError unless what a token may not look at has no influence, and a past is gone on from.

    Finds out too whether the words are a plain product with the last states.
    """
    name = type(model.library).__name__
    vectors = model.embed(torch.arange(_TOKENS, device=model.device)[None] % _vocabulary(model))
    visible = torch.ones(1, _TOKENS, _TOKENS, dtype=torch.bool, device=model.device).tril()
    visible[0, 3, 1] = False
    places = torch.arange(_TOKENS, device=model.device)[None]
    try:
        read, _ = model.run(vectors, visible, places)
        hidden = vectors.clone()
        hidden[0, 1] = -hidden[0, 1] + 1
        other, _ = model.run(hidden, visible, places)
        # The third token saw the second, and the fourth the third, only as far as layers pass it on.
        _refuse_unless(torch.equal(read[0, 0], other[0, 0]), name, "lets tokens look at what is hidden from them")
        if read.shape[-1] != model.width:
            raise ModelError(f"{name} reads vectors of {model.width} numbers and gives {read.shape[-1]}; use another")
        if isinstance(model, CausalModel):
            _check_past(model, vectors, visible, places, read)
            model.plain_head = _has_plain_head(model, vectors, read)
    except OutOfMemory:
        raise
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise ModelError(f"{name} cannot be read through vectors with a mask of one's own: {error}") from error


def _check_past(model: CausalModel, vectors: Tensor, visible: Tensor, places: Tensor, whole: Tensor) -> None:
    _, past = model.run(vectors[:, :2], visible[:, :2, :2], places[:, :2], keep=True)
    rest, _ = model.run(vectors[:, 2:], visible[:, 2:], places[:, 2:], past)
    near = _NEAR[model.precision] * float(whole.abs().max())
    far = float((rest - whole[:, 2:]).abs().max())
    _refuse_unless(far <= near, type(model.library).__name__, "does not go on from what it has read")


def _has_plain_head(model: CausalModel, vectors: Tensor, read: Tensor) -> bool:
    head = model.library.get_output_embeddings()
    if head is None:
        return False
    words = model.library(inputs_embeds=vectors, attention_mask=torch.ones_like(vectors[..., 0]).long()).logits.float()
    ours = head(read.to(model.precision)).float()
    return bool((words[0, :3] - ours[0, :3]).abs().max() <= _NEAR[model.precision] * words.abs().max())


def _vocabulary(model: CausalModel | EncoderModel) -> int:
    return int(model.library.get_input_embeddings().weight.shape[0])


def _refuse_unless(sound: bool, name: str, fault: str) -> None:
    if not sound:
        raise ModelError(f"{name} {fault}; use a model of another architecture, such as Llama, OPT or Qwen2")
