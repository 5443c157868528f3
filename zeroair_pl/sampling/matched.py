"""x_t drawn from the photo itself, with exactly the noise that the prior is told, down to the photo's own noise."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.guidance.updates import Anchor
from zeroair_pl.priors.base import Prior
from zeroair_pl.sampling.schedule import Schedule
from zeroair_pl.tensors.threads import all_threads

SHIFTS = ((0, 1), (1, 0), (1, 1))  # in pixels; further ones were no better


class Anchoring:
    """What the sampler does for an update that anchors it; each of the B images is on its own.

    A value whose noise ε, seen through φ⁻¹, is below the sampler's noise s is drawn as φ⁻¹(y) plus noise of variance
    s² − ε². Above it, its estimate is settled, and the prior sees that estimate with fresh noise of variance s². Once s
    would fall below the smallest ε of an image, its last prediction is made at exactly that level, without added noise:
    for noise that is equal everywhere this is the posterior mean E[x | y]. The image is then finished.

    Args:
        prior: whose noise levels are visited.
        schedule: the levels.
        images: B.
        settles: whether estimates settle at all; off, the sampler goes on below the photo's noise to one sharp image.

    Attributes:
        levels: (B,) noise that the prior is told at the coming step, in units of [0, 1].
        settled: (B, 3, H, W) the settled estimates so far, in [0, 1].
        matched: (B,) the images that are looked at for the last time at the coming step, at their own noise level.
        finished: (B,) the images whose estimate is final.
    """

    def __init__(self, prior: Prior, schedule: Schedule, images: int, settles: bool) -> None:
        self.prior, self.schedule, self.settles = prior, schedule, settles
        self.levels = torch.zeros(images)
        self.settled: Tensor | None = None
        self.finished = torch.zeros(images, dtype=torch.bool)
        self.matched = torch.zeros(images, dtype=torch.bool)
        self._seen: Tensor | None = None  # x_t on the variance-preserving scale, for the matched images
        self._inside: Tensor | None = None  # values that x_t has from the photo
        self._added: Tensor | None = None  # the part of the noise in x_t that was drawn here
        self._ratio = torch.ones(images)  # error of the clean estimate on this photo, over its calibration

    def draw(self, anchor: Anchor, k: float, noise: Tensor, x_t: Tensor) -> Tensor:
        """x_t for the scheduler's timestep ``k``, (B, 3, H, W), from the photo and unit-variance ``noise``."""
        level = self.schedule.noise(k)
        smallest = anchor.noise.flatten(1).amin(1).cpu()
        self.matched = (smallest >= level) & self.settles
        self.levels = torch.where(self.matched, smallest, torch.full_like(smallest, level))
        levels = self.levels.to(noise)[:, None, None, None]
        # With a tolerance: the rounding of φ⁻¹ makes equal noise slightly unequal.
        inside = self._inside = anchor.noise <= levels * (1 + 1e-4)
        fresh = noise * torch.where(inside, (1 - (anchor.noise / levels).square()).clamp(min=0).sqrt(), 1)
        self._added = fresh * (levels * inside)
        if not self.settles:
            return torch.where(inside, self.schedule.noisy(anchor.image * 2 - 1, fresh, k), x_t)
        clean = (anchor.image if self.settled is None else torch.where(inside, anchor.image, self.settled)) * 2 - 1
        self._seen = None
        if bool(self.matched.any()):
            alpha_bar = self.prior.alpha_bar(self.prior.timestep(2 * self.levels)).to(noise)[:, None, None, None]
            self._seen = alpha_bar.sqrt() * (clean + 2 * levels * fresh)
        return self.schedule.noisy(clean, fresh, k)

    def seen(self, x_t: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """What the prior is shown, from the scheduler's x_t and timesteps: the matched images at their own level."""
        if self._seen is None:
            return x_t, times
        rows = self.matched.to(x_t.device)[:, None, None, None]
        own = self.prior.timestep(2 * self.levels)
        return torch.where(rows, self._seen, x_t), torch.where(self.matched, own, times)

    def look_again(self, x0: Tensor, x_t: Tensor, times: Tensor) -> Tensor:
        """The mean of the prior's first look ``x0`` and of looks at shifted images (cycle spinning, Coifman & Donoho).

        A network that works on blocks and strides leaves a faint pattern of their size, in flat areas above all. It
        moves with the grid, and the photo does not.
        """
        looks = [x0]
        for down, right in SHIFTS:
            shifted = F.pad(x_t, (right, 0, down, 0), mode="reflect")
            with all_threads():
                looks.append(self.prior.predict(shifted, times).x0[..., down:, right:])
        return torch.stack(looks).mean(0)

    def settle(self, x0: Tensor) -> Tensor:
        """The guided estimate with settled values as they were; called once after each guidance step."""
        if not self.settles or self._inside is None:
            return x0
        if self.settled is not None:
            new = self._inside & ~self.finished.to(x0.device)[:, None, None, None]
            x0 = torch.where(new, x0, self.settled)
        self.settled = x0
        self.finished = self.finished | self.matched
        return x0

    def error(self, x0: Tensor) -> Tensor:
        """(B,): error of the clean estimate, from the known noise where there is enough of it, else as last measured.

        By Stein's identity the error of E[x | x + n] is e² = s²·E⟨m, x0⟩/E⟨m, m⟩ for any part m of the noise that is
        known and independent of the photo: no reference and no second pass is needed.
        """
        calibrated = self.prior.calibration.error(2 * self.levels) / 2
        if self._added is not None:
            power = self._added.square().flatten(1).mean(1).cpu()
            share = (self._added * x0).flatten(1).mean(1).cpu() / power.clamp(min=1e-12)
            measured = self.levels * share.clamp(min=0).sqrt() / calibrated
            known = power > 0.1 * self.levels.square()
            self._ratio = torch.where(known, measured.clamp(0.5, 2.5), self._ratio)
        return (self._ratio * calibrated).to(x0)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a checkpoint in the middle of a photo needs."""
        return {name: value for name, value in vars(self).items() if name not in _SETTINGS}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a checkpoint."""
        vars(self).update(state)


_SETTINGS = ("prior", "schedule", "settles")
