"""Large photos: φ is learned on a smaller copy, and only the last part of sampling runs at full size.

    working size   the whole method: TDM and TDG from heavy noise down           (fit.py)
    full size      φ enlarged along the photo's edges, then the levels of the photo's own noise, with φ fixed

This loses little with noise-matched sampling: x_t is drawn from the photo itself at each level, so the levels above the
photo's noise only serve to learn φ, and φ is smooth or follows edges.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Denoise, Observation, Side
from zeroair_pl.degradations.maps import refine
from zeroair_pl.degradations.picture import has_shades
from zeroair_pl.errors import DivergenceError
from zeroair_pl.guidance.matched import combined, observed
from zeroair_pl.method.adapting import prior_for
from zeroair_pl.method.divergence import lost, unsound
from zeroair_pl.method.first_look import FirstLook
from zeroair_pl.method.fit import fit
from zeroair_pl.method.settings import Method, Result
from zeroair_pl.sampling.levels import geometric
from zeroair_pl.sampling.matched import ROUNDING, SHIFTS, added, cycle_spin, highest
from zeroair_pl.tensors.per_image import PerImage, image_generator

if TYPE_CHECKING:
    from lightning.pytorch import Callback

BAND = 256  # rows that are computed at once
FULL_STEPS = 4  # noise levels at full size, if the noise is not the same everywhere
_EVEN = 1.1  # noise that varies by less than this factor counts as the same everywhere


def is_large(y: Tensor, method: Method) -> bool:
    """Whether ``fit_large`` restores photos ``y`` (B, 3, H, W): they are large, and φ and the sampler allow it."""
    if y.shape[-2] * y.shape[-1] <= method.sampling.working_pixels:
        return False
    sampler = method.sampling.sampler
    return method.prototype().scales and (sampler is None or sampler.scales) and method.guidance.update is None


def fit_large(
    y: Tensor,
    names: list[str],
    method: Method,
    callbacks: Sequence[Callback] = (),
    trainer: dict[str, Any] | None = None,
    sides: Sequence[Side] | None = None,
) -> Result:
    """The same as ``fit`` for one large photo (1, 3, H, W), in the time and memory of a few passes at full size.

    ``callbacks`` only watch the fit at the working size.

    Raises:
        DivergenceError: the fit has diverged.
    """
    (name,) = names
    began = time.perf_counter()
    small = working_size(y, method.sampling.working_pixels)
    beside = [shrunk_side(side, y, method.sampling.working_pixels) for side in sides or [{}]]
    result = fit(small, [name], method, callbacks, trainer, beside)
    with torch.no_grad():
        look = FirstLook(method.prior)
        phi = carried(result.phi[0], small, y, look)
        restored, passes = y, 0
        if not phi.untouched:  # a photo that stays as it is takes no pass at full size
            y = phi.explained(y)
            method = replace(method, prior=prior_for(phi, y, method, name))
            restored, passes = last_part(y, phi, method, image_generator(method.seed, name, "full size"))
        if what := lost(y, restored):
            raise DivergenceError(f"{name}: {what[0]}")
        if broken := unsound(phi):
            raise DivergenceError(f"{name}: {broken}")
        maps = {key: value.cpu() for key, value in phi.diagnostics().items()}
    nfe = result.nfe[0] + look.nfe + passes
    return Result(restored, [maps], phi.noise_level()[None], [nfe], time.perf_counter() - began, [phi])


def last_part(y: Tensor, phi: Degradation, method: Method, generator: torch.Generator) -> tuple[Tensor, int]:
    """The restored photo (1, 3, H, W) in [0, 1], and the number of passes of the prior; φ is fixed.

    The levels are those of the noise on φ⁻¹(y). The steps at each level are those of ``NoiseMatchedSampler`` and
    ``MatchedUpdate``. Everything except the prior is computed in bands of rows, in place, so that at most five images
    of full size are in memory, besides y.
    """
    prior = method.prior
    seen = observed(PerImage([phi]), y)
    estimate, passes = seen.image.clone(), 0
    bands = [slice(top, top + BAND) for top in range(0, y.shape[-2], BAND)]
    for k, s in enumerate(levels := _levels(seen.sigma, method)):
        x, sigma = torch.empty_like(y), torch.full((1,), s)
        for rows in bands:
            eps = seen.sigma[..., rows, :]
            fresh = torch.randn(eps.shape, generator=generator)
            clean = torch.where(eps <= s * ROUNDING, seen.image[..., rows, :], estimate[..., rows, :])
            x[..., rows, :] = clean + added(eps, s) * fresh
        x0 = prior.denoise(x.to(prior.device), sigma).cpu()
        passes += 1
        if k == len(levels) - 1:  # only one of the sampler's shifted passes, to save time
            cycle_spin(prior, x0, x.to(prior.device), sigma, SHIFTS[-1:])
            passes += 1
        del x
        e2 = float(prior.rmse(sigma)) ** 2
        for rows in bands:
            here = Observation(seen.image[..., rows, :], seen.sigma[..., rows, :])
            moved, _ = combined(here, x0[..., rows, :], e2, s * s)
            keep = (here.sigma > s * ROUNDING) & (k > 0)
            estimate[..., rows, :] = torch.where(keep, estimate[..., rows, :], moved)
    for rows in bands:
        estimate[..., rows, :] = phi.result(estimate[..., rows, :], seen.image[..., rows, :])
    return estimate.clamp_(0, 1), passes


def working_size(y: Tensor, pixels: int) -> Tensor:
    """Photos ``y`` (B, 3, H, W) shrunk to at most ``pixels`` pixels, by area means."""
    height, width = y.shape[-2:]
    scale = (pixels / (height * width)) ** 0.5
    return F.interpolate(y, size=(max(1, int(height * scale)), max(1, int(width * scale))), mode="area")


def shrunk_side(side: Side, y: Tensor, pixels: int) -> Side:
    """The side information of the photo ``y`` for its working size: maps of the photo's size are shrunk too.

    The shrunken photo has no blocks of JPEG, so what the file states of them is left out. Where a picture has two
    values only, such as a bilevel scan, it has shades; so ``without_shades`` says what the photo is like.
    """
    size = y.shape[-2:]

    def shrunk(value: Any) -> Any:
        maps = isinstance(value, Tensor) and value.ndim == 4 and value.shape[-2:] == size
        return working_size(value, pixels) if maps else value

    found = {name: shrunk(value) for name, value in side.items() if name != "jpeg"}
    return found if has_shades(y) else {**found, "without_shades": True}


def carried(phi: Degradation, small: Tensor, y: Tensor, look: Denoise) -> Degradation:
    """Converts φ of the shrunken photo ``small`` (1, 3, h, w) to φ of the full photo ``y`` (1, 3, H, W).

    Maps are enlarged along the edges of ``y`` (guided filter, He, Sun & Tang, TPAMI 2013). Numbers and smooth grids
    stay the same. The noise level is estimated again, since shrinking averages noise, and multiplied by the factor
    that the fit has learned.
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
    learned = (large.noise.log_sigma - large.noise.log_start).detach()
    large.measure_noise(y, look)
    large.noise.log_sigma.data.add_(learned)
    return large


def _levels(sigma: Tensor, method: Method) -> list[float]:
    """Noise levels from the strongest to the weakest noise on φ⁻¹(y), whose map is ``sigma``."""
    high, low = highest(sigma), sigma.min().clamp(min=method.sampling.sigma_min)
    if high < _EVEN * low:
        return [float(low)]
    return geometric(high[None], low[None], FULL_STEPS)[:, 0].tolist()
