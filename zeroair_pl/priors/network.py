"""The network of ``prior train``: a fully convolutional residual U-Net without normalization."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d import UNet2DOutput
from torch import Tensor, nn


class DenoisingUNet(ModelMixin, ConfigMixin):  # type: ignore[misc] # as every model of diffusers
    """A U-Net of plain residual blocks, (B, 3, H, W) and timesteps (B,) → (B, 3, H, W), at any H and W.

        block:  x + conv(silu((1 + s_t) ⊙ conv(x) + b_t)),    s_t, b_t linear in an embedding of the timestep

    Images are first folded into blocks (space to depth), each level halves the resolution by a strided convolution, and
    skip connections are added. As in EDSR (Lim et al., CVPRW 2017) and DRUNet (Zhang et al., TPAMI 2021), there is no
    normalization. Statistics over the image would make a pixel depend on all others, so a tile of a photo would differ
    from the same place in the whole photo. They would also take a third of the time on a CPU.

    Args:
        widths: channels of each level, from the finest.
        blocks: number of residual blocks of each level, in the encoder and again in the decoder; the coarsest level has
            twice as many.
        stem: side of the pixel blocks that are folded into channels; 2 gives the finest level a quarter of the pixels.
        embedding: channels of the timestep's embedding.

    Raises:
        ValueError: ``widths`` and ``blocks`` differ in length.
    """

    @register_to_config
    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 192, 256),
        blocks: Sequence[int] = (2, 2, 2, 2),
        stem: int = 2,
        embedding: int = 128,
        in_channels: int = 3,
        out_channels: int = 3,
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks) or not widths:
            raise ValueError(f"widths and blocks need one number for each level; got {len(widths)} and {len(blocks)}")
        self.time_proj = Timesteps(embedding // 2, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(embedding // 2, embedding)
        self.conv_in = nn.Conv2d(in_channels * stem**2, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList([Level(w, n, embedding) for w, n in zip(widths, blocks, strict=True)])
        self.middle = Level(widths[-1], blocks[-1], embedding)
        coarser = list(pairwise(widths))
        self.down = nn.ModuleList([nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in coarser])
        self.up = nn.ModuleList([nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in coarser])
        self.decoder = nn.ModuleList([Level(w, n, embedding) for w, n in zip(widths[:-1], blocks[:-1], strict=True)])
        self.conv_out = nn.Conv2d(widths[0], out_channels * stem**2, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)  # starts with v = 0, a reasonable prediction at every noise level
        nn.init.zeros_(self.conv_out.bias)  # type: ignore[arg-type]
        self.stem = stem

    @property
    def multiple(self) -> int:
        """H and W must be multiples of this."""
        return self.stem * 2 ** len(self.down)

    def forward(self, sample: Tensor, timestep: Tensor) -> UNet2DOutput:
        """The network's output for noisy images (B, 3, H, W) at timesteps (B,), integer or fractional."""
        embedding = self._embed(timestep)
        *skips, h = self._encode(sample, embedding)
        h = self.middle(h, embedding)
        for up, level, skip in zip(reversed(self.up), reversed(self.decoder), reversed(skips), strict=True):
            h = level(up(h) + skip, embedding)
        return UNet2DOutput(sample=F.pixel_shuffle(self.conv_out(h), self.stem))

    def features(self, sample: Tensor, timestep: Tensor) -> list[Tensor]:
        """Outputs of the encoder's levels, (B, C_k, H_k, W_k) each, from the finest; differentiable."""
        return self._encode(sample, self._embed(timestep))

    def _embed(self, timestep: Tensor) -> Tensor:
        return F.silu(self.time_embedding(self.time_proj(timestep)))

    def _encode(self, sample: Tensor, embedding: Tensor) -> list[Tensor]:
        x = F.pixel_unshuffle(sample, self.stem)
        if sample.is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        found: list[Tensor] = []
        h = self.conv_in(x)
        for i, level in enumerate(self.encoder):
            h = level(self.down[i - 1](h) if i else h, embedding)
            found.append(h)
        return found


class Level(nn.Module):
    """Residual blocks at one resolution."""

    def __init__(self, width: int, blocks: int, embedding: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(width, embedding) for _ in range(blocks)])

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, embedding)
        return x


class Block(nn.Module):
    """x + conv(silu((1 + s_t) ⊙ conv(x) + b_t))."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * width)
        for conv, gain in ((self.conv1, 1.0), (self.conv2, 0.2)):  # a small second gain keeps deep stacks stable
            nn.init.kaiming_normal_(conv.weight)
            conv.weight.data.mul_(gain)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        h = torch.addcmul(shift, self.conv1(x), 1 + scale)
        h = x + self.conv2(F.silu(h, inplace=True))
        return h
