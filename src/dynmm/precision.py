"""In which precision products are made, and how that is switched on."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def product_precision(wanted: Precision, device: torch.device) -> torch.dtype:
    """bfloat16 where it is wanted, or where the device multiplies in it; else float32."""
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return torch.bfloat16 if able else torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """bfloat16 products where that is the precision, else plain float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == torch.bfloat16)
