"""The common form of all denoisers, and the conventions in which networks take their image and noise level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zeroair_pl.errors import ConfigError, did_you_mean

NOISE = ("map", "number")
PREDICTS = ("clean", "noise", "epsilon")


@dataclass(frozen=True)
class Denoiser:
    """A function that removes white noise of a given level, with its properties.

    Attributes:
        name: for people.
        function: ``function(x, sigma)`` returns clean estimates of images x (B, 3, H, W) with noise of the standard
            deviations sigma (B,), all in units of [0, 1].
        digest: hexadecimal digits of its weights or code; empty if these cannot be read.
        network: the module with the weights, if it is a torch network.
        multiple: H and W must be multiples of this.
        size: side in pixels of its images, if it takes only one size.
        kind: the kind of denoiser, in words.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]
    digest: str = ""
    network: nn.Module | None = None
    multiple: int = 1
    size: int | None = None
    kind: str = "function"


@dataclass(frozen=True)
class Convention:
    """How a network takes its image and its noise level, and what it returns.

    Args:
        noise: ``map``: the level at each pixel, as a fourth channel of the image, as in DRUNet; ``number``: a second
            input of shape (B,).
        scale: factor for σ in units of [0, 1]: 1, or 255 for levels in units of 1/255, or 2 for images in [-1, 1].
        range: values of black and white, in the input and the output: [0, 1], [-1, 1] or [0, 255].
        predicts: ``clean``: the clean image; ``noise``: the noise to subtract; ``epsilon``: the noise divided by σ.
        multiple: H and W must be multiples of this.
    """

    noise: str = "map"
    scale: float = 1.0
    range: tuple[float, float] = (0.0, 1.0)
    predicts: str = "clean"
    multiple: int = 16

    def apply(self, network: Callable[..., Any], x: Tensor, sigma: Tensor) -> Tensor:
        """The clean estimate, (B, 3, H, W) in [0, 1], of ``x`` by a network with this convention.

        Args:
            network: the network.
            x: noisy images, (B, 3, H, W), in units of [0, 1].
            sigma: (B,), standard deviation of the noise, in units of [0, 1].
        """
        low, width = self.range[0], self.range[1] - self.range[0]
        shown, level = low + width * x, (self.scale * sigma).to(x)
        if self.noise == "map":
            found = network(torch.cat([shown, level[:, None, None, None].expand(-1, 1, *x.shape[-2:])], dim=1))
        else:
            found = network(shown, level)
        found = found.to(x)
        if self.predicts == "clean":
            return (found - low) / width
        return x - found / width if self.predicts == "noise" else x - sigma.to(x)[:, None, None, None] * found


def convention(stated: dict[str, Any], where: str) -> Convention:
    """The convention that a JSON object states.

    Raises:
        ConfigError: a key is missing, unknown or has an impossible value; ``where`` names the file.
    """
    known = {"noise": NOISE, "predicts": PREDICTS, "scale": float, "range": list, "multiple": int}
    for key, value in stated.items():
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}.{did_you_mean(key, list(known))}")
        expected = known[key]
        if isinstance(expected, tuple) and value not in expected:
            raise ConfigError(f"{where}: {key} is {value!r}, expected one of: {', '.join(expected)}")
    if missing := {"noise", "scale", "range", "predicts"} - stated.keys():
        raise ConfigError(f"{where}: lacks {', '.join(sorted(missing))}; {EXPECTED}")
    try:
        low, high = map(float, stated["range"])
        scale, multiple = float(stated["scale"]), int(stated.get("multiple", 16))
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: scale and multiple are numbers and range is two; {EXPECTED}") from None
    if not (high > low and scale > 0 and multiple > 0):
        raise ConfigError(f"{where}: expected range to increase, scale and multiple to be above 0, got {stated}")
    return Convention(stated["noise"], scale, (low, high), stated["predicts"], multiple)


EXPECTED = 'expected for example {"noise": "map", "scale": 1, "range": [0, 1], "predicts": "clean"}'
