"""Several things that happened to one photo, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from zeroair_pl.degradations.base import Degradation, Denoise, Moment, Side
from zeroair_pl.errors import ConfigError


class Chain(Degradation):
    """y = φₖ(… φ₂(φ₁(x))) + n, with the noise model of the last link. In a config, ``degradation`` is a list.

    Each link starts from what the later ones have left: φₖ looks at the photo, φₖ₋₁ at the first estimate of φₖ, and so
    on. All parameters are then learned together, against the photo.

    Args:
        links: in the order in which it happened to the scene, such as [Haze, Blur, Jpeg].
    """

    def __init__(self, links: list[Callable[[], Degradation]]) -> None:
        super().__init__()
        if not links:
            raise ConfigError("degradation: a chain without links; expected a list of at least one degradation.")
        self.links = nn.ModuleList([link() for link in links])
        self.noise = self.links[-1].noise  # type: ignore[assignment]

    @property
    def pointwise(self) -> bool:  # type: ignore[override]
        return all(link.pointwise for link in self.links)

    @property
    def batched(self) -> bool:  # type: ignore[override]
        return all(link.batched for link in self.links)

    @property
    def scales(self) -> bool:
        return all(link.scales for link in self.links)

    def shape(self, y: Tensor) -> tuple[int, int]:
        for link in reversed(self.links):
            y = y.new_empty(1, 3, *link.shape(y))  # type: ignore[operator]
        return y.shape[-2], y.shape[-1]

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        for link in reversed(self.links):
            link.initialize(y, side, denoise)  # type: ignore[operator]
            y = link.first_estimate(y).detach()  # type: ignore[operator]
        for link in self.links[:-1]:
            link.noise.requires_grad_(False)

    def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
        self.links[-1].measure_noise(y, denoise)  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        for link in self.links:
            x = link(x)
        return x

    def invert(self, y: Tensor) -> Tensor:
        for link in reversed(self.links):
            y = link.invert(y)  # type: ignore[operator]
        return y

    def first_estimate(self, y: Tensor) -> Tensor:
        for link in reversed(self.links):
            y = link.first_estimate(y)  # type: ignore[operator]
        return y

    def penalty(self) -> Tensor:
        penalties: list[Tensor] = [link.penalty() for link in self.links]  # type: ignore[operator]
        return sum(penalties[1:], penalties[0])

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        groups = [group for link in self.links for group in link.parameter_groups(lr)]  # type: ignore[operator]
        groups = [{**group, "params": [p for p in group["params"] if p.requires_grad]} for group in groups]
        return [group for group in groups if group["params"]]

    def learn(self, x0: Tensor, y: Tensor, moment: Moment) -> None:
        """Each link learns from what the earlier ones make of x0, and what the later ones have left of y."""
        seen = [y]
        for link in reversed(self.links[1:]):
            seen.append(link.invert(seen[-1]))  # type: ignore[operator]
        for link, target in zip(self.links, reversed(seen), strict=True):
            link.learn(x0, target, moment)  # type: ignore[operator]
            x0 = link(x0)

    @property
    def kind(self) -> str:
        return " + ".join(str(link.kind) for link in self.links)

    def diagnostics(self) -> dict[str, Tensor]:
        return {
            f"{link.kind} {name}": value
            for link in self.links
            for name, value in link.diagnostics().items()  # type: ignore[operator]
        }
