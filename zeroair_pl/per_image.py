"""B images, B independent small networks, and random numbers that depend on the image alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class PerImage(nn.Module):
    """B independent modules, the i-th of which sees the i-th image alone.

    ``forward(x)`` maps (B, C, H, W) to the B outputs stacked along the first dimension. The images never meet in an
    operation, so an image's result is the same, to the bit, in any batch.

    Args:
        modules: one for each image of the group.
    """

    def __init__(self, modules: list[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(modules)

    def __len__(self) -> int:
        return len(self.each)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.each)

    def one(self, i: int) -> PerImage:
        """The i-th module as a group of one; it is shared, not copied."""
        return PerImage([self.each[i]])

    def forward(self, x: Tensor) -> Tensor:
        if len(x) % len(self.each):
            raise ValueError(f"{len(x)} images for {len(self.each)} per-image modules; expected a multiple")
        repeats = len(x) // len(self.each)  # the guided and the auxiliary map of one image share its module
        return torch.cat([self.each[i % len(self.each)](x[i : i + 1]) for i in range(repeats * len(self.each))])


def image_by_image(function: Callable[..., Sequence[Tensor]], *inputs: Tensor) -> list[Tensor]:
    """``function`` of images (B, …), each in a batch of its own on a CPU, its outputs joined again.

    Convolution kernels are chosen by batch size and round differently, so a network that sees the whole batch would let
    a photo's result depend on its company. On a CPU a batch saves no time; on other devices it does, and is kept.
    """
    if inputs[0].device.type != "cpu" or len(inputs[0]) == 1:
        return list(function(*inputs))
    each = [function(*one) for one in zip(*(x.split(1) for x in inputs), strict=True)]
    return [torch.cat(outputs) for outputs in zip(*each, strict=True)]


def image_seed(seed: int, name: str) -> int:
    """A 63-bit seed from the run's seed and the image's name: the same in any batch, order, process or restart."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def image_generator(seed: int, name: str, stream: str = "") -> torch.Generator:
    """A CPU generator of this image's own. CPU, so that the numbers are the same on every device."""
    return torch.Generator().manual_seed(image_seed(seed, f"{name}\0{stream}" if stream else name))


def build_per_image(factory: Callable[[], nn.Module], names: list[str], seed: int, stream: str) -> PerImage:
    """One fresh module for each image, its initial weights drawn from that image's own seed."""
    modules = []
    for name in names:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(image_seed(seed, f"{name}\0{stream}"))
            modules.append(factory())
    return PerImage(modules)


def randn(shape: tuple[int, ...], generators: list[torch.Generator], device: torch.device) -> Tensor:
    """Standard normal (B, *shape), the i-th image's numbers from the i-th generator."""
    return torch.stack([torch.randn(shape, generator=g) for g in generators]).to(device)
