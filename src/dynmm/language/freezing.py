"""What keeps a language model frozen, and what proves that it is."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import nn

from dynmm.errors import ModelError


def parameter_sha256(module: nn.Module) -> str:
    """The hex sha256 over every parameter, by name: its name, its shape and its values as float32.

    Tied parameters count once. Widening to float32 is exact, so that a model saved in half precision and opened in
    float32 keeps its hash; narrowing is not, and changes it.
    """
    digest = hashlib.sha256()
    for name, parameter in sorted(module.named_parameters()):
        values = parameter.detach().to("cpu", torch.float32).contiguous().numpy()
        digest.update(f"{name}\0{tuple(parameter.shape)}\0".encode())
        digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def freeze(module: nn.Module) -> None:
    """No parameter asks for a gradient any more, and nothing drops."""
    module.requires_grad_(False)
    module.eval()


def check_frozen(module: nn.Module, sha256: str) -> None:
    """Raise ModelError unless the parameters are those of the hash and nothing could have trained them."""
    open_ones = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    if open_ones:
        raise ModelError(f"the parameter {open_ones[0]} of a frozen model asks for gradients; open the model again")
    dropping = [name for name, part in module.named_modules() if part.training]
    if dropping:
        raise ModelError(f"the part {dropping[0] or 'itself'} of a frozen model is in training mode; open it again")
    if (found := parameter_sha256(module)) != sha256:
        raise ModelError(
            f"the parameters of a frozen model have changed: their sha256 is {found}, not {sha256}; open it again"
        )
