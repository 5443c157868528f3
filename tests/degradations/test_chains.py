"""Several degradations of one photo: their closed-form steps are taken in turn, and photos are made larger with any."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from helpers.scenes import as_jpeg, crop, noisy, psnr
from zeroair_pl import Method
from zeroair_pl.degradations import Blur, Chain, Degradation, Downscaled, Haze, Jpeg, Noise
from zeroair_pl.degradations.blur import kernel_of
from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.method import solve


def test_blur_and_jpeg_are_undone_together() -> None:
    x = crop("haze_workshop", 200)
    weight = kernel_of("gaussian", 1.4)[None, None].repeat(3, 1, 1, 1)
    reach = weight.shape[-1] // 2
    clean = x[..., reach:-reach, reach:-reach]
    y = as_jpeg(noisy(F.conv2d(x, weight, groups=3), 0.01), 60, subsampling=0)[1]
    links: list[Callable[[], Degradation]] = [partial(Blur, "gaussian"), Jpeg]
    found = Method.from_config("deblur", degradation=lambda: Chain(links)).restore(y)
    assert found.kind == "Blur + Jpeg"
    assert found.image.shape == y.shape, "without the border that the blur has"
    jpeg_alone = Method.from_config("dejpeg").restore(y).image
    assert psnr(found.image, clean) > max(psnr(y, clean), psnr(jpeg_alone, clean)) + 0.5


def test_the_step_of_a_smaller_photo_with_noise_is_exact() -> None:
    """The most probable image, against that of conjugate gradients on the whole."""
    y, x0 = crop("noise_blossom", 24), crop("haze_workshop", 48)
    chain = Chain([partial(Downscaled, 2), Noise])
    chain.initialize(y, {}, lambda x, sigma: x)
    chain.noise.start(0.05)
    whole = Downscaled(2)
    whole.noise.start(0.05)
    error = torch.tensor([0.1])
    with torch.no_grad():
        torch.testing.assert_close(chain.proximal(x0, y, error), whole.proximal(x0, y, error), atol=1e-3, rtol=0)


def test_a_factor_that_is_not_whole_cuts_pixels() -> None:
    x = torch.rand(1, 3, 30, 45, generator=torch.Generator().manual_seed(0))
    phi = Downscaled(1.5)
    small = phi(x)
    assert small.shape == (1, 3, 20, 30)
    assert phi.shape(small) == (30, 45)
    corner = x[..., :2, :2].clone()
    corner[..., 1, :] /= 2
    corner[..., :, 1] /= 2
    torch.testing.assert_close(small[..., 0, 0], corner.sum((-1, -2)) / 2.25)
    phi.noise.start(1e-3)
    moved = phi.proximal(x, small + 0.1, torch.tensor([0.1]))
    torch.testing.assert_close(phi(moved), small + 0.1, atol=2e-3, rtol=0)


def test_a_bicubic_reduction_is_undone_as_what_it_is() -> None:
    clean = crop("haze_workshop", 128)
    y = F.interpolate(clean, scale_factor=0.5, mode="bicubic", antialias=True).clamp(0, 1)
    found = {
        kernel: psnr(
            Method.from_config("upscale", degradation={"init_args": {"kernel": kernel}}).restore(y).image, clean
        )
        for kernel in ("area", "bicubic")
    }
    assert found["bicubic"] > found["area"] + 0.2
    phi = Method.from_config("upscale", degradation={"init_args": {"kernel": "bicubic"}}, upscale=4).fresh()
    assert (phi.factor, phi.kernel) == (4, "bicubic")


@pytest.mark.parametrize("links", [["Downscaled", "Haze"], ["Haze"]])
def test_the_kind_of_an_enlarged_photo_is_enlarged_once(links: list[str]) -> None:
    """A table that is a list again has ``Downscaled + Haze``, and its run has ``upscale``, too."""
    phi = Method.from_config("auto", degradation=links, upscale=3).fresh()
    assert phi.kind == "Downscaled + Haze"
    assert phi.factor == 3


@pytest.mark.parametrize("config, factor", [("denoise", 2), ("auto", 1.5), ("upscale", 3)])
def test_any_config_makes_a_photo_larger(config: str, factor: float) -> None:
    y = crop("noise_blossom", 64)
    found = Method.from_config(config, upscale=factor, sampling={"steps": 2}).restore(y)
    assert found.image.shape[-2:] == (round(64 * factor), round(64 * factor))
    assert found.kind.startswith("Downscaled")


def test_a_photo_that_would_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    y = crop("noise_blossom", 64)
    monkeypatch.setattr(solve, "free_memory", lambda: 2.0**20)
    with pytest.raises(InputError, match=r"photo: 2 times as large it has 128x128 px, for which 0.0 GiB"):
        Method.from_config("denoise", upscale=2).restore(y)
    monkeypatch.setattr(solve, "MAX_PIXELS", 1000)
    with pytest.raises(InputError, match=r"128x128 px, 0 megapixels; the limit is 0"):
        Method.from_config("denoise", upscale=2).restore(y)


def test_a_factor_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"upscale is 0.5, expected a number from 1 to 8\."):
        Method.from_config("auto", upscale=0.5)


def test_an_enlarged_photo_is_restored_again_where_the_factor_changes(tmp_path: Path) -> None:
    import zeroair_pl

    Image.fromarray(np.full((24, 32, 3), 90, np.uint8)).save(tmp_path / "a.png")

    def run(**settings: float) -> str:
        row = zeroair_pl.restore(str(tmp_path / "a.png"), "denoise", out=tmp_path / "out", quiet=True,
                                 sampling={"steps": 1}, **settings).rows[0]  # fmt: skip
        return f"{row.status} {Image.open(tmp_path / 'out' / 'a.png').size}"

    assert run() == "restored (32, 24)"
    assert run(upscale=1.0) == "skipped (32, 24)"
    assert run(upscale=2.0) == "restored (64, 48)"
    assert run(upscale=2.0) == "skipped (64, 48)"


def test_haze_before_jpeg_keeps_the_photo_in_range() -> None:
    y = as_jpeg(crop("haze_workshop", 96), 40, subsampling=0)[1]
    found = Method.from_config("dehaze", degradation=lambda: Chain([Haze, Jpeg]), sampling={"steps": 4}).restore(y)
    assert found.image.isfinite().all()
    assert psnr(found.image, y) > 10


@pytest.mark.parametrize("first, side", [(Blur, 160), (partial(Blur, "free"), 256), (Haze, 256)])
def test_of_a_large_photo_only_what_the_earlier_link_looks_at_is_cleared_for_it(
    first: Any, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zeroair_pl.degradations.spectrum.TAKEN", 32)
    shapes: list[tuple[int, int]] = []

    def denoise(x: Tensor, sigma: float) -> Tensor:
        shapes.append((x.shape[-2], x.shape[-1]))
        return x

    chain, y = Chain([first, partial(Jpeg, 20)]), crop("haze_workshop", 256)
    chain.links[0].initialize = lambda *_: shapes.append((0, 0))  # type: ignore[assignment]
    chain.initialize(y, {}, denoise)
    cleared = shapes[: shapes.index((0, 0))][-3:]
    assert cleared == [(side, side)] * 3
