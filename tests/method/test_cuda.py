"""On a GPU: the results of a CPU within a tolerance, batches that change nothing, and a prior in half precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import zeroair_pl
from helpers.command import save_toy
from zeroair_pl.config.files import known_configs
from zeroair_pl.priors import UNetPrior

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
GPU = "cuda"
ONE_LEVEL = 1 / 255
POINTWISE = ("denoise", "dehaze", "low_light")
LAYERS = ("fast", *POINTWISE)
OTHERS = [name for name in known_configs() if "/" not in name and name not in LAYERS]
OTHERS += ["dehaze+ablations/gan", "dehaze+ablations/neural"]


def images(count: int = 1, side: int = 64) -> Tensor:
    """(count, 3, side, side) in [0, 1]: a smooth picture with noise of 20/255, another for each image."""
    g = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(count, 3, 4, 4, generator=g), side, mode="bicubic")
    return (smooth + 20 / 255 * torch.randn(count, 3, side, side, generator=g)).clamp(0, 1)


def loaded(precision: Any, device: str) -> UNetPrior:
    prior = UNetPrior(precision=precision)
    prior.to(device)
    return prior


def restored(config: str, accelerator: str) -> zeroair_pl.Restored:
    """One photo with holes, restored by the config; the second one after a + lies on top."""
    hole = np.zeros((64, 64))
    hole[20:30, 20:30] = 1
    method = zeroair_pl.Method.from_config(
        config.split("+"), prior={"init_args": {"precision": "float32"}}, trainer={"accelerator": accelerator}
    )
    return method.restore(images()[0], side={"missing": hole} if config == "inpaint" else None)


@pytest.mark.parametrize("config", POINTWISE)
def test_a_photo_has_the_result_of_the_cpu(config: str) -> None:
    """In float32. Random numbers come from generators on the CPU, so only rounding differs."""
    results = [restored(config, accelerator) for accelerator in ("cpu", "gpu")]
    difference = (results[0].image - results[1].image).abs()
    assert difference.mean() < ONE_LEVEL
    assert difference.max() < 10 * ONE_LEVEL
    assert results[0].noise_level == pytest.approx(results[1].noise_level, rel=0.05)


@pytest.mark.parametrize("config", OTHERS)
def test_every_config_works_on_a_gpu(config: str) -> None:
    """Searches and thresholds may decide otherwise after other rounding, so these are only nearly those of the CPU."""
    results = [restored(config, accelerator) for accelerator in ("cpu", "gpu")]
    assert results[0].image.shape == results[1].image.shape
    assert torch.isfinite(torch.as_tensor(results[1].image)).all()
    assert abs(results[0].image - results[1].image).mean() < 4 * ONE_LEVEL


@pytest.mark.parametrize("config", ["denoise", "dehaze"])
def test_a_batch_has_the_results_of_single_photos(config: str, tmp_path: Path) -> None:
    for i in range(4):
        save_toy(tmp_path / "photos" / f"{i}.png", i, 48, 48)
    pixels = {}
    for batch in (1, 4):
        results = zeroair_pl.restore(
            tmp_path / "photos", config, out=tmp_path / f"{batch}", batch=batch, strips=False, tensorboard=False,
            trainer={"accelerator": "gpu"},
        )  # fmt: skip
        assert [row.status for row in results.rows] == ["restored"] * 4
        files = sorted((tmp_path / f"{batch}").glob("*.png"))
        pixels[batch] = np.stack([np.asarray(Image.open(file), dtype=float) for file in files])
    assert np.abs(pixels[1] - pixels[4]).mean() < 1
    assert np.abs(pixels[1] - pixels[4]).max() < 20


@pytest.mark.parametrize("precision, limit", [("float32", 0.001), ("bfloat16", 0.005), ("float16", 0.003)])
def test_the_prior_in_any_precision_is_that_of_the_cpu(precision: str, limit: float) -> None:
    """Root-mean-square difference of the clean estimate, in units of [0, 1], at little and at much noise."""
    x, sigma = images(2), torch.tensor([0.08, 0.4])
    expected = loaded("float32", "cpu").denoise(x, sigma)
    found = loaded(precision, GPU).denoise(x.to(GPU), sigma.to(GPU))
    assert found.device.type == GPU
    assert (found.cpu() - expected).square().mean().sqrt() < limit


def test_each_image_of_a_batch_has_the_estimate_that_it_has_alone() -> None:
    prior = loaded("bfloat16", GPU)
    x, sigma = images(5).to(GPU), torch.linspace(0.05, 0.5, 5, device=GPU)
    together = prior.denoise(x, sigma)
    alone = torch.cat([prior.denoise(x[i : i + 1], sigma[i : i + 1]) for i in range(5)])
    assert (together - alone).abs().mean() < ONE_LEVEL
