"""Samples of the annealed sampler: sharp ones with new noise, one faithful image without."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from helpers.scenes import crop
from zeroair_pl import Method


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
