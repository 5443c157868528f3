"""Blur, JPEG, missing pixels and low resolution: what is known of them is used, what is not is found."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from helpers.scenes import PHOTOS, as_jpeg, crop, noisy, psnr
from zeroair_pl import Method
from zeroair_pl.checks.samples import blurred, fitted_to
from zeroair_pl.degradations import Blur, Chain, Downscaled, Jpeg, Missing, Streaks
from zeroair_pl.degradations.blocks import dct, inverse_dct, smooth_inverse, to_rgb, to_ycc, truncated_mean
from zeroair_pl.degradations.blur import LOST, kernel_of
from zeroair_pl.degradations.jpeg_tables import Tables, found_in
from zeroair_pl.degradations.missing import MissingPixels
from zeroair_pl.degradations.outliers import Outliers
from zeroair_pl.degradations.spectrum import room
from zeroair_pl.errors import ConfigError
from zeroair_pl.photos.jpeg import jpeg_file
from zeroair_pl.photos.reading import decode_photo


def restored(config: str, y: Tensor, **side: Any) -> Any:
    return Method.from_config(config).restore(y, side=side)


def convolved(x: Tensor, kernel: Tensor) -> Tensor:
    """Of the inner part of x alone: what is beyond the border of the result is not made up."""
    weight = kernel.flip(0, 1)[None, None].repeat(3, 1, 1, 1)
    return F.conv2d(x, weight, groups=3)


# ---- blur ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, size", [("gaussian", 1.6), ("disc", 2.7)])
def test_a_blur_is_found_and_removed(kind: str, size: float) -> None:
    x = crop("haze_workshop", 200)
    kernel = kernel_of(kind, size)
    reach = kernel.shape[0] // 2
    clean = x[..., reach:-reach, reach:-reach]
    y = noisy(convolved(x, kernel), 0.008)
    found = restored("deblur", y)
    assert found.diagnostics["size"].item() == pytest.approx(size, rel=0.15)
    assert found.image.shape == y.shape
    assert psnr(found.image, clean) > psnr(y, clean) + 1.5
    known = restored("deblur", y, kernel=kernel)
    assert psnr(known.image, clean) > psnr(y, clean) + 1.5


def test_the_length_and_the_direction_of_a_motion_are_found() -> None:
    x = torch.rand(1, 3, 260, 260, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        x = F.avg_pool2d(F.pad(x, [1] * 4, mode="reflect"), 3, 1)
    y = noisy(convolved(x, kernel_of("line", 11, math.radians(35))), 0.004)
    phi = Blur("line")
    phi.initialize(y, {}, blurred)
    assert float(phi.diagnostics()["size"]) == pytest.approx(11, rel=0.2)
    angle = float(phi.diagnostics()["angle"]) % 180
    assert min(abs(angle - 35), 180 - abs(angle - 35)) < 8


@pytest.mark.parametrize("name", PHOTOS)
def test_a_sharp_photo_is_not_sharpened(name: str) -> None:
    y = crop(name, 160)
    found = restored("deblur", y)
    assert psnr(found.image, y) > 34


def test_the_proximal_step_of_a_blur_minimizes_what_it_says() -> None:
    y = crop("haze_workshop", 48)
    phi = fitted_to(lambda: Blur("disc", 2.0), y)
    x0 = phi.first_estimate(y).detach()
    error = torch.tensor([0.05])

    def objective(x: Tensor) -> float:
        near = (x - x0).square().sum() / (2 * error**2)
        return float((near + (y - phi(x)).square().sum() / (2 * phi.noise_level() ** 2)).detach())

    with torch.no_grad():
        z = phi.proximal(x0, y, error)
        worse = [objective(z + 0.01 * torch.randn(z.shape, generator=torch.Generator().manual_seed(k))) for k in (1, 2)]
    assert objective(z) < objective(x0)
    assert objective(z) < min(worse)


def test_a_kernel_of_one_direction_moves_no_photo() -> None:
    """A convolution, not a correlation: the picture of the kernel is what a point of light becomes."""
    kernel = torch.zeros(5, 5)
    kernel[0, 1] = 1
    phi = fitted_to(Blur, crop("haze_workshop", 48))
    phi.h = kernel
    point = torch.zeros(1, 3, 52, 52)
    point[..., 20, 20] = 1
    found = phi(point)[0, 0].argmax()
    assert divmod(int(found), 48) == (20 - 2 - 2, 20 - 2 - 1)


# ---- JPEG ------------------------------------------------------------------------------------------------------------


def test_the_arithmetic_of_jpeg_can_be_undone() -> None:
    x = crop("haze_workshop", 64)
    torch.testing.assert_close(to_rgb(to_ycc(x)), x, atol=1e-5, rtol=0)
    torch.testing.assert_close(inverse_dct(dct(x)), x, atol=1e-5, rtol=0)
    values = torch.rand(2, 3, 9, generator=torch.Generator().manual_seed(0))
    ends = torch.cat([values[..., :1], values, values[..., -1:]], -1)
    smoothed = 0.75 * values + 0.125 * (ends[..., :-2] + ends[..., 2:])
    torch.testing.assert_close(smooth_inverse(smoothed), values, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "d, low, high, e", [(0.3, -1, 1, 0.5), (3.0, -1, 1, 0.5), (-40.0, -1, 1, 0.5), (0.1, 0.0, 2.0, 9)]
)
def test_the_mean_of_a_cut_normal_distribution(d: float, low: float, high: float, e: float) -> None:
    t = torch.linspace(low, high, 20001, dtype=torch.float64)
    weight = torch.softmax(-0.5 * ((t - d) / e) ** 2, 0)
    found = truncated_mean(torch.tensor(d), torch.tensor(low), torch.tensor(high), torch.tensor(e))
    assert float(found) == pytest.approx(float((weight * t).sum()), abs=0.01)


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("quality", [12, 30])
def test_a_jpeg_is_unblocked_from_its_file_and_from_its_pixels(quality: int, subsampling: int) -> None:
    clean = crop("dark_tulips", 128)
    data, y = as_jpeg(clean, quality, subsampling=subsampling)
    photo = decode_photo(data, Path("photo.jpg"))
    of_file = Method.from_config("dejpeg").restore(photo)
    assert psnr(of_file.image[None], clean) > psnr(y, clean) + 0.5
    assert of_file.diagnostics["quality"].item() == pytest.approx(quality, abs=1)
    of_pixels = restored("dejpeg", y)
    assert psnr(of_pixels.image, clean) > psnr(y, clean) + 0.5


@pytest.mark.parametrize(("kind", "size", "coarse"), [("gaussian", 2.0, 0), ("disc", 2.0, 1 / 3), ("line", 9.0, 1 / 3)])
def test_blurs_that_only_fade_detail_have_no_levels_at_half_the_size(kind: str, size: float, coarse: float) -> None:
    phi = Blur()
    phi.register_buffer("h", kernel_of(kind, size))
    assert phi.coarse == coarse
    assert phi.enough == 1
    phi.large = True
    assert round(12 * phi.enough) == (8 if kind == "gaussian" else 10), (
        "fewer levels, fewest where none is at half size"
    )
    assert round(round(12 * phi.enough) * phi.coarse) == (0 if kind == "gaussian" else 3)


def test_a_photo_that_lost_fine_detail_takes_fewer_levels_also_in_a_chain() -> None:
    y = crop("haze_workshop", 64)
    chain, alone = Chain([Blur, lambda: Jpeg(20)]), Blur()
    for phi in (chain, alone):
        phi.initialize(y, {}, blurred)
    assert chain.enough == LOST < alone.enough == 1


def test_a_large_photo_with_missing_pixels_takes_fewer_levels() -> None:
    phi = Missing()
    for pixels, enough in ((100, 1.0), (2100, 0.75)):
        phi.noise = MissingPixels(torch.ones(1, 1, pixels, 2000))
        assert phi.enough == enough
    phi.outliers = Outliers(torch.rand(1, 3, 8, 8))
    assert phi.enough == 0.7


@torch.no_grad()
def test_a_large_blurred_photo_gets_a_size_that_suits_the_fourier_transform() -> None:
    for length, more in ((3014, 5), (4014, 9), (1031, 11), (1024, 0)):
        assert room(length) == more
    h = kernel_of("disc", 2.0)
    y = noisy(F.conv2d(crop("haze_workshop", 128), h[None, None].repeat(3, 1, 1, 1), groups=3), 0.01)
    plain, roomy = Blur("disc", 2.0), Blur("disc", 2.0)
    for phi in (plain, roomy):
        phi.initialize(y, {}, blurred)
    roomy.room = (4, 1)
    x0, error = plain.first_estimate(y), torch.tensor([0.05])
    near = plain.result(plain.proximal(x0, y, error), x0)
    far = roomy.result(roomy.proximal(roomy.first_estimate(y), y, error), x0)
    assert near.shape == far.shape == y.shape
    assert (near - far)[..., 8:-8, 8:-8].abs().mean() < 1e-3, "the room changes nothing but the border"


def test_a_photo_that_was_saved_twice_is_unblocked_by_the_larger_steps() -> None:
    clean = crop("haze_workshop", 203)
    _, first = as_jpeg(clean, 20, subsampling=0)
    clean, first = clean[..., 3:, 3:], first[..., 3:, 3:]
    data, y = as_jpeg(first, 95, subsampling=0)
    found = Method.from_config("dejpeg").restore(decode_photo(data, Path("photo.jpg")))
    assert found.diagnostics["quality"].item() == pytest.approx(20, abs=1)
    assert psnr(found.image[None], clean) > psnr(y, clean) + 0.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_blocks_of_a_turned_photo_are_where_they_are(orientation: int) -> None:
    from zeroair_pl.photos.photo import upright

    clean = 0.2 + 0.6 * crop("haze_workshop", 61)[..., :54]  # away from where a decoder clips
    data, _ = as_jpeg(clean, 30, subsampling=2)
    file = jpeg_file(Image.open(io.BytesIO(data)), orientation)
    assert file is not None
    stored = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    shown = torch.from_numpy(upright(stored, orientation).copy()).permute(2, 0, 1)[None].float() / 255
    phi = Jpeg()
    phi.initialize(shown, {"jpeg": file}, blurred)
    luma, _ = phi._coefficients(shown, decoded=True)
    steps = phi._steps()[0]
    whole = luma[0, 0, 2:5, 2:4]  # blocks that no border cuts
    missed = (whole / steps - (whole / steps).round()).abs() * steps * 255
    assert float(missed.quantile(0.95)) < 1.2


@pytest.mark.parametrize("offset", [(0, 0), (3, 5)])
def test_tables_are_found_where_blocks_begin_anywhere(offset: tuple[int, int]) -> None:
    _, y = as_jpeg(crop("haze_workshop", 200), 25, subsampling=0)
    found = found_in(y[..., offset[0] :, offset[1] :])
    assert found is not None
    assert (found.quality(), found.top, found.left) == (25.0, *offset)


@pytest.mark.parametrize("offset", [(0, 0), (3, 5), (11, 5), (3, 13), (8, 8)])
def test_blocks_of_chroma_that_is_stored_once_begin_at_every_other(offset: tuple[int, int]) -> None:
    _, y = as_jpeg(0.2 + 0.6 * crop("haze_workshop", 200), 25, subsampling=2)
    found = found_in(y[..., offset[0] :, offset[1] :])
    assert found is not None
    assert (found.pool, found.top, found.left) == ((2, 2), *offset)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_that_was_never_compressed_shows_no_tables(name: str) -> None:
    assert found_in(crop(name, 160)) is None
    assert found_in(noisy(crop(name, 160), 0.03)) is None


def test_the_result_is_a_photo_that_the_file_could_have_been_made_of() -> None:
    data, _ = as_jpeg(crop("dark_tulips", 96), 20, subsampling=0)
    photo = decode_photo(data, Path("photo.jpg"))
    image = Method.from_config("dejpeg").restore(photo).image[None]
    tables = Tables.of_quality(20)
    again, file = (dct(to_ycc(v)[:, :1] - 128 / 255) for v in (image, photo.pixels[None]))
    outside = ((again - (file / tables.luma).round() * tables.luma).abs() > tables.luma / 2 + 2 / 255).float().mean()
    assert float(outside) < 0.01


# ---- missing pixels --------------------------------------------------------------------------------------------------


def test_what_a_mask_leaves_stays_to_the_bit_and_the_rest_is_filled() -> None:
    clean = (crop("haze_workshop", 128) * 255).round() / 255
    mask = torch.zeros(128, 128)
    mask[20:26, :] = mask[:, 70:73] = mask[90:104, 20:36] = 1
    y = torch.where(mask > 0, 1.0, clean)
    found = restored("inpaint", y, missing=mask)
    assert torch.equal((found.image * 255).round() * (1 - mask), (clean * 255).round() * (1 - mask))
    from zeroair_pl.degradations.maps import filled

    floor = filled(y, 1 - mask[None, None])
    assert psnr(found.image, clean) > psnr(floor, clean) + 0.3


@pytest.mark.parametrize("share", [0.03, 0.12])
def test_specks_are_found_without_a_mask(share: float) -> None:
    clean = crop("dark_tulips", 128)
    hit = torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    y = torch.where(hit < share / 2, 0.0, torch.where(hit > 1 - share / 2, 1.0, clean))
    found = restored("despeckle", y)
    assert psnr(found.image, clean) > psnr(y, clean) + 10
    marked = torch.from_numpy(found.diagnostics["missing"]) > 0.5
    wrong = (y != clean).any(1)[0]
    assert float((marked & wrong).sum() / wrong.sum()) > 0.9


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_without_specks_is_left_alone(name: str) -> None:
    y = crop(name, 128)
    assert psnr(restored("despeckle", y).image, y) > 38


def test_a_dead_line_is_found() -> None:
    clean = crop("haze_workshop", 128)
    y = clean.clone()
    y[..., 50] = 0.3
    assert psnr(restored("despeckle", y).image, clean) > psnr(y, clean) + 5


# ---- low resolution --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 4])
def test_a_larger_photo_has_the_means_of_the_small_one(factor: int) -> None:
    clean = crop("haze_workshop", 128)
    y = F.avg_pool2d(clean, factor)
    found = Method.from_config("upscale", degradation={"init_args": {"factor": factor}}).restore(y).image
    assert found.shape == clean.shape
    bicubic = F.interpolate(y, scale_factor=factor, mode="bicubic").clamp(0, 1)
    assert psnr(found, clean) > psnr(bicubic, clean) + 0.3
    assert float((F.avg_pool2d(found, factor) - y).abs().mean()) < 0.005


@pytest.mark.parametrize("factor", [0.5, 0, -2, 9])
def test_a_factor_that_cannot_be(factor: Any) -> None:
    with pytest.raises(ConfigError, match=r"Downscaled.factor is \S+, expected a number from 1 to 8"):
        Downscaled(factor)


@pytest.mark.parametrize("family", [Blur, Jpeg, Missing, Downscaled, Streaks])
def test_nothing_happens_to_a_flat_photo(family: Any) -> None:
    y = torch.full((1, 3, 48, 48), 0.4)
    found = Method.from_config("denoise", degradation=family).restore(y).image
    assert float((found - 0.4).abs().max()) < 0.02
