"""Large photos: the degradation is learned at a working size, and the prior sees the full size for its last part only.

    working size   the whole method: TDM and TDG from heavy noise down           (fit.py)
    full size      φ carried up along the photo's edges, then the levels of the photo's own noise, with φ fixed

With noise-matched sampling (``AnchoredUpdate``) little is lost at full size: x_t is drawn from the photo itself at each
level, so that the levels above the photo's noise serve to learn φ alone, and φ is smooth or follows edges.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import MAX_NOISE, MIN_NOISE, Degradation, refine
from zeroair_pl.degradations.noise_level import estimate_noise_level
from zeroair_pl.errors import DivergenceError
from zeroair_pl.guidance.anchored import AnchoredUpdate
from zeroair_pl.method.divergence import lost
from zeroair_pl.method.first_look import FirstLook
from zeroair_pl.method.fit import fit
from zeroair_pl.method.settings import Method, Result
from zeroair_pl.tensors.per_image import PerImage, image_generator

if TYPE_CHECKING:
    from lightning.pytorch import Callback

BAND = 256  # rows
FULL_STEPS = 4  # levels at full size, where the noise differs from place to place
_EVEN = 1.1  # noise that differs by less than this factor counts as the same everywhere


def is_large(y: Tensor, method: Method) -> bool:
    """Whether photos (B, 3, H, W) go this way."""
    update = method.guidance.update
    matched = isinstance(update, AnchoredUpdate) and update.posterior_mean and not method.guidance.auxiliary
    if not matched or y.shape[-2] * y.shape[-1] <= method.sampling.working_pixels:
        return False
    with torch.random.fork_rng(devices=[]):
        return method.degradation().pointwise


def fit_large(
    y: Tensor,
    names: list[str],
    method: Method,
    callbacks: Sequence[Callback] = (),
    trainer: dict[str, Any] | None = None,
) -> Result:
    """As ``fit``, of one photo (1, 3, H, W), in the time and memory of a few prior passes at full size.

    ``callbacks`` watch the fit at the working size.

    Raises:
        DivergenceError: as ``fit``.
    """
    (name,) = names
    began = time.perf_counter()
    small = working_size(y, method.sampling.working_pixels)
    result = fit(small, [name], method, callbacks, trainer)
    with torch.no_grad():
        phi = carried(result.phi[0], small, y)
        device = getattr(getattr(method.prior, "unet", None), "device", torch.device("cpu"))
        look = FirstLook(method.prior, device)
        look(phi, y)
        restored, passes = last_part(y, phi, method, image_generator(method.seed, name, "full size"), device)
        if what := lost(y, restored):
            raise DivergenceError(f"{name}: {what[0]}")
        maps = {key: value.cpu() for key, value in phi.maps().items()}
    forwards = result.forwards[0] + look.forwards + passes
    return Result(restored, [maps], phi.noise_level()[None], [forwards], time.perf_counter() - began, [phi])


def last_part(
    y: Tensor, phi: Degradation, method: Method, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, int]:
    """The restored photo (1, 3, H, W) in [0, 1], and the number of prior passes that it took; φ is fixed.

    At each level s, a value whose noise ε is below s is drawn as z = φ⁻¹(y) plus noise of variance s² − ε², any other
    as its settled estimate plus noise of variance s²; the former are then estimated as ``AnchoredUpdate`` says. All
    but the prior works in bands of rows, in place: beside y, five images of full size exist at a time.
    """
    prior = method.prior
    anchor = AnchoredUpdate().anchor(y, PerImage([phi]))
    assert anchor is not None
    z, noise = anchor
    estimate, passes = z.clone(), 0
    bands = [slice(top, top + BAND) for top in range(0, y.shape[-2], BAND)]
    for k, s in enumerate(levels := _levels(noise, method)):
        x_t = torch.empty_like(z)
        t = prior.timestep(torch.tensor([2 * s]))
        signal = float(prior.alpha_bar(t).sqrt())
        for rows in bands:
            here, eps = z[..., rows, :], noise[..., rows, :]
            share = torch.where(eps <= s * (1 + 1e-4), (s * s - eps.square()).clamp(min=0).sqrt(), s)
            clean = torch.where(eps <= s * (1 + 1e-4), here, estimate[..., rows, :])
            fresh = torch.randn(here.shape, generator=generator)
            x_t[..., rows, :] = signal * (2 * (clean + share * fresh) - 1)
        x0 = prior.predict(x_t.to(device), t).x0.cpu()
        passes += 1
        if k == len(levels) - 1:  # see Anchoring.look_again; one further look, for the time that it takes here
            shifted = F.pad(x_t, (1, 0, 1, 0), mode="reflect")
            del x_t
            x0.add_(prior.predict(shifted.to(device), t).x0.cpu()[..., 1:, 1:]).mul_(0.5)
            passes += 1
        e2 = float(prior.calibration.error(torch.tensor(2 * s))) ** 2 / 4
        for rows in bands:
            eps2, old = noise[..., rows, :].square(), estimate[..., rows, :]
            seen = (x0[..., rows, :] + 1) / 2
            shared = eps2 * (e2 / s**2)
            weight = ((e2 - shared) / (e2 + eps2 - 2 * shared).clamp(min=1e-12)).clamp(0, 1)
            moved = torch.where(eps2 < s * s, torch.lerp(seen, z[..., rows, :], weight), seen)
            estimate[..., rows, :] = torch.where((eps2 <= s * s * (1 + 2e-4)) | (k == 0), moved, old)
    return estimate.clamp_(0, 1), passes


def working_size(y: Tensor, pixels: int) -> Tensor:
    """Photos (B, 3, H, W) shrunk to at most ``pixels`` pixels, each the mean of those that it stands for."""
    height, width = y.shape[-2:]
    scale = (pixels / (height * width)) ** 0.5
    return F.interpolate(y, size=(max(1, int(height * scale)), max(1, int(width * scale))), mode="area")


def carried(phi: Degradation, small: Tensor, y: Tensor) -> Degradation:
    """φ of the shrunken photo ``small`` (1, 3, h, w) for the photo ``y`` (1, 3, H, W).

    Maps follow the edges of ``y`` (guided filter, He, Sun & Tang, TPAMI 2013); numbers and smooth grids stay. The noise
    is looked at anew, since shrinking averages it, and keeps the correction that was learned.
    """
    large = copy.deepcopy(phi).requires_grad_(False)
    size, scale = small.shape[-2:], (y[0, 0].numel() / small[0, 0].numel()) ** 0.5
    for module in large.modules():
        for name, values in [*module.named_buffers(recurse=False), *module.named_parameters(recurse=False)]:
            if values.ndim != 4 or values.shape[-2:] != size:
                continue
            maps = []
            for one in values.detach().split(1, dim=1):
                rough = F.interpolate(one, size=y.shape[-2:], mode="bilinear", align_corners=False)
                maps.append(refine(rough, y, radius=round(4 * scale), eps=1e-4, samples=8))
            value = torch.cat(maps, dim=1) if len(maps) > 1 else maps[0]
            if name in module._buffers:
                module._buffers[name] = value
            else:
                module._parameters[name] = torch.nn.Parameter(value, requires_grad=False)
    found = min(max(estimate_noise_level(y), MIN_NOISE), MAX_NOISE)
    learned = large.log_noise - large.log_noise_start
    large.log_noise_start.fill_(found).log_()
    large.log_noise.data.copy_(large.log_noise_start + learned)
    return large


def _levels(noise: Tensor, method: Method) -> list[float]:
    """Noise levels in units of [0, 1], from the strongest noise on the photo, seen through φ⁻¹, to the weakest."""
    values = noise.flatten()
    high, low = float(values[:: max(1, len(values) // 200_000)].quantile(0.998)), float(values.min())
    prior = method.prior
    last = torch.tensor(method.sampling.end * (prior.num_timesteps - 1))
    alpha_bar = float(prior.alpha_bar(last))
    low = max(low, ((1 - alpha_bar) / alpha_bar) ** 0.5 / 2)
    if high < _EVEN * low:
        return [low]
    return [float(v) for v in torch.logspace(math.log10(high), math.log10(low), FULL_STEPS)]
