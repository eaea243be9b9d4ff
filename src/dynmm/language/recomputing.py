"""Layers that are computed again in the backward pass, so that training through a frozen model needs little memory."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from dynmm.errors import ModelError


def recompute_layers(library: nn.Module) -> None:
    """Let each layer of the transformers library keep only its input where gradients flow.

    The library's own switch works in training mode alone, which would also switch dropout on. Raises ModelError
    where the model has no such layers.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [part for part in library.modules() if isinstance(part, GradientCheckpointingLayer)]
    if not layers:
        raise ModelError(f"{type(library).__name__} has no layers that can be computed again; switch checkpointing off")
    for layer in layers:
        layer.forward = functools.partial(_computed_again, layer.forward)


def _computed_again(forward: Callable[..., Any], *inputs: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*inputs, **named)
    # Nothing random happens in a frozen layer, so the generators' states need not be kept.
    return checkpoint(forward, *inputs, use_reentrant=False, preserve_rng_state=False, **named)
