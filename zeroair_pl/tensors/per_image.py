"""One small network for each image of a batch, and random numbers that depend on the image alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from zeroair_pl.tensors.stacks import Stack, call_alone, stacked


class PerImage(nn.Module):
    """B independent modules; the i-th is applied to the i-th image only.

    After ``stack`` they are computed at once, which saves time on some devices. Each is still trained by its own image
    only, but operations on a whole batch may round differently.

    Args:
        modules: one for each image of the batch.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.own, self.whole = nn.ModuleList(modules), None

    own: nn.ModuleList  # empty while they are stacked
    whole: Stack | None

    def __len__(self) -> int:
        return len(self.own if self.whole is None else self.whole)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.each)

    @property
    def each(self) -> list[Any]:
        """The modules in the order of the images, with their current parameters."""
        return list(self.own) if self.whole is None else self.whole.restack()

    @property
    def first(self) -> Any:
        """The module of the first image, for properties that all have in common; its parameters may be old."""
        return self.own[0] if self.whole is None else self.whole.first

    def stack(self, y: Tensor, methods: Sequence[str] = ()) -> None:
        """Stacks the modules if possible; the arguments are those of ``stacks.stacked``.

        Call it before an optimizer is made, since it replaces the parameters.
        """
        if len(self.own) > 1 and (whole := stacked(list(self.own), y, methods)) is not None:
            self.own, self.whole = nn.ModuleList(), whole

    def apart(self) -> None:
        """Undoes ``stack``; each module gets what it has learned."""
        self.own, self.whole = nn.ModuleList(self.each), None

    def forward(self, x: Tensor) -> Tensor:
        """Applies to each of K·B images, (K·B, C, H, W), the module of its photo; returns (K·B, …)."""
        if len(x) % len(self):
            raise ValueError(f"{len(x)} images for {len(self)} per-image modules; expected a multiple")
        return _cat([self.call("forward", maps) for maps in x.split(len(self))])

    def call(self, method: str, *inputs: Tensor) -> Any:
        """Calls ``method`` of each module with its own image of each input (B, …); returns (B, …), scalars as (B,).

        The method returns a tensor or a tuple of tensors. The result is ``None`` if it is for one of the images.
        """
        if self.whole is not None:
            return self.whole.call(method, *inputs)
        found = self._alone(method, inputs)
        return None if any(each is None for each in found) else tree_map(lambda *values: _cat(values), *found)

    def dicts(self, method: str, *inputs: Tensor) -> list[dict[str, Tensor]]:
        """Calls ``method`` of each module, which returns a dict of tensors (1, …); see ``call``."""
        if self.whole is None:
            return self._alone(method, inputs)
        values = self.whole.call(method, *inputs)
        return [{name: value[i : i + 1] for name, value in values.items()} for i in range(len(self.whole))]

    def _alone(self, method: str, inputs: tuple[Tensor, ...]) -> list[Any]:
        return [call_alone(each, method, *(x[i : i + 1] for x in inputs)) for i, each in enumerate(self.own)]

    def parameter_groups(self, *values: Any) -> list[dict[str, Any]]:
        """The parameter groups of all modules, each by its ``parameter_groups(*values)``, for one optimizer."""
        groups: dict[str, dict[str, Any]] = {}
        for each in self.own if self.whole is None else [self.whole]:
            for group in each.parameter_groups(*values):  # type: ignore[operator]
                options = {key: value for key, value in group.items() if key != "params"}
                groups.setdefault(repr(options), {"params": [], **options})["params"] += group["params"]
        return list(groups.values())

    @property
    def pointwise(self) -> bool:
        """Whether all modules, degradation models, are pointwise."""
        return bool(self.first.pointwise) and all(each.pointwise for each in self.own)

    def trained(self, finished: Tensor) -> list[nn.Parameter]:
        """The trainable parameters of the images that are not ``finished``, (B,)."""
        if bool(finished.all()):
            return []
        modules: list[Any] = [self.whole]
        if self.whole is None:
            modules = [each for each, done in zip(self.own, finished.tolist(), strict=True) if not done]
        return [p for each in modules for p in each.parameters() if p.requires_grad]

    @contextmanager
    def holding(self, finished: Tensor) -> Iterator[None]:
        """Within it, an optimizer's step leaves the parameters of ``finished`` images, (B,), as they are.

        Single modules have no gradient then, so they do not move. In a stack, momentum would move them.
        """
        rows = finished.nonzero()[:, 0]
        moving = list(self.whole.parameters()) if self.whole is not None and len(rows) else []
        kept = [(p, rows.to(p.device), p.detach()[rows.to(p.device)]) for p in moving]
        yield
        with torch.no_grad():
            for p, places, before in kept:
                p[places] = before


def _cat(values: Sequence[Tensor]) -> Tensor:
    if len(values) == 1:
        return values[0]
    shapes = {value.shape[1:] for value in values}
    if len(shapes) > 1:  # such as a variance that is one number for one image, and a map for another
        size = torch.broadcast_shapes(*shapes)
        values = [value.expand(len(value), *size) for value in values]
    return torch.cat(list(values))


def image_seed(seed: int, name: str) -> int:
    """A 63-bit seed from the run's seed and the image's name: the same in any batch, order, process or restart."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def image_generator(seed: int, name: str, stream: str = "") -> torch.Generator:
    """A generator for one image, on the CPU, so that its numbers are the same on every device."""
    return torch.Generator().manual_seed(image_seed(seed, f"{name}\0{stream}" if stream else name))


def build_per_image(factory: Callable[[], nn.Module], names: list[str], seed: int, stream: str) -> PerImage:
    """One new module for each image, with initial weights from the image's own seed."""
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
    with ThreadPoolExecutor() as pool:  # in one thread, this would take longer than the prior
        return torch.stack(list(pool.map(drawn, generators))).to(device)


def finite(x: Tensor) -> Tensor:
    """(B, …) → (B,): all values of the image are finite. Checking the sum first takes a twentieth of the time."""
    sums = torch.isfinite(x.flatten(1).sum(1))
    return sums if bool(sums.all()) else torch.isfinite(x).flatten(1).all(1)  # finite values may have an infinite sum
