"""Mixed precision: in which number format the train loop computes.

`fp32` everywhere; `bf16` and `fp16` on a GPU, weights and optimizer staying in fp32. The short
exponent of fp16 loses small gradients, so its loss is scaled up and the step scaled back.
"""

from typing import Literal

import torch
from torch import nn

from pigeon_recsys.errors import SettingsError

Precision = Literal["fp32", "bf16", "fp16"]

REDUCED = {"bf16": torch.bfloat16, "fp16": torch.float16}


class MixedPrecision:
    """One precision on one device."""

    def __init__(self, precision: Precision, device: torch.device) -> None:
        check_precision(precision, device)
        self._device = device.type
        self._dtype = REDUCED.get(precision)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def autocast(self) -> torch.autocast:
        """Return the context in which losses are computed."""
        return torch.autocast(self._device, self._dtype, enabled=self._dtype is not None)


def check_precision(precision: Precision, device: torch.device) -> None:
    """Raise `SettingsError` when the device does not compute in this precision.

    The CPU never does: some lack the instructions, and end the process when they meet one.
    """
    if precision == "fp32":
        return
    if device.type != "cuda":
        raise SettingsError(
            f"precision {precision} needs a CUDA device, and this training runs on the "
            f"{device.type}. Set precision: fp32."
        )
    if precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise SettingsError("precision bf16 is unknown to this GPU. Set precision: fp16 or fp32.")


def device_of(module: nn.Module) -> torch.device:
    """Return the device that holds the module's weights."""
    return next(module.parameters()).device
