"""OpenAI's ADM network written from its equations, as the independent side of the converter's tests.

Source: Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis", 2021, arXiv 2105.05233.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass
class Reference:
    """An ADM network as plain functions over a state dict; ``levels`` lists the levels that have attention."""

    width: int = 32
    multipliers: tuple[float, ...] = (1, 2)
    blocks: int = 1
    levels: tuple[int, ...] = (1,)
    head: int = 16
    classes: int | None = None
    new_order: bool = False
    in_channels: int = 3
    weights: dict[str, Tensor] = field(default_factory=dict)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every key and shape of the checkpoint."""
        found: dict[str, tuple[int, ...]] = {}
        embedding = 4 * self.width

        def layer(key: str, *weight: int) -> None:
            found[f"{key}.weight"], found[f"{key}.bias"] = weight, weight[:1]

        def residual(key: str, before: int, after: int) -> None:
            layer(f"{key}.in_layers.0", before)
            layer(f"{key}.in_layers.2", after, before, 3, 3)
            layer(f"{key}.emb_layers.1", 2 * after, embedding)
            layer(f"{key}.out_layers.0", after)
            layer(f"{key}.out_layers.3", after, after, 3, 3)
            if before != after:
                layer(f"{key}.skip_connection", after, before, 1, 1)

        def attention(key: str, width: int) -> None:
            layer(f"{key}.norm", width)
            layer(f"{key}.qkv", 3 * width, width, 1)
            layer(f"{key}.proj_out", width, width, 1)

        layer("time_embed.0", embedding, self.width)
        layer("time_embed.2", embedding, embedding)
        if self.classes:
            found["label_emb.weight"] = (self.classes, embedding)
        now = int(self.multipliers[0] * self.width)
        layer("input_blocks.0.0", now, self.in_channels, 3, 3)
        skips = [now]
        for level, multiplier in enumerate(self.multipliers):
            for _ in range(self.blocks):
                residual(f"input_blocks.{len(skips)}.0", now, now := int(multiplier * self.width))
                if level in self.levels:
                    attention(f"input_blocks.{len(skips)}.1", now)
                skips.append(now)
            if level < len(self.multipliers) - 1:
                residual(f"input_blocks.{len(skips)}.0", now, now)
                skips.append(now)
        residual("middle_block.0", now, now)
        attention("middle_block.1", now)
        residual("middle_block.2", now, now)
        count = 0
        for level, multiplier in reversed(list(enumerate(self.multipliers))):
            for block in range(self.blocks + 1):
                residual(f"output_blocks.{count}.0", now + skips.pop(), now := int(multiplier * self.width))
                if level in self.levels:
                    attention(f"output_blocks.{count}.1", now)
                if level and block == self.blocks:
                    residual(f"output_blocks.{count}.{2 if level in self.levels else 1}", now, now)
                count += 1
        layer("out.0", now)
        layer("out.2", 6, now, 3, 3)
        return found

    def seeded(self) -> Reference:
        """The same network with random weights, scaled so that every layer matters to the output."""
        generator = torch.Generator().manual_seed(0)
        weights = {}
        for key, shape in self.shapes().items():
            scale = math.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.2
            one = 1.0 if re.search(r"(layers\.0|norm|out\.0)\.weight$", key) else 0.0
            weights[key] = one + scale * torch.randn(shape, generator=generator)
        return replace(self, weights=weights)

    def _layer(self, f: Callable[..., Tensor], key: str, *args: object, **options: int) -> Tensor:
        return f(*args, self.weights[f"{key}.weight"], self.weights[f"{key}.bias"], **options)

    def _norm(self, key: str, x: Tensor) -> Tensor:
        return F.group_norm(x, 32, self.weights[f"{key}.weight"], self.weights[f"{key}.bias"], 1e-5)

    def _residual(self, key: str, x: Tensor, emb: Tensor, resize: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        h = F.silu(self._norm(f"{key}.in_layers.0", x))
        if resize:
            h, x = resize(h), resize(x)
        h = self._layer(F.conv2d, f"{key}.in_layers.2", h, padding=1)
        scale, shift = self._layer(F.linear, f"{key}.emb_layers.1", F.silu(emb))[:, :, None, None].chunk(2, dim=1)
        h = F.silu(self._norm(f"{key}.out_layers.0", h) * (1 + scale) + shift)
        h = self._layer(F.conv2d, f"{key}.out_layers.3", h, padding=1)
        if f"{key}.skip_connection.weight" in self.weights:
            x = self._layer(F.conv2d, f"{key}.skip_connection", x)
        return x + h

    def _attention(self, key: str, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        qkv = self._layer(F.conv1d, f"{key}.qkv", self._norm(f"{key}.norm", flat))
        result = torch.zeros_like(flat)
        heads = flat.shape[1] // self.head
        for h in range(heads):
            # Where head h finds its q, k and v among the rows, in units of a head's channels.
            rows = [h, heads + h, 2 * heads + h] if self.new_order else [3 * h, 3 * h + 1, 3 * h + 2]
            q, k, v = (qkv[:, r * self.head : (r + 1) * self.head] for r in rows)
            attend = torch.softmax(torch.einsum("bct,bcs->bts", q, k) / math.sqrt(self.head), dim=-1)
            result[:, h * self.head : (h + 1) * self.head] = torch.einsum("bts,bcs->bct", attend, v)
        return x + self._layer(F.conv1d, f"{key}.proj_out", result).reshape(x.shape)

    def __call__(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        half = self.width // 2
        angles = t[:, None].float() * torch.exp(-math.log(10000) * torch.arange(half) / half)
        emb = self._layer(F.linear, "time_embed.0", torch.cat([angles.cos(), angles.sin()], dim=1))
        emb = self._layer(F.linear, "time_embed.2", F.silu(emb))
        if label is not None:
            emb = emb + self.weights["label_emb.weight"][label]
        h = self._layer(F.conv2d, "input_blocks.0.0", x, padding=1)
        skips, last = [h], len(self.multipliers) - 1
        for level in range(last + 1):
            for _ in range(self.blocks):
                h = self._residual(f"input_blocks.{len(skips)}.0", h, emb)
                if level in self.levels:
                    h = self._attention(f"input_blocks.{len(skips)}.1", h)
                skips.append(h)
            if level < last:
                h = self._residual(f"input_blocks.{len(skips)}.0", h, emb, lambda z: F.avg_pool2d(z, 2))
                skips.append(h)
        h = self._residual("middle_block.0", h, emb)
        h = self._residual("middle_block.2", self._attention("middle_block.1", h), emb)
        count = 0
        for level in range(last, -1, -1):
            for block in range(self.blocks + 1):
                h = self._residual(f"output_blocks.{count}.0", torch.cat([h, skips.pop()], dim=1), emb)
                if level in self.levels:
                    h = self._attention(f"output_blocks.{count}.1", h)
                if level and block == self.blocks:
                    key = f"output_blocks.{count}.{2 if level in self.levels else 1}"
                    h = self._residual(key, h, emb, lambda z: F.interpolate(z, scale_factor=2))
                count += 1
        return self._layer(F.conv2d, "out.2", F.silu(self._norm("out.0", h)), padding=1)
