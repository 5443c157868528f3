"""B images, B independent small networks, and random numbers that depend on the image alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zeroair_pl.tensors.stacks import Stack, stacked


class PerImage(nn.Module):
    """B independent modules, the i-th of which sees the i-th image alone.

    They begin apart: the images never meet in an operation, so an image's result is the same, to the bit, in any batch.
    ``stack`` computes alike ones together, for devices on which that saves time. Each is still trained by its own image
    alone; an operation on a whole batch may round differently from one on an image.

    Args:
        modules: one for each image of the group.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.stacks = nn.ModuleList([Stack([module]) for module in modules])
        self.parts = [[i] for i in range(len(modules))]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.each)

    @property
    def each(self) -> list[Any]:
        """The modules, in the order of the images, with what they have learned so far."""
        found = {i: one for stack, rows in self._pairs for i, one in zip(rows, stack.restack(), strict=True)}
        return [found[i] for i in sorted(found)]

    @property
    def _pairs(self) -> list[tuple[Stack, list[int]]]:
        return list(zip(self.stacks, self.parts, strict=True))  # type: ignore[arg-type]

    def stack(self, y: Tensor, methods: Sequence[str] = (), within: Sequence[Sequence[int]] | None = None) -> None:
        """Puts alike modules together, as ``stacks.stacked`` finds them, which the arguments are for.

        Before any optimiser has their parameters, which are replaced.
        """
        stacks, self.parts = stacked(self.each, y, methods, within)
        self.stacks = nn.ModuleList(stacks)

    def apart(self) -> None:
        """Each module by itself again, with what it has learned."""
        modules = self.each
        self.stacks, self.parts = nn.ModuleList([Stack([one]) for one in modules]), [[i] for i in range(len(modules))]

    def part(self, rows: Sequence[int]) -> PerImage:
        """The modules of these images as a group, of whole stacks; they are shared, not copied."""
        found, chosen = PerImage([]), [(stack, own) for stack, own in self._pairs if set(own) <= set(rows)]
        found.stacks = nn.ModuleList([stack for stack, _ in chosen])
        found.parts = [[list(rows).index(i) for i in own] for _, own in chosen]
        return found

    def forward(self, x: Tensor) -> Tensor:
        """(K·B, C, H, W) → the outputs, (K·B, …); the K maps of an image go through its own module."""
        if len(x) % len(self):
            raise ValueError(f"{len(x)} images for {len(self)} per-image modules; expected a multiple")
        return torch.cat([self.call("forward", maps) for maps in x.split(len(self))])

    def call(self, method: str, *inputs: Tensor) -> Tensor:
        """``method`` of each module, on its own image of each input (B, …): (B, …), where scalars become (B,)."""
        return joined(
            [stack.call(method, *(rows_of(x, rows) for x in inputs)) for stack, rows in self._pairs], self.parts
        )

    def dicts(self, method: str, *inputs: Tensor) -> list[dict[str, Tensor]]:
        """``method`` of each module, which returns a dict of tensors (1, …); see ``call``."""
        found: dict[int, dict[str, Tensor]] = {}
        for stack, rows in self._pairs:
            values = stack.call(method, *(rows_of(x, rows) for x in inputs))
            found |= {i: {name: value[k : k + 1] for name, value in values.items()} for k, i in enumerate(rows)}
        return [found[i] for i in sorted(found)]

    @property
    def pointwise(self) -> bool:
        """Of degradation models: all of them are."""
        return all(stack.first.pointwise for stack, _ in self._pairs)

    def trained(self, finished: Tensor) -> list[nn.Parameter]:
        """The parameters that images which are not ``finished``, (B,), still train."""
        open_ = [stack for stack, rows in self._pairs if not bool(finished[rows].all())]
        return [p for stack in open_ for p in stack.parameters() if p.requires_grad]

    @contextmanager
    def holding(self, finished: Tensor) -> Iterator[None]:
        """Within it, an optimiser's step leaves the parameters of ``finished`` images, (B,), as they are.

        A module by itself has no gradient then, and needs nothing; in a stack, momentum would move it.
        """
        kept: list[tuple[Tensor, Tensor, Tensor]] = []
        for stack, rows in self._pairs:
            done = finished[rows].nonzero()[:, 0]
            if len(rows) > 1 and len(done):
                kept += [(p, done.to(p.device), p.detach()[done.to(p.device)]) for p in stack.parameters()]
        yield
        with torch.no_grad():
            for p, done, before in kept:
                p[done] = before


def rows_of(x: Tensor, rows: Sequence[int]) -> Tensor:
    """Those rows of a batch, without a copy where they follow each other."""
    first = rows[0]
    return x[first : first + len(rows)] if list(rows) == list(range(first, first + len(rows))) else x[list(rows)]


def joined(values: Sequence[Tensor], parts: Sequence[Sequence[int]]) -> Tensor:
    """A batch in the order of its images, from the values of its parts."""
    if len(values) == 1:
        return values[0]
    order = [i for rows in parts for i in rows]
    whole = torch.cat(list(values))
    return whole if order == sorted(order) else whole[torch.tensor(order, device=whole.device).argsort()]


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

    def drawn(generator: torch.Generator) -> Tensor:
        return torch.randn(shape, generator=generator)

    if device.type == "cpu" or len(generators) == 1:
        return torch.stack([drawn(each) for each in generators]).to(device)
    with ThreadPoolExecutor() as pool:  # one after the other, the numbers would take longer than the prior's work
        return torch.stack(list(pool.map(drawn, generators))).to(device)


def finite(x: Tensor) -> Tensor:
    """(B, …) → (B,): all values of the image are finite. A sum finds that out in a twentieth of the time."""
    sums = torch.isfinite(x.flatten(1).sum(1))
    return sums if bool(sums.all()) else torch.isfinite(x).flatten(1).all(1)  # finite values may have an infinite sum


def image_means(x: Tensor) -> Tensor:
    """(B, …) → (B,): the mean of each image; on a CPU one by one, since a sum over a batch takes another order."""
    return x.flatten(1).mean(1) if x.device.type != "cpu" else torch.stack([image.mean() for image in x])
