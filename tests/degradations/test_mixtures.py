"""Several degradations of one photo under ``auto``: JPEG and noise are removed before anything amplifies them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.scenes import PHOTOS, as_jpeg, bundled, clean, crop, noisy, psnr
from zeroair_pl import Method
from zeroair_pl.degradations import Auto, Haze, LowLight, Missing
from zeroair_pl.degradations.auto import GENTLE
from zeroair_pl.degradations.choosing import most
from zeroair_pl.degradations.clearing import STRONG, Cleared, faintly_unblocked, tables_of
from zeroair_pl.degradations.impulses import salt_and_pepper
from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.method.first_look import FirstLook


def restored(y: Tensor, **settings: Any) -> Any:
    return Method.from_config("auto", sampling={"steps": 6, **settings}).restore(y)


def started(y: Tensor) -> tuple[Auto, Tensor]:
    phi = Auto()
    phi.initialize(y, {}, FirstLook(bundled()))
    return phi, phi.explained(y)


@pytest.mark.parametrize("working_pixels", [10**6, 80 * 80])
def test_strong_jpeg_is_unblocked(working_pixels: int) -> None:
    x = crop("haze_workshop", 128)
    y = as_jpeg(x, 12)[1]
    found = restored(y, working_pixels=working_pixels)
    assert found.kind.endswith("Jpeg")
    assert found.reason == "JPEG of quality 12"
    assert psnr(found.image, x) > psnr(y, x) + 0.5


@pytest.mark.parametrize("quality", [70, 90])
@pytest.mark.parametrize("name", PHOTOS)
def test_a_good_jpeg_is_left_as_it_is(name: str, quality: int) -> None:
    tables = tables_of(as_jpeg(crop(name, 128), quality)[1], {})
    assert tables is None or tables.quality() > STRONG


def unblocked_first(name: str, quality: int) -> tuple[Auto, Tensor, Tensor, Tensor]:
    """What ``auto`` takes for the clear photo of a JPEG in haze, the photo before JPEG, and the JPEG."""
    hazy = 0.4 * crop(name, 128) + 0.5
    y = as_jpeg(hazy, quality)[1]
    return (*started(y), hazy, y)


@pytest.mark.parametrize("name", PHOTOS)
def test_faint_jpeg_is_removed_where_haze_amplifies_it(name: str) -> None:
    phi, seen, hazy, y = unblocked_first(name, 65)
    assert phi.kind == "Haze + Jpeg"
    assert phi.reason.endswith("JPEG of quality 65")
    assert psnr(seen, hazy) > psnr(y, hazy) + 0.3


def test_better_jpeg_is_removed_less() -> None:
    moved = []
    for quality in (65, 86, 92):
        phi, seen, _, y = unblocked_first("noise_blossom", quality)
        moved.append(float((seen - y).square().mean().sqrt()))
        assert ("Jpeg" in phi.kind) == (moved[-1] > 0)
    assert moved[0] > 3 * moved[1] > 3 * moved[2] == 0


def test_a_slight_correction_removes_as_large_a_share_of_jpeg() -> None:
    y = as_jpeg(0.4 * crop("noise_blossom", 128) + 0.5, 65)[1]
    moved, look = [], FirstLook(bundled())
    for amount in (1.0, 0.5, 0.01):
        found = Cleared(tables=tables_of(y, {}))
        moved.append(float((faintly_unblocked(y, found, torch.tensor(amount), look) - y).abs().mean()))
        assert (found.jpeg is not None) == (amount > 0.1)
    assert moved[1] == pytest.approx(moved[0] / 2, rel=0.02)
    assert moved[2] == 0


def test_what_was_cleared_of_something_else_keeps_its_faint_jpeg() -> None:
    y = as_jpeg(0.4 * crop("noise_blossom", 128) + 0.5, 65)[1]
    found = Cleared(specks=Missing(), tables=tables_of(y, {}))
    assert faintly_unblocked(y, found, torch.tensor(1.0), FirstLook(bundled())) is y


def test_blocks_are_found_wherever_they_begin() -> None:
    y = as_jpeg(clean("noise_blossom", 400), 20)[1][..., 3:, 5:]
    tables = tables_of(y, {})
    assert tables is not None
    assert tables.quality() == 20


def test_noise_is_removed_before_the_dark_is_lit() -> None:
    dark = 0.22 * crop("noise_blossom", 128) ** 1.4
    y = noisy(dark, 6 / 255)
    phi, seen = started(y)
    assert phi.kind == "LowLight + Noise"
    assert "darkness" in phi.reason
    assert "noise of" in phi.reason
    assert psnr(seen, dark) > psnr(y, dark) + 4
    assert phi.chosen.curve == pytest.approx(GENTLE, abs=0.01)
    assert float(phi.chosen.get_buffer("log_color").abs().max()) < 0.01, "colors stay"
    assert phi.noise_level() < 3 / 255
    assert torch.equal(phi.explained(y), y), "the cleared photo is handed over once"


def test_each_part_of_a_mixture_has_a_strength() -> None:
    y = noisy(0.22 * crop("noise_blossom", 128) ** 1.4, 6 / 255)
    found = restored(y, steps=2)
    assert found.kinds == ["LowLight", "Noise"]
    dark = found.blend({"LowLight": 0.0})
    assert psnr(dark.image, y) > psnr(found.image, y) + 8
    assert psnr(dark.image, 0.22 * crop("noise_blossom", 128) ** 1.4) > psnr(dark.image, y), "without its noise"


def test_texture_is_not_removed_as_noise() -> None:
    y = 0.5 * clean("haze_workshop") + 0.43
    phi, seen = started(y)
    assert phi.kind == "Haze"
    assert torch.equal(seen, y)


def test_a_photo_with_noise_and_without_lights_is_dark() -> None:
    stars = torch.full((1, 3, 200, 200), 0.06)
    stars[..., ::37, ::41] = 0.3
    assert most(looked_at(0.3 * clean("noise_blossom", 200)), 6 / 255)[:2] == (LowLight, 1.0)
    assert most(looked_at(stars), 6 / 255)[1] == 0


def test_signs_of_darkness_add_up() -> None:
    photo = looked_at(0.4 * clean("noise_blossom", 200))
    alone, with_noise = most(photo, 0.0)[1], most(photo, 3 / 255)[1]
    assert 0.2 < alone < 0.4
    assert with_noise > alone + 0.1


@pytest.mark.parametrize("name", ["dark_tulips", "noise_blossom"])
def test_a_dark_photo_with_haze_is_both(name: str) -> None:
    x = clean(name, 200)
    t = torch.linspace(0.35, 0.8, x.shape[-2]).view(1, 1, -1, 1)
    y = 0.25 * (t * x + 0.86 * (1 - t)) ** 1.3
    phi, seen = started(y)
    assert phi.kind == "Haze + LowLight"
    assert "when lit" in phi.reason
    lit = LowLight()
    lit.initialize(y, {}, FirstLook(bundled()))
    alone = psnr(lit.invert(y).clamp(0, 1).detach(), x)
    assert psnr(phi.invert(seen).clamp(0, 1).detach(), x) > max(alone, psnr(y, x)) + 2


@pytest.mark.parametrize("name", PHOTOS)
def test_a_dark_photo_without_haze_is_only_dark(name: str) -> None:
    assert started(0.2 * clean(name, 200) ** 1.4)[0].kind == "LowLight"


@pytest.mark.parametrize("name", PHOTOS)
def test_in_dense_haze_nothing_is_taken_for_open_sky(name: str) -> None:
    x = clean(name)
    t = torch.linspace(0.2, 0.45, x.shape[-2]).view(1, 1, -1, 1)
    y = t * x + 0.88 * (1 - t)
    phi = Haze()
    phi.initialize(y, {}, lambda x, sigma: x)
    assert psnr(phi.invert(y).clamp(0, 1).detach(), x) > psnr(y, x) + 5


def test_a_dark_noisy_photo_can_be_enlarged() -> None:
    y = noisy(0.2 * crop("noise_blossom", 64), 6 / 255)
    found = Method.from_config("auto", upscale=2, sampling={"steps": 3}).restore(y)
    assert found.kind == "Downscaled + LowLight + Noise"
    assert found.image.mean() > 2 * y.mean()


def peppered(x: Tensor, share: float) -> Tensor:
    """``x`` with this share of its pixels black or white."""
    fate = torch.rand(1, 1, *x.shape[-2:], generator=torch.Generator().manual_seed(5))
    return torch.where(fate < share / 2, 0.0, torch.where(fate < share, 1.0, x))


@pytest.mark.parametrize("working_pixels", [10**6, 80 * 80])
def test_black_and_white_specks_are_removed(working_pixels: int) -> None:
    x = crop("haze_workshop", 128)
    y = peppered(x, 0.05)
    found = restored(y, working_pixels=working_pixels)
    assert found.kind == "Missing"
    assert found.reason == "black and white specks everywhere"
    assert psnr(found.image, x) > psnr(y, x) + 10


def test_specks_do_not_hide_the_haze() -> None:
    x = 0.5 * clean("dark_tulips", 128) + 0.43
    phi, seen = started(peppered(x, 0.05))
    assert phi.kind == "Haze + Missing"
    assert psnr(seen, x) > 35


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.3])
def test_noise_and_texture_are_no_specks(name: str, sigma: float) -> None:
    x = clean(name)
    gray = x.mean(1, keepdim=True).expand_as(x)
    grain = torch.randn(gray[:, :1].shape, generator=torch.Generator().manual_seed(2))
    assert salt_and_pepper((gray + sigma * grain).clamp(0, 1).mul(255).round() / 255) < 0.05
    assert salt_and_pepper(peppered(x, 0.03)) > 0.9


@pytest.mark.parametrize("which", ["black", "white"])
def test_stars_and_dust_are_no_specks(which: str) -> None:
    """A fault makes pixels of both colors; white ones alone may be stars or snow."""
    x = 0.1 + 0.6 * clean("noise_blossom", 128)
    y = peppered(x, 0.05)
    kept = (y == 0) if which == "black" else (y == 1)
    assert salt_and_pepper(torch.where(kept, y, x)) == 0
