"""Mixed precision: in which number format the train loop computes.

`fp32` everywhere; `bf16` on a GPU or a CPU that has it, `fp16` on a GPU; weights and optimizer stay
in fp32. `auto` is bf16 where the device has it and fp32 elsewhere. The short exponent of fp16 loses
small gradients, so its loss is scaled up and the step scaled back.
"""

from typing import Literal

import torch
from torch import nn

from pigeon_recsys.errors import SettingsError

Precision = Literal["fp32", "bf16", "fp16", "auto"]

REDUCED = {"bf16": torch.bfloat16, "fp16": torch.float16}


class MixedPrecision:
    """One precision on one device."""

    def __init__(self, precision: Precision, device: torch.device) -> None:
        if precision == "auto":
            precision = "bf16" if has_bf16(device) else "fp32"
        check_precision(precision, device)
        self._device = device.type
        self._dtype = REDUCED.get(precision)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def autocast(self) -> torch.autocast:
        """Return the context in which losses are computed."""
        return torch.autocast(self._device, self._dtype, enabled=self._dtype is not None)


def has_bf16(device: torch.device) -> bool:
    """Say whether the device has instructions for bf16; emulating them is slow."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


def check_precision(precision: Precision, device: torch.device) -> None:
    """Raise `SettingsError` when the device does not compute in this precision."""
    if precision == "bf16" and not has_bf16(device):
        raise SettingsError(
            f"precision bf16 is unknown to this {device.type} device. Set precision: auto, which "
            "takes it where it is known and fp32 elsewhere."
        )
    if precision == "fp16" and device.type != "cuda":
        raise SettingsError(
            f"precision fp16 needs a CUDA device, and this training runs on the {device.type}. "
            "Set precision: auto."
        )


def device_of(module: nn.Module) -> torch.device:
    """Return the device that holds the module's weights."""
    return next(module.parameters()).device
