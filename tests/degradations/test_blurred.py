"""``auto`` and blur: what is blurred as a whole is sharpened before anything else, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.scenes import PHOTOS, as_jpeg, bundled, clean, crop, noisy, psnr
from zeroair_pl import Method
from zeroair_pl.degradations import Auto
from zeroair_pl.degradations import blurred as blurred_module
from zeroair_pl.degradations.blur import kernel_of
from zeroair_pl.degradations.blurred import blur_on, width_of
from zeroair_pl.method.first_look import FirstLook

SENSOR = 2.5 / 255


def blurred(x: Tensor, kind: str, size: float) -> Tensor:
    """``x`` (1, 3, H, W) under a blur, without the border that the kernel reaches beyond."""
    kernel = kernel_of(kind, size)
    return F.conv2d(x.transpose(0, 1), kernel[None, None]).transpose(0, 1)


def inside(x: Tensor, y: Tensor) -> Tensor:
    """The middle of ``x`` that ``y`` shows."""
    top, left = ((a - b) // 2 for a, b in zip(x.shape[-2:], y.shape[-2:], strict=True))
    return x[..., top : top + y.shape[-2], left : left + y.shape[-1]]


def found(y: Tensor, **side: object) -> float:
    blur = blur_on(y, lambda x, _: x, side)
    return 0.0 if blur is None else float(blur.amount)


@pytest.mark.parametrize(("kind", "size"), [("gaussian", 1.8), ("disc", 2.8)])
def test_a_blurred_photo_is_sharpened(kind: str, size: float) -> None:
    x = crop("haze_workshop", 192)
    y = noisy(blurred(x, kind, size), SENSOR)
    restored = Method.from_config("auto", sampling={"steps": 6}).restore(y)
    assert "Blur" in restored.kind
    assert "of a blur of" in restored.reason
    assert psnr(restored.image, inside(x, y)) > psnr(y, inside(x, y)) + 1.5


@pytest.mark.parametrize("quality", [50, 70])
def test_a_blurred_photo_with_noise_in_a_jpeg_file_is_sharpened(quality: int, tmp_path: Path) -> None:
    x = crop("haze_workshop", 192)
    data, y = as_jpeg(noisy(blurred(x, "gaussian", 1.5), 2 * SENSOR), quality)
    (tmp_path / "blurred.jpg").write_bytes(data)
    method = Method.from_config("auto", sampling={"steps": 6})
    restored = method.restore(tmp_path / "blurred.jpg")
    assert "Blur" in restored.kind
    assert "Blur" in method.restore(y).kind  # from the pixels alone
    sharp = torch.from_numpy(restored.image).permute(2, 0, 1)[None] / 255
    assert psnr(sharp, inside(x, y)) > psnr(y, inside(x, y)) + 0.8


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("sigma", [0.0, SENSOR, 4 * SENSOR])
def test_a_sharp_photo_is_not(name: str, sigma: float) -> None:
    assert found(noisy(clean(name, 192), sigma)) == 0
    assert found(noisy(crop(name, 192), sigma)) == 0


def test_a_soft_background_behind_something_sharp_is_meant() -> None:
    x = clean("haze_workshop", 256)
    soft = F.pad(blurred(x, "disc", 3.0), (4,) * 4, mode="replicate")
    assert found(noisy(soft, SENSOR)) > 0.5
    middle = torch.zeros_like(x[:, :1])
    middle[..., 90:170, 110:230] = 1
    assert found(noisy(torch.lerp(soft, x, middle), SENSOR)) == 0


def test_the_softness_of_single_pixels_in_a_large_photo_stays() -> None:
    x = F.interpolate(clean("noise_blossom", 700), scale_factor=2, mode="bicubic").clamp(0, 1)
    assert found(noisy(x, SENSOR)) == 0


def test_a_gradient_is_not_blurred() -> None:
    y = torch.linspace(0, 1, 300).expand(1, 3, 200, 300)
    assert found(y.contiguous()) == 0
    assert found(noisy(y, SENSOR)) == 0


@pytest.mark.parametrize(("kind", "size", "width"), [("gaussian", 2.0, 2.0), ("disc", 4.0, 2.0)])
def test_the_width_of_a_kernel_is_its_standard_deviation(kind: str, size: float, width: float) -> None:
    assert width_of(kernel_of(kind, size)) == pytest.approx(width, rel=0.03)


def test_the_share_that_is_corrected_is_that_of_the_blur(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blurred_module, "WIDTH", (1.5, 2.5))
    y = noisy(blurred(crop("haze_workshop", 160), "gaussian", 2.0), SENSOR)
    phi = Auto()
    phi.initialize(y, {}, FirstLook(bundled()))
    assert phi.kind == "Blur"
    assert 0.3 < float(phi.amount) < 0.7
    assert float(phi.amount) == pytest.approx(found(y), abs=1e-6)
    assert not phi.untouched
