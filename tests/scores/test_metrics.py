"""The paper's protocol against a plain NumPy statement of it, and what a table of scores relies on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from zeroair_pl.errors import InputError
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.writing import save_photo
from zeroair_pl.scores.metrics import psnr, ssim, ssim_paper


def pair(seed: int, height: int = 40, width: int = 33) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 4, width), indexing="ij")
    clean = torch.stack([torch.sin(x + c) * torch.cos(y * c) * 0.4 + 0.5 for c in (1, 2, 3)])
    return clean, clean + 0.05 * seed * torch.randn(clean.shape, generator=generator)


def numpy_protocol(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """PSNR and SSIM of two uint8 images (H, W, 3), each window summed explicitly."""
    a, b = a.astype(float), b.astype(float)
    mse = ((a - b) ** 2).mean()
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2
    luma = [image @ np.array([0.299, 0.587, 0.114]) for image in (a, b)]
    views = [np.lib.stride_tricks.sliding_window_view(image, (11, 11)) for image in luma]

    def mean(values: np.ndarray) -> np.ndarray:
        return (values * window).sum((-1, -2))

    (mu_a, mu_b), (c1, c2) = (mean(view) for view in views), ((0.01 * 255) ** 2, (0.03 * 255) ** 2)
    var_a, var_b = mean(views[0] ** 2) - mu_a**2, mean(views[1] ** 2) - mu_b**2
    cov = mean(views[0] * views[1]) - mu_a * mu_b
    index = (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))
    return 10 * np.log10(255**2 / mse), index.mean()


def test_agrees_with_the_protocol_on_saved_files(tmp_path: Path) -> None:
    Image.new("RGB", (33, 40)).save(tmp_path / "like.png")
    like = load_photo(tmp_path / "like.png")
    for seed in (1, 2, 5):
        clean, noisy = pair(seed)
        arrays = []
        for name, image in (("clean", clean), ("noisy", noisy)):
            save_photo(tmp_path / f"{name}.png", image, like)
            with Image.open(tmp_path / f"{name}.png") as saved:
                arrays.append(np.asarray(saved))
        expected = numpy_protocol(*arrays)
        found = psnr(noisy[None], clean[None]).item(), ssim_paper(noisy[None], clean[None]).item()
        assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("metric", [psnr, ssim_paper, ssim])
def test_one_value_per_image_whatever_the_batch(metric: object) -> None:
    assert callable(metric)
    pairs = [pair(seed) for seed in (1, 2, 3)]
    clean, noisy = torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])
    together = metric(noisy, clean)
    assert together.shape == (3,)
    assert together.tolist() == sorted(together.tolist(), reverse=True)  # more noise, a lower score
    alone = torch.cat([metric(noisy[i : i + 1], clean[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_known_values() -> None:
    black, gray = torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 51 / 255)
    assert psnr(black, gray).item() == pytest.approx(20 * np.log10(255 / 51), abs=1e-5)
    c1 = 0.01**2  # on constant images only the luminance term is left
    assert ssim(black, gray).item() == pytest.approx(c1 / (0.2**2 + c1), rel=1e-4)
    assert ssim_paper(black, gray).item() == pytest.approx(c1 / (0.2**2 + c1), rel=1e-4)


def test_equal_images_have_finite_scores() -> None:
    image = pair(1)[0][None]
    assert psnr(image, image + 0.4 / 255).isfinite().all()
    assert psnr(image, image).item() == pytest.approx(138.13, abs=0.01)
    assert ssim_paper(image, image).item() == ssim(image, image).item() == 1


@pytest.mark.parametrize("metric", [psnr, ssim_paper, ssim])
def test_sizes_must_agree(metric: object) -> None:
    assert callable(metric)
    with pytest.raises(InputError, match=r"20x16 px .* 16x20 px"):
        metric(torch.zeros(1, 3, 16, 20), torch.zeros(1, 3, 20, 16))
