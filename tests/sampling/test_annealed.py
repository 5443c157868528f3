"""The annealed sampler: sharp samples with new noise, a faithful image without, and levels at half the size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.scenes import crop
from helpers.toys import ToyPrior
from zeroair_pl import Method
from zeroair_pl.degradations import Degradation
from zeroair_pl.method.settings import Sampling
from zeroair_pl.sampling import AnnealedSampler


def restored(y: Tensor, noise: float, seed: int) -> Any:
    sampler = {"class_path": "AnnealedSampler", "init_args": {"noise": noise}}
    return Method.from_config("upscale", seed=seed, sampling={"steps": 4, "sampler": sampler}).restore(y).image


def test_without_noise_the_seed_plays_no_part() -> None:
    y = crop("noise_blossom", 32)
    assert torch.equal(restored(y, 0.0, 0), restored(y, 0.0, 1))


def test_samples_differ_by_seed_and_are_sharper_than_their_mean() -> None:
    y = crop("noise_blossom", 32)
    samples = [restored(y, 1.0, seed) for seed in range(3)]
    assert torch.equal(samples[0], restored(y, 1.0, 0))
    assert not torch.equal(samples[0], samples[1])
    mean = torch.stack(samples).mean(0)
    edges = [float(image.diff(dim=-1).abs().mean()) for image in (mean, *samples)]
    assert edges[0] < min(edges[1:])


class Watched(ToyPrior):
    """Remembers the sizes of the images that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, int]] = []

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.sizes.append((x.shape[-2], x.shape[-1]))
        return super().denoise(x, sigma)


class HalfCoarse(Degradation):
    """Nothing happened, and the first half of the levels may be coarse."""

    coarse = 0.5

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(("noise", "halved"), [(0.0, 2), (1.0, 0)])
def test_the_first_levels_are_at_half_the_size_but_not_those_of_a_sample(noise: float, halved: int) -> None:
    prior, sampler = Watched(), AnnealedSampler(noise=noise)
    method = Method(HalfCoarse, prior, sampling=Sampling(steps=4, sampler=sampler))
    image = method.restore(torch.rand(3, 33, 48, generator=torch.Generator().manual_seed(0))).pixels
    assert image.shape == (3, 33, 48)
    small, large = {(17, 24), (24, 17)}, {(33, 48), (48, 33)}
    assert [size in small for size in prior.sizes] == [k < halved for k in range(4)]
    assert set(prior.sizes) <= small | large
