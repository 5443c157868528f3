"""The three physical families on composed photos: what was put in is what comes out, before and by learning.

The clean photos are the project's own examples, made small; haze, darkness and noise of known strength are put on them.
Bounds are about twice what was seen, since the priors and the starts will improve.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.fitting import matched, method
from helpers.moments import Affine, names
from helpers.scenes import PHOTOS, bundled, clean, crop, noisy, psnr
from helpers.stacking import METHODS, members, together
from helpers.toys import ToyPrior, toy_photo
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations import Haze, LowLight, Noise, Underwater
from zeroair_pl.degradations.base import Degradation
from zeroair_pl.degradations.exposure import brightened, brightening, darkened
from zeroair_pl.degradations.noise_level import EIGHT_BITS, estimate_noise_level
from zeroair_pl.method.fit import fit
from zeroair_pl.method.settings import Result
from zeroair_pl.priors import Prediction

TEXTURED = "haze_workshop"


def restore(y: Tensor, family: Any) -> Result:
    """As the task configs do."""
    return fit(y, names(1), matched(family, prior=bundled(), lr=0.01, steps=12))


def started(family: Any, y: Tensor) -> Any:
    phi: Degradation = family()
    phi.initialize(y, {}, blurred)
    return phi


@pytest.mark.parametrize(("red", "low", "high"), [(0.7, 1.15, 1.4), (0.15, 0.4, 0.95)])
def test_shallow_water_gets_warm_colors_and_deep_water_does_not(red: float, low: float, high: float) -> None:
    gray = clean(TEXTURED, 96).mean(1, keepdim=True).expand(1, 3, -1, -1)
    y = gray * torch.tensor([red, 1.0, 0.9]).view(1, 3, 1, 1)

    restored = started(Underwater, y).invert(y).detach().clamp(0, 1)

    assert low < float(restored[:, 0].mean() / restored[:, 1].mean()) < high


# ---- learning: given the true clean image, the true parameters are found --------------------------------------------


class Oracle(ToyPrior):
    """Knows the clean photo: what is left to find is the degradation."""

    def __init__(self, photo: Tensor) -> None:
        super().__init__()
        self.photo = photo

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        return Prediction((self.photo * 2 - 1).expand_as(x_t))


def learned(family: Any, photo: Tensor, y: Tensor, lr: float = 0.03, steps: int = 120) -> Any:
    kept: list[Any] = []

    def keep() -> Degradation:
        kept.append(family())
        return kept[0]

    fit(y, names(1), method(keep, Oracle(photo), lr=lr, steps=steps))
    return kept[0]


def test_learning_finds_a_known_gain_and_offset() -> None:
    photo = toy_photo(48, 48)
    phi = learned(Affine, photo, noisy(0.4 * photo + 0.25, 0.02))
    assert float(phi.gain.detach()) == pytest.approx(0.4, abs=0.02)
    assert float(phi.offset.detach()) == pytest.approx(0.25, abs=0.02)


def test_learning_finds_a_known_haze() -> None:
    photo = clean("haze_workshop", 48)
    hazy = 0.5 * photo + 0.5 * torch.tensor([0.9, 0.8, 0.7]).view(1, 3, 1, 1)
    y = noisy(hazy, 0.01)
    before, after = ((phi(photo) - hazy).detach().abs().mean() for phi in (started(Haze, y), learned(Haze, photo, y)))
    assert float(after) < 0.3 * float(before)


@pytest.mark.parametrize("sigma", [0.02, 0.08])
def test_learning_finds_a_known_noise_level(sigma: float) -> None:
    photo = toy_photo(48, 48)
    phi = learned(Affine, photo, noisy(0.6 * photo + 0.1, sigma))
    assert float(phi.noise_level().detach()) == pytest.approx(sigma, rel=0.15)


# ---- noise -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, sigma",
    # The workshop's middle is texture from edge to edge, which hides weaker noise from any single look.
    [(kind, sigma) for kind in ("smooth", *PHOTOS) for sigma in (0.03, 0.1, 0.2) if (kind, sigma) != (TEXTURED, 0.03)],
)
def test_a_noise_level_that_was_put_in_is_found_and_removed(kind: str, sigma: float) -> None:
    photo = 0.1 + 0.8 * (toy_photo(96, 96, 3) if kind == "smooth" else crop(kind))
    y = noisy(photo, sigma)
    result = restore(y, Noise)
    assert float(result.noise_level) == pytest.approx(sigma, rel=0.15)
    assert psnr(result.restored, photo) > psnr(y, photo) + 2


@pytest.mark.parametrize("size", [(16, 16), (23, 40), (64, 64), (256, 192)])
def test_the_first_look_sees_noise_at_every_size(size: tuple[int, int]) -> None:
    got = [estimate_noise_level(noisy(0.3 + 0.4 * toy_photo(*size), sigma)) for sigma in (0.01, 0.05, 0.2)]
    assert got == pytest.approx([0.01, 0.05, 0.2], rel=0.35 if min(size) < 32 else 0.15)


def test_the_first_look_takes_neither_edges_nor_saturation_for_noise() -> None:
    assert estimate_noise_level(toy_photo(64, 64)) < 0.004
    half_white = toy_photo(64, 64)
    half_white[..., :40] = 1.0
    assert estimate_noise_level(noisy(half_white, 0.05)) == pytest.approx(0.05, rel=0.2)


# ---- haze ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("transmission, airlight", [(0.6, 0.8), (0.45, 0.9)])
def test_haze_that_was_put_on_is_found_and_removed(name: str, transmission: float, airlight: float) -> None:
    photo = clean(name)
    y = noisy(transmission * photo + airlight * (1 - transmission), 0.01)
    result = restore(y, Haze)
    assert float(result.diagnostics[0]["transmission"].median()) == pytest.approx(transmission, abs=0.12)
    torch.testing.assert_close(
        result.diagnostics[0]["airlight"].flatten(), torch.full((3,), airlight), atol=0.12, rtol=0
    )
    assert psnr(result.restored, photo) > psnr(y, photo) + 2.5


def test_haze_does_not_depend_on_the_size_of_the_photo() -> None:
    found = []
    for side in (64, 192):
        y = 0.5 * clean("haze_workshop", side) + 0.45
        phi = started(Haze, y)
        found.append((float(phi.transmission().detach().median()), float(phi.airlight.detach().mean())))
    assert found[0] == pytest.approx(found[1], abs=0.06)


@pytest.mark.parametrize("name", PHOTOS)
def test_the_size_of_a_photo_does_not_change_what_haze_is_removed(name: str) -> None:
    y = 0.5 * clean(name, 480) + 0.45
    small = torch.nn.functional.avg_pool2d(y[..., : y.shape[-2] // 2 * 2, : y.shape[-1] // 2 * 2], 2)
    whole, half = started(Haze, y).invert(y).clamp(0, 1), started(Haze, small).invert(small).clamp(0, 1)
    whole = torch.nn.functional.avg_pool2d(whole[..., : y.shape[-2] // 2 * 2, : y.shape[-1] // 2 * 2], 2)
    assert psnr(half.detach(), whole.detach()) > 34


@pytest.mark.parametrize("color", [(0.94, 0.88, 0.76), (0.8, 0.85, 0.93)])
def test_the_airlight_has_the_color_of_a_veil_over_all_of_the_photo(color: tuple[float, float, float]) -> None:
    veil = torch.tensor(color).view(1, 3, 1, 1)
    photo = clean("haze_workshop").mean(1, keepdim=True)
    y = 0.35 * photo * veil + 0.6 * veil  # in light of its color
    y[..., : y.shape[-2] // 5, :] = veil  # the distance
    found = started(Haze, y).airlight.detach().mean((2, 3)).flatten()
    assert float(found[0] - found[2]) == pytest.approx(color[0] - color[2], abs=0.06)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_slightly_blue_veil_does_not_make_a_warm_scene_blue(name: str) -> None:
    veil = torch.tensor([0.83, 0.84, 0.88]).view(1, 3, 1, 1)
    scene = clean(name).mean(1, keepdim=True) * torch.tensor([1.03, 1.0, 0.97]).view(1, 3, 1, 1)
    y = 0.5 * scene + 0.5 * veil
    top = y.shape[-2] // 5
    y[..., :top, :] = veil  # the distance

    restored = started(Haze, y).invert(y).detach().clamp(0, 1)[..., top:, :].mean((0, 2, 3))

    true = scene[..., top:, :].mean((0, 2, 3))
    assert float((restored[2] - restored[0]) - (true[2] - true[0])) < 0.025  # 0.05 with a gray airlight


def test_a_blue_sky_does_not_color_the_airlight() -> None:
    y = 0.5 * clean("haze_workshop") + 0.45
    y[..., : y.shape[-2] // 4, :] = torch.tensor([0.8, 0.88, 0.97]).view(1, 3, 1, 1)
    found = started(Haze, y).airlight.detach().mean((2, 3)).flatten()
    assert float(found.max() - found.min()) < 0.03


def in_the_light_of_a_lamp(x: Tensor) -> tuple[Tensor, Tensor]:
    """A photo in haze, both lit by one lamp, and the same without the haze."""
    height, width = x.shape[-2:]
    down, across = torch.meshgrid(torch.linspace(0, height / width, height), torch.linspace(0, 1, width), indexing="ij")
    glow = torch.exp(-((across - 0.3) ** 2 + (down - 0.25) ** 2) / (2 * 0.22**2))
    light = torch.tensor([1.0, 0.8, 0.55]).view(1, 3, 1, 1) * (0.06 + 0.7 * glow)
    t = torch.linspace(0.4, 0.9, height).view(1, 1, -1, 1)
    return t * x * light + light * (1 - t), x * light


@pytest.mark.parametrize("name", PHOTOS)
def test_haze_in_the_light_of_a_lamp_has_the_light_of_the_lamp(name: str) -> None:
    y, x = in_the_light_of_a_lamp(clean(name, 200))
    phi = started(Haze, y)
    assert psnr(phi.invert(y).clamp(0, 1).detach(), x) > psnr(y, x) + 3
    here = phi.airlight[0].mean(0)
    assert here.max() > 2 * here.median()
    assert torch.allclose(phi(phi.invert(y)), y, atol=1e-4)


@pytest.mark.parametrize("name", PHOTOS)
def test_in_even_light_haze_has_one_airlight(name: str) -> None:
    here = started(Haze, 0.5 * clean(name, 200) + 0.42).airlight
    assert torch.allclose(here, here.mean((2, 3), keepdim=True).expand_as(here), atol=1e-5)


def test_photos_in_even_and_uneven_light_are_computed_as_one() -> None:
    hazy = 0.5 * clean("haze_workshop", 64)[..., :64, :64] + 0.42
    lamp, _ = in_the_light_of_a_lamp(clean("dark_tulips", 64)[..., :64, :64])
    y = torch.cat([hazy, lamp, hazy.flip(-1)])
    apart, as_one = members(y, Haze), together(members(y, Haze), y, METHODS)
    assert as_one.whole is not None
    assert torch.allclose(as_one.call("invert", y), apart.call("invert", y), atol=1e-5)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("frame", [0.0, 1.0])
def test_a_frame_does_not_change_the_transmission_beside_it(name: str, frame: float) -> None:
    x = clean(name, 128)
    t = torch.linspace(0.8, 0.3, x.shape[-2]).view(1, 1, -1, 1)
    y = t * x + 0.85 * (1 - t)
    framed = torch.nn.functional.pad(y, (9, 9, 9, 9), value=frame)
    plain, inside = (started(Haze, photo).invert(photo).detach().clamp(0, 1) for photo in (y, framed))
    assert psnr(inside[..., 9:-9, 9:-9], plain) > 36


EXPOSED_FOR_HAZE = [("dark_tulips", 12.5), ("haze_workshop", 21.2), ("noise_blossom", 16.2)]  # 11.3, 20.0, 14.9 before


@pytest.mark.parametrize("name, least", EXPOSED_FOR_HAZE)
def test_a_scene_that_was_exposed_for_its_haze_is_exposed_without_it(name: str, least: float) -> None:
    x = clean(name, 128)
    t = torch.linspace(0.8, 0.3, x.shape[-2]).view(1, 1, -1, 1)
    y = t * x + 0.9 * (1 - t)
    y = noisy(y * (0.5 / float(y.mean())), 0.004)
    assert psnr(started(Haze, y).invert(y).detach().clamp(0, 1), x) > least


@pytest.mark.parametrize("name", PHOTOS)
def test_fog_in_the_shade_is_not_made_black(name: str) -> None:
    x = clean(name, 128)
    t = torch.linspace(0.4, 0.9, x.shape[-2]).view(1, 1, -1, 1)
    shade = torch.linspace(0.58, 0.5, 64).view(1, 1, -1, 1).expand(1, 3, -1, x.shape[-1])
    y = noisy(torch.cat([t * x + 0.9 * (1 - t), shade], -2), 0.003)
    restored = started(Haze, y).invert(y).detach().clamp(0, 1)[..., -40:, :]
    assert float(restored.mean()) > 0.23  # 0.16 to 0.19 by the dark channel alone


@pytest.mark.parametrize("mean, exposed", [(0.35, False), (0.5, True), (0.68, False)])
def test_the_exposure_of_dark_and_of_bright_hazy_photos_stays(mean: float, exposed: bool) -> None:
    y = 0.5 * clean("haze_workshop") + 0.45
    phi = started(Haze, (y * (mean / float(y.mean()))).clamp(0, 1))
    assert (float(phi.brighter) > 0.1) is exposed


def test_the_exposure_keeps_black_and_white_and_has_an_inverse() -> None:
    x, k = torch.linspace(-0.5, 1.5, 41), torch.tensor(0.8)
    torch.testing.assert_close(darkened(brightened(x, k), k), x)
    torch.testing.assert_close(brightened(torch.tensor([0.0, 0.2, 1.0]), k), torch.tensor([0.0, 0.36 / 1.16, 1.0]))
    assert float(brightened(x.clamp(0, 1), torch.tensor(brightening(x.clamp(0, 1), 0.6))).mean()) == pytest.approx(
        0.6, abs=1e-3
    )


def test_clear_air_is_left_clearer_than_haze() -> None:
    photo = clean("dark_tulips")
    clear, hazy = (float(started(Haze, y).transmission().detach().median()) for y in (photo, 0.5 * photo + 0.45))
    assert clear > hazy + 0.1


# ---- low light -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("gain", [0.25, 0.12])
def test_darkness_that_was_put_on_is_found_and_removed(name: str, gain: float) -> None:
    photo = clean(name)
    y = noisy(gain * photo, 0.01)
    result = restore(y, LowLight)
    scale = float((result.restored * photo).sum() / photo.square().sum())
    assert 0.75 < scale < 1.33
    assert psnr(result.restored, photo) > psnr(y, photo) + 7


def test_a_bright_photo_is_not_brightened_much() -> None:
    photo = 0.3 + 0.7 * toy_photo(64, 64)
    phi = started(LowLight, photo)
    assert float(phi.first_estimate(photo).detach().mean()) < 1.2 * float(photo.mean())


def test_of_a_strong_cast_in_the_dark_half_is_kept_and_a_mild_one_stays() -> None:
    gray = clean(TEXTURED, 96).mean(1, keepdim=True).expand(1, 3, -1, -1)

    def cast(light: tuple[float, float, float]) -> float:
        y = 0.1 * gray * torch.tensor(light).view(1, 3, 1, 1)
        restored = started(LowLight, y).invert(y).detach().clamp(0, 1)
        return float((restored[:, 0].mean() / restored[:, 2].mean()).log())

    assert 0.03 < cast((1.04, 1.0, 0.96)) < 0.06  # log(1.04/0.96) is 0.08, and 1/γ is 0.6
    assert 0.3 < cast((1.0, 0.7, 0.4)) < 0.45  # 0.6·log(1/0.4) is 0.55


def test_uneven_light_is_evened_out_in_part() -> None:
    photo = clean("dark_tulips")
    shade = torch.linspace(0.4, 0.1, photo.shape[-1]).expand_as(photo)
    light = started(LowLight, photo * shade).illumination().detach().mean((0, 1, 2))
    third = len(light) // 3
    assert float(light[:third].mean()) > 1.05 * float(light[-third:].mean())


def test_what_is_bright_in_a_dark_photo_keeps_its_detail() -> None:
    """Clouds above a dark ground are not burnt out when the ground is lit."""
    clouds, ground = (clean(name, 128)[..., :128, :128] for name in ("haze_workshop", "noise_blossom"))
    y = torch.cat([0.9 * clouds, 0.1 * ground], dim=-2)
    lit = started(LowLight, y).invert(y).detach().clamp(0, 1)
    assert float(lit[..., 128:, :].mean()) > 0.2  # the ground is lit
    assert float((lit[..., :128, :].amax(1) > 0.998).float().mean()) < 0.1


@pytest.mark.parametrize("family", [Haze, LowLight, Noise], ids=lambda cls: cls.__name__)
def test_a_flawless_flat_photo_is_known_to_eight_bits_and_no_better(family: Any) -> None:
    assert float(started(family, torch.full((1, 3, 32, 32), 0.4)).noise_level().detach()) == pytest.approx(EIGHT_BITS)


def test_a_black_sky_stays_black_and_does_not_make_the_rest_too_bright() -> None:
    """Steps of 8 bits in a sky without light are no scene, and say nothing about the light on the ground."""
    g = torch.Generator().manual_seed(1)
    ground = 0.15 * clean("noise_blossom", 128)
    night = torch.cat([torch.randint(0, 3, (1, 3, 128, 128), generator=g) / 255, ground], dim=-2)
    found = {}
    for name, y in (("night", night), ("ground", ground)):
        phi = LowLight()
        phi.initialize(y, {}, lambda x, sigma: x)
        found[name] = phi.invert(y).clamp(0, 1).detach()
    sky, lit = found["night"].chunk(2, dim=-2)
    assert float(sky[..., :100, :].mean()) < 0.07
    assert float(lit.mean()) < 1.15 * float(found["ground"].mean())
