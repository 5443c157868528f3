"""Perceptual losses: distances between features of networks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance.base import GuidanceLoss, GuidanceState, per_image_mean
from zeroair_pl.guidance.trunks import Net, lpips_network, timm_trunk
from zeroair_pl.ranges import Range
from zeroair_pl.tensors.threads import all_threads

Target = Literal["y", "x0"]


class Perceptual(GuidanceLoss):
    """Mean squared error between features of φ(x0) and of the target, averaged over the feature maps.

    Args:
        trunk: ``prior`` for the encoder of the fit's own prior, which needs no download; else the name of a timm model
            with pretrained weights (the paper's is ``vgg16.tv_in1k``).
        layers: which feature maps, from the finest; for VGG16, ``[0, 1]`` are its features up to relu2_2.
        target: compare with the degraded photo ``y`` or with the clean estimate ``x0``.
        weights: file of the timm model's weights, in timm's or torchvision's format; by default timm finds them.

    Raises:
        ConfigError: weights are given for the trunk ``prior``; or, at the first use, timm has no such model or cannot
            get its weights.
    """

    def __init__(
        self,
        trunk: str = "prior",
        layers: Annotated[tuple[int, ...], Range(0)] = (0, 1),
        target: Target = "y",
        weights: str | None = None,
    ) -> None:
        super().__init__()
        if trunk == "prior" and weights is not None:
            raise ConfigError(
                f"Perceptual: weights {weights}: the trunk 'prior' takes no file; name a timm model, as in "
                "trunk: vgg16.tv_in1k."
            )
        self.trunk, self.layers, self.target, self.weights = trunk, layers, target, weights
        self._loaded: tuple[Any, Tensor, Tensor] | None = None  # a tuple stays out of the module tree

    def forward(self, state: GuidanceState) -> Tensor:
        found = self.features(state.y_hat, state)
        with torch.set_grad_enabled(self.target == "x0" and torch.is_grad_enabled()):
            wanted = self.features(getattr(state, self.target), state)
        return torch.stack([per_image_mean((a - b).square()) for a, b in zip(found, wanted, strict=True)]).mean(0)

    def features(self, x: Tensor, state: GuidanceState) -> list[Tensor]:
        """The chosen feature maps of (B, 3, H, W) images in [0, 1]."""
        if self.trunk == "prior":
            if state.prior is None:
                raise ConfigError("Perceptual: trunk 'prior' needs a fit with a prior; name a timm model instead")
            with all_threads():
                maps = state.prior.features(x)
        else:
            model, mean, std = self._timm(x.device)
            maps = model((x - mean) / std)
        if max(self.layers) >= len(maps):
            raise ConfigError(f"Perceptual: layers {list(self.layers)} of {len(maps)} feature maps of {self.trunk!r}")
        return [maps[i] for i in self.layers]

    def _timm(self, device: torch.device) -> tuple[Any, Tensor, Tensor]:
        if self._loaded is None:
            import timm

            model, config = timm_trunk(self.trunk, self.weights), timm.get_pretrained_cfg(self.trunk)
            assert config is not None
            mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (config.mean, config.std))
            self._loaded = (model, mean, std)
        model, mean, std = self._loaded
        self._loaded = (model.to(device), mean.to(device), std.to(device))  # another fit may run on another device
        return self._loaded


class Lpips(GuidanceLoss):
    """LPIPS (Zhang et al., CVPR 2018) between φ(x0) and y, from the ``lpips`` package.

    Args:
        net: the trunk: ``alex``, ``vgg`` or ``squeeze``.
        weights: file of the trunk's weights, as torchvision publishes it; by default torchvision finds them.

    Raises:
        ConfigError: at the first use, if the trunk's weights cannot be loaded.
    """

    def __init__(self, net: Net = "alex", weights: str | None = None) -> None:
        super().__init__()
        self.net, self.weights = net, weights
        self._loaded: tuple[Any] | None = None

    def forward(self, state: GuidanceState) -> Tensor:
        if self._loaded is None:
            self._loaded = (lpips_network(self.net, self.weights),)
        (loaded,) = self._loaded
        distance: Tensor = loaded.to(state.y.device)(state.y_hat * 2 - 1, state.y * 2 - 1)
        return distance.flatten(1).mean(1)
