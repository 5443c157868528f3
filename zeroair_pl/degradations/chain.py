"""Several degradations of one photo, one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from zeroair_pl.degradations.base import Degradation, Denoise, Moment, Side
from zeroair_pl.degradations.noise_level import rounding
from zeroair_pl.errors import ConfigError

MARGIN = 64  # px, around the part of a photo that a link looks at; the prior's estimate depends on this much


class Chain(Degradation):
    """y = φₖ(… φ₂(φ₁(x))) with one noise model. In a config, ``degradation`` is a list.

    The noise is added after the last link with a noise model in its proximal step (all families but ``Jpeg``). The
    links are initialized from the last to the first: φₖ from the photo, φₖ₋₁ from the photo without φₖ, and so on.
    All parameters are then learned together, against the photo.

    The proximal step also goes from the last link to the first. The step of a link estimates its input image, from
    what the earlier links make of x0 and from the estimate of the link after it. If the first link is ``Downscaled``
    and the others are pointwise, this is the exact step of the whole chain.

    Args:
        links: in the order in which they happened to the scene, such as [Haze, Blur, Jpeg].

    Raises:
        ConfigError: there are no links.
    """

    facts = ("reason", "_explained")

    def __init__(self, links: list[Callable[[], Degradation]]) -> None:
        super().__init__()
        if not links:
            raise ConfigError("degradation: a chain without links; expected a list of at least one degradation.")
        self.links = nn.ModuleList([link() for link in links])
        self.noise = self._noisy.noise
        self._explained: Tensor | None = None

    @property
    def _all(self) -> list[Degradation]:
        return cast("list[Degradation]", list(self.links))

    @property
    def pointwise(self) -> bool:  # type: ignore[override]
        return all(link.pointwise for link in self._all)

    @property
    def _noisy(self) -> Degradation:
        """The link after which the noise is added."""
        found = [link for link in self._all if not link.unsure]
        return found[-1] if found else self._all[-1]

    @property
    def coarse(self) -> float:  # type: ignore[override]
        return max(link.coarse for link in self._all)

    @property
    def enough(self) -> float:  # type: ignore[override]
        return min(link.enough for link in self._all)

    @property
    def factor(self) -> float:  # type: ignore[override]
        return math.prod(link.factor for link in self._all)

    @property
    def batched(self) -> bool:  # type: ignore[override]
        return all(link.batched for link in self._all)

    @property
    def scales(self) -> bool:
        return all(link.scales for link in self._all)

    def shape(self, y: Tensor) -> tuple[int, int]:
        for link in reversed(self._all):
            y = y.new_empty(1, 3, *link.shape(y))
        return y.shape[-2], y.shape[-1]

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        for link in reversed(self._all):
            link.initialize(y, side, denoise)
            y = link.explained(y)
            if link is self._all[-1]:
                self._explained = y
            if link is not self._all[0]:
                y = link.cleared(y, self._only_middle(denoise, self._all.index(link))).detach()
            if link.unsure:
                side = {**side, "denoised": True}
        self.noise = self._noisy.noise  # ``initialize`` of a family may replace its noise model
        for link in self._all:
            if link is not self._noisy:
                link.noise.start(0.0, rounding(y))
                link.noise.requires_grad_(False)
        level = float(self.noise_level().detach())
        self.noise.start(max(level, *(link.unsure for link in self._all)), rounding(y))
        self.reason = "; ".join(link.reason for link in self._all if link.reason)

    def _only_middle(self, denoise: Denoise, count: int) -> Denoise:
        """``denoise`` of the part of a larger photo that the first ``count`` links look at; the rest stays."""
        sides = [link.middle for link in self._all[:count]]
        if not all(sides):
            return denoise

        def only(x: Tensor, sigma: float) -> Tensor:
            spare = [max(0, (length - max(sides)) // 2 - MARGIN) for length in x.shape[-2:]]
            rows, columns = (slice(cut, x.shape[axis] - cut) for cut, axis in zip(spare, (-2, -1), strict=True))
            found = x.clone()
            found[..., rows, columns] = denoise(x[..., rows, columns], sigma)
            return found

        return only

    def explained(self, y: Tensor) -> Tensor:
        found, self._explained = self._explained, None
        return self._all[-1].explained(y) if found is None else found

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        self._noisy.measure_noise(y, denoise)

    def forward(self, x: Tensor) -> Tensor:
        for link in self._all:
            x = link(x)
        return x

    def invert(self, y: Tensor) -> Tensor:
        for link in reversed(self._all):
            y = link.invert(y)
        return y

    def first_estimate(self, y: Tensor) -> Tensor:
        for link in reversed(self._all):
            y = link.first_estimate(y)
        return y

    def proximal(self, x0: Tensor, y: Tensor, error: Tensor) -> Tensor:
        if self.pointwise:
            return super().proximal(x0, y, error)
        seen, errors = [x0], [error]
        for link in self._all[:-1]:
            errors.append(torch.hypot(link.passed(seen[-1], errors[-1]), link.noise_level()))
            seen.append(link(seen[-1]))
        for link, image, wrong in reversed(list(zip(self._all, seen, errors, strict=True))):
            y = link.proximal(image, y, wrong)
        return y

    def levels(self) -> tuple[float, float] | None:
        own = [levels for link in self._all if (levels := link.levels()) is not None]
        return (max(high for high, _ in own), max(low for _, low in own)) if own else None

    def result(self, x0: Tensor, z: Tensor) -> Tensor:
        first, *others = self._all
        x: Tensor = first.result(x0, z)
        scale = first.factor
        for link in others:  # remove their borders
            down, across = (round(scale * side) for side in link.reach)
            x = x[..., down : x.shape[-2] - down, across : x.shape[-1] - across]
            scale = scale * link.factor
        return x

    def penalty(self) -> Tensor:
        penalties: list[Tensor] = [link.penalty() for link in self._all]
        return sum(penalties[1:], penalties[0])

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        groups = [group for link in self._all for group in link.parameter_groups(lr)]
        groups = [{**group, "params": [p for p in group["params"] if p.requires_grad]} for group in groups]
        return [group for group in groups if group["params"]]

    def learn(self, x0: Tensor, y: Tensor, moment: Moment) -> None:
        """Each link learns from the earlier links' output for x0, and from y after the later links' inverse."""
        seen = [y]
        for link in reversed(self._all[1:]):
            seen.append(link.invert(seen[-1]))
        for link, target in zip(self._all, reversed(seen), strict=True):
            link.learn(x0, target, moment)
            x0 = link(x0)

    @property
    def kind(self) -> str:
        return " + ".join(link.kind for link in self._all)

    def diagnostics(self) -> dict[str, Tensor]:
        return {f"{link.kind} {name}": value for link in self._all for name, value in link.diagnostics().items()}
