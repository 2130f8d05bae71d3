"""The diffusion half of the detokenizer: a soft picture becomes a sharp one.

In:  the tokenizer's soft picture, a number of DDIM steps, noise.
Out: pixels in [-1, 1].

A small `diffusers` UNet predicts the clean picture from a noisy one, seeing the soft
picture beside it. It works on 6x6 blocks moved into channels, which keeps it cheap: a 72x72
picture is 12x12 positions to it.
"""

from copy import copy
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler, UNet2DModel
from torch import Tensor, nn
from torch.nn import functional

# B images, C colours, H height, W width

BLOCK = 6  # pixels; height and width must be multiples of twice this
TRAIN_TIMESTEPS = 1000


@dataclass(frozen=True)
class RefinerConfig:
    """Sizes of the UNet."""

    channels: tuple[int, ...] = (96, 160)
    layers_per_block: int = 1
    attention_head_dim: int = 32


class Refiner(nn.Module):
    """A conditional denoiser with a DDIM sampler."""

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__()
        self.config = config
        values = 3 * BLOCK**2
        self.unet = UNet2DModel(
            in_channels=2 * values,
            out_channels=values,
            block_out_channels=config.channels,
            layers_per_block=config.layers_per_block,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=config.attention_head_dim,
            norm_num_groups=32,
        )
        self.scheduler = DDIMScheduler(
            num_train_timesteps=TRAIN_TIMESTEPS,
            prediction_type="sample",
            clip_sample=True,
            timestep_spacing="trailing",
            rescale_betas_zero_snr=True,
        )

    def predict(self, noisy_BCHW: Tensor, soft_BCHW: Tensor, timestep_B: Tensor) -> Tensor:
        """Return the clean picture the model sees in a noisy one."""
        both = torch.cat([noisy_BCHW, soft_BCHW], dim=1)
        blocks = functional.pixel_unshuffle(torch.cat(list(both.split(3, dim=1))), BLOCK)
        stacked = torch.cat(list(blocks.chunk(2)), dim=1)
        correction = functional.pixel_shuffle(self.unet(stacked, timestep_B).sample, BLOCK)
        return soft_BCHW + correction

    def loss(self, clean_BCHW: Tensor, soft_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Return the mean absolute error of the predicted clean picture at random noise levels."""
        timestep_B = torch.randint(TRAIN_TIMESTEPS, (len(clean_BCHW),), generator=generator)
        noise = torch.randn(clean_BCHW.shape, generator=generator)
        timestep_B, noise = timestep_B.to(clean_BCHW.device), noise.to(clean_BCHW.device)
        noisy = self.scheduler.add_noise(clean_BCHW, noise, timestep_B)
        return functional.l1_loss(self.predict(noisy, soft_BCHW, timestep_B), clean_BCHW)

    @torch.no_grad()
    def sample(self, soft_BCHW: Tensor, steps: int, noise_BCHW: Tensor) -> Tensor:
        """Return sharp pictures from `steps` DDIM steps, starting at the given noise."""
        scheduler = copy(self.scheduler)  # it keeps the steps to itself; threads may sample at once
        scheduler.set_timesteps(steps)
        image = noise_BCHW
        for timestep in scheduler.timesteps:
            timestep_B = timestep.to(image.device).expand(len(image))
            clean = self.predict(image, soft_BCHW, timestep_B)
            image = scheduler.step(clean, timestep, image, eta=0.0).prev_sample
        return image.clamp(-1, 1)
