"""A look at how an opened model reads, since architectures differ in what of a mask or a past they heed."""

from __future__ import annotations

import torch
from torch import Tensor

from dynmm.errors import ModelError
from dynmm.language.causal import CausalModel
from dynmm.language.encoder import EncoderModel
from dynmm.language.past import Past
from dynmm.memory import OutOfMemory

_TOKENS = 4
#: Candidates that are read in both orders: by a causal model, and at least by an encoder, which is small.
_CANDIDATES, _OF_ENCODERS = 8, 64
#: What configurations call the number of tokens back that a layer looks at.
_WINDOWS = ("sliding_window", "window_size", "attention_window", "local_attention", "attention_chunk_size")
#: Of the states' size. What the products' precision leaves, and far less than a mask or a past not heeded.
_NEAR = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}


@torch.no_grad()
def check_reading(model: CausalModel | EncoderModel) -> None:
    """Raise ModelError unless what a token may not look at has no influence, and a past is gone on from.

    Candidates must be read the same in any order, since `branch` promises that.

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
            _check_window(model, vectors)
        _check_order(model)
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


def _check_order(model: CausalModel | EncoderModel) -> None:
    """Candidates behind a head, each of which sees the head and itself at the same place: their order means nothing."""
    encoder, head = isinstance(model, EncoderModel), 2
    count = max(_OF_ENCODERS, _window(model) + 1) if encoder else _CANDIDATES
    count = max(2, min(count, model.context - head))
    vectors = model.embed(torch.arange(head + count, device=model.device)[None] % _vocabulary(model))
    visible = torch.eye(head + count, dtype=torch.bool, device=model.device)
    visible[1:, 0] = visible[head:, 1] = True
    places = torch.arange(head + count, device=model.device).clamp(max=head)[None]
    read, _ = model.run(vectors, visible[None], places)
    turned = torch.cat([vectors[:, :head], vectors[:, head:].flip(1)], 1)
    other, _ = model.run(turned, visible[None], places)
    _check_same(model, read[:, head:], other[:, head:].flip(1))


def _check_window(model: CausalModel, vectors: Tensor) -> None:
    """A candidate right behind the head, and further from it than the window that the configuration names.

    What lies between is a past that nobody sees: reading so many tokens would take long.
    """
    gap = _window(model)
    if not 0 < gap < model.context - 1:
        return
    visible = torch.ones(1, 1, 2 + gap, dtype=torch.bool, device=model.device)
    places = torch.arange(2, device=model.device)[None]
    _, past = model.run(vectors[:, :1], visible[..., :1], places[:, :1], keep=True)
    assert past is not None, "it was to be kept"
    near, _ = model.run(vectors[:, 1:2], visible[..., :2], places[:, 1:], past)
    visible[..., 1:-1] = False
    between = Past(tuple((k.expand(-1, -1, 1 + gap, -1), v.expand(-1, -1, 1 + gap, -1)) for k, v in past.layers))
    far, _ = model.run(vectors[:, 1:2], visible, places[:, 1:], between)
    _check_same(model, near, far)


def _check_same(model: CausalModel | EncoderModel, one: Tensor, other: Tensor) -> None:
    near = _NEAR[model.precision] * float(one.abs().max())
    fault = "reads a candidate otherwise where others stand before it, whatever its place"
    _refuse_unless(float((one - other).abs().max()) <= near, type(model.library).__name__, fault)


def _window(model: CausalModel | EncoderModel) -> int:
    """Of the layers that look at the nearest tokens alone; 0 for none."""
    named = (getattr(model.library.config, name, None) for name in _WINDOWS)
    return max((one for one in named if isinstance(one, int)), default=0)


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
