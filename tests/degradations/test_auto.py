"""Auto finds what was put on a photo, leaves alone what nothing was put on, and is the family that it chose."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.fitting import matched
from helpers.moments import names
from helpers.scenes import PHOTOS, bundled, clean, crop, noisy, psnr
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations import Auto, Denoise, Haze, LowLight, Noise, Underwater
from zeroair_pl.degradations.choosing import trusted
from zeroair_pl.degradations.noise_level import estimate_noise_level, matched_noise_level
from zeroair_pl.degradations.picture import looked_at, picture
from zeroair_pl.method.first_look import FirstLook
from zeroair_pl.method.fit import fit

FOG = torch.tensor([0.85, 0.86, 0.88]).view(1, 3, 1, 1)
WATER = torch.tensor([0.25, 0.8, 0.85]).view(1, 3, 1, 1)

DONE_TO = {
    "Haze": lambda x: 0.5 * x + 0.5 * FOG,
    "LowLight": lambda x: 0.16 * x**1.2,
    "Underwater": lambda x: WATER * (0.8 * x + 0.2 * WATER),
    "Noise": lambda x: x,
}


def started(y: Tensor) -> Any:
    phi = Auto()
    phi.initialize(y, {}, blurred)
    return phi


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("kind", DONE_TO)
@pytest.mark.parametrize("sigma", [0.0, 0.02])
def test_auto_finds_what_was_done(name: str, kind: str, sigma: float) -> None:
    y = noisy(DONE_TO[kind](clean(name)), sigma)
    phi = started(y)
    if kind == "Noise":
        assert psnr(phi.invert(y).clamp(0, 1), y) > 45
    else:
        assert phi.kind.split(" + ")[0] == kind
        assert phi.amount > 0.15
        assert phi.reason.startswith(f"{float(phi.amount):.0%} of ")


def in_mist(x: Tensor, far: float, near: float) -> Tensor:
    """A photo in haze of which a share ``far`` of the light is left at the top, and ``near`` at the bottom."""
    t = torch.linspace(far, near, x.shape[-2]).view(1, 1, -1, 1)
    return ((t * x + 0.85 * (1 - t)) * 255).round() / 255


@pytest.mark.parametrize(("far", "near", "gain"), [(0.3, 1.0, 1.5), (0.45, 1.0, 0.3), (0.6, 0.85, 0.6)])
def test_haze_behind_a_clear_foreground_is_found_and_doubtful_haze_is_corrected_a_little(
    far: float, near: float, gain: float
) -> None:
    x = clean("haze_workshop", 200)
    y = in_mist(x, far, near)
    phi = started(y)
    assert phi.kind == "Haze"
    assert psnr(phi.invert(y).clamp(0, 1).detach(), x) > psnr(y, x) + gain


@pytest.mark.parametrize("kind", DONE_TO)
def test_what_auto_finds_does_not_depend_on_the_size_of_the_photo(kind: str) -> None:
    found = [started(DONE_TO[kind](clean("dark_tulips", side))) for side in (96, 200, 400)]
    assert kind == "Noise" or {phi.kind for phi in found} == {kind}
    found = [phi for phi in found if phi.kind != "Noise"] or [Noise(), Noise()]
    assert max(float(phi.amount) for phi in found) - min(float(phi.amount) for phi in found) < 0.1


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("kind", ["Haze", "LowLight", "Underwater"])
def test_a_little_more_of_it_changes_a_little(name: str, kind: str) -> None:
    """No decision flips the picture on the way from a clean photo to a degraded one."""
    x, amounts, before = clean(name), [], None
    for share in torch.linspace(0, 1, 26):
        y = torch.lerp(x, DONE_TO[kind](x), float(share))
        phi = started(y)
        now = phi.invert(y).clamp(0, 1).detach()
        assert before is None or psnr(now, before) > (14 if kind == "LowLight" else 17)  # a flip: 7 to 12
        before = now
        amounts.append(float(phi.amount) if phi.kind == kind else 0.0)
    assert amounts[0] < 0.1
    assert amounts[-1] > 0.15


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("light", [0.2, 0.1])
def test_the_dark_is_found_however_dark_it_is(name: str, light: float) -> None:
    phi = started(light * clean(name))
    assert phi.kind == "LowLight"
    assert phi.amount > 0.3


@pytest.mark.parametrize("kind", ["Haze", "LowLight", "Underwater"])
@pytest.mark.parametrize("frame", [0.0, 1.0])
def test_a_frame_changes_nothing(kind: str, frame: float) -> None:
    y = DONE_TO[kind](clean("dark_tulips", 200))
    framed = torch.full((1, 3, y.shape[-2] + 40, y.shape[-1] + 40), frame)
    framed[..., 20:-20, 20:-20] = y
    assert picture(framed).shape[-2] <= y.shape[-2]
    plain, inside = started(y), started(framed)
    assert inside.kind == kind
    assert float(inside.amount) == pytest.approx(float(plain.amount), abs=0.1)
    restored = inside.invert(framed)[..., 40:-40, 40:-40].clamp(0, 1)
    assert psnr(restored, plain.invert(y)[..., 20:-20, 20:-20].clamp(0, 1)) > 25


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_without_a_frame_is_picture_all_over(name: str) -> None:
    assert picture(clean(name, 200)).shape == clean(name, 200).shape


@pytest.mark.parametrize("tone", [(0.1, 0.4, 0.7), (0.1, 0.7, 0.3)])
def test_a_toned_photo_is_not_under_water(tone: tuple[float, float, float]) -> None:
    gray = clean("noise_blossom").mean(1, keepdim=True)
    y = gray ** (1 / (2 * torch.tensor(tone).view(1, 3, 1, 1)))
    assert psnr(started(y).invert(y).clamp(0, 1), y) > 35


def blue_hour(x: Tensor) -> Tensor:
    gray = x.mean(1, keepdim=True)
    return (0.62 + 0.25 * gray) * torch.tensor([0.85, 0.95, 1.08]).view(1, 3, 1, 1)


MEANT = {
    "high key": lambda x: 0.76 + 0.22 * x,
    "snow at the blue hour": blue_hour,
    "gray gradient": lambda x: torch.linspace(0.35, 0.55, x.shape[-1]).expand_as(x).clone(),
    "dark gradient": lambda x: torch.linspace(0.1, 0.14, x.shape[-1]).expand_as(x).clone(),
}


@pytest.mark.parametrize("what", MEANT)
@pytest.mark.parametrize("name", PHOTOS)
def test_what_is_meant_to_be_pale_is_not_taken_for_haze(name: str, what: str) -> None:
    y = MEANT[what](clean(name))
    assert psnr(started(y).invert(y).clamp(0, 1), y) > 40


def test_where_two_are_as_likely_none_is_trusted() -> None:
    assert trusted([0.0, 0.0, 0.0]) == 0
    assert trusted([2.0, 0.5, 0.0]) == 1
    assert trusted([0.8, 0.8, 0.0]) == 0
    assert 0 < trusted([0.8, 0.7, 0.0]) < trusted([0.8, 0.6, 0.0]) < 0.8


@pytest.mark.parametrize("name", PHOTOS)
def test_a_cropped_or_halved_photo_is_restored_alike(name: str) -> None:
    y = DONE_TO["Haze"](clean(name, 400))
    whole = started(y).invert(y).clamp(0, 1)
    small = torch.nn.functional.avg_pool2d(y[..., : y.shape[-2] // 2 * 2, : y.shape[-1] // 2 * 2], 2)
    expected = torch.nn.functional.avg_pool2d(whole[..., : y.shape[-2] // 2 * 2, : y.shape[-1] // 2 * 2], 2)
    assert psnr(started(small).invert(small).clamp(0, 1), expected) > 25
    part = y[..., 40:-40, 40:-40]
    assert psnr(started(part).invert(part).clamp(0, 1), whole[..., 40:-40, 40:-40]) > 20


def test_auto_is_the_family_that_it_chose() -> None:
    y = DONE_TO["Haze"](clean(PHOTOS[0]))
    auto, haze = started(y), Haze()
    haze.initialize(y, {}, blurred)
    torch.testing.assert_close(auto(y), haze(y))
    torch.testing.assert_close(auto.invert(y), haze.invert(y))
    torch.testing.assert_close(auto.penalty(), haze.penalty())
    assert auto.diagnostics().keys() == haze.diagnostics().keys()
    auto.noise.log_sigma.data.add_(1)
    torch.testing.assert_close(auto.chosen.noise_level(), auto.noise_level())
    shared = [p for name, p in auto.named_parameters(remove_duplicate=False) if name.endswith("log_sigma")]
    assert len(shared) == 2
    assert shared[0] is shared[1]


@pytest.mark.parametrize("flat", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (40, 30)])
def test_a_photo_of_one_color_has_some_kind(flat: float, size: tuple[int, int]) -> None:
    phi = started(torch.full((1, 3, *size), flat))
    assert phi.kind in DONE_TO
    assert torch.isfinite(phi.invert(torch.full((1, 3, *size), flat))).all()


def test_each_family_is_surest_of_its_own_work() -> None:
    for name in PHOTOS:
        for family in (Haze, LowLight, Underwater):
            own = family.severity(DONE_TO[family.__name__](clean(name)))
            assert own > 0.15
            assert family.severity(clean(name)) < 0.1


def settings() -> dict[str, Any]:
    return {"lr": 0.01, "steps": 8}


@pytest.mark.parametrize("name", PHOTOS)
def test_a_clean_photo_is_left_as_it_is(name: str) -> None:
    y = crop(name)
    result = fit(y, names(1), matched(Auto, prior=bundled(), **settings()))
    assert psnr(result.restored, y) > 38


@pytest.mark.parametrize("sigma", [6, 12, 25])
@pytest.mark.parametrize("name", PHOTOS)
def test_a_look_through_the_prior_finds_the_noise_under_texture(name: str, sigma: float) -> None:
    y = noisy(0.1 + 0.8 * crop(name), sigma / 255)
    phi = Noise()
    phi.initialize(y, {}, FirstLook(bundled()))
    assert 255 * float(phi.noise_level()) == pytest.approx(sigma, rel=0.2)


def test_coarse_noise_counts_for_more_than_white_noise_of_its_strength() -> None:
    white = 0.01 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    coarse = torch.nn.functional.avg_pool2d(white, 2, 1)
    coarse = coarse * (white.std() / coarse.std())
    assert matched_noise_level(white) == pytest.approx(0.01, rel=0.05)
    assert matched_noise_level(coarse) > 2 * matched_noise_level(white)
    assert matched_noise_level(torch.zeros(1, 3, 8, 8)) == 0


def test_texture_counts_for_less_than_noise_of_its_strength() -> None:
    white = 0.01 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    patches = white.clone()
    patches[..., :32, :] *= 3
    patches[..., 32:, :] *= 0.2
    assert matched_noise_level(patches / patches.std() * white.std()) < 0.6 * matched_noise_level(white)


def test_a_large_photo_is_looked_at_in_parts() -> None:
    seen = []

    class Looking(Noise):
        def measure_noise(self, y: Tensor, denoise: Denoise) -> None:
            def watched(y: Tensor, sigma: float) -> Tensor:
                seen.append(y)
                return denoise(y, sigma)

            super().measure_noise(y, watched)

    look = FirstLook(bundled())
    for size in ((64, 96), (500, 600), (100, 700)):
        phi = Looking()
        photo = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
        phi.initialize(photo, {}, look)
    assert look.nfe == 1 + 4 + 2
    assert [tuple(y.shape) for y in seen] == [(1, 3, 64, 96), (4, 3, 192, 192), (2, 3, 100, 192)]
    assert estimate_noise_level(seen[0]) > 0


def test_a_dark_scene_with_a_bright_light_in_it_is_meant_so() -> None:
    dark = 0.2 * clean("dark_tulips", 200) ** 1.5
    lamp = dark.clone()
    lamp[..., 90:102, 90:110] = 0.9
    assert LowLight.severity(dark) > 0.9
    assert LowLight.severity(lamp) < 0.1


def test_dark_things_under_a_bright_sky_are_meant_so() -> None:
    """With the same dark things under a dim sky, they are not."""
    dark = 0.12 * clean("dark_tulips", 200) ** 1.2
    dim, bright = dark.clone(), dark.clone()
    dim[..., :70, :] = 0.3
    bright[..., :70, :] = 0.93
    assert LowLight.severity(dim) > 0.5
    assert LowLight.severity(bright) < 0.05


def test_a_high_key_photo_is_not_veiled() -> None:
    x = clean("haze_workshop", 200)
    veiled = 0.45 * x + 0.45
    white = veiled.clone()
    white[..., :60, :] = 0.97
    assert Haze.severity(veiled) > 0.9
    assert Haze.severity(white) < 0.05


@pytest.mark.parametrize("pencil", [0.45, 0.6])
def test_a_drawing_on_paper_is_not_in_haze(pencil: float) -> None:
    """The same lines on a sheet that becomes brighter are."""
    y = torch.tensor([0.92, 0.9, 0.86]).view(1, 3, 1, 1).repeat(1, 1, 200, 200)
    y[..., 20::30, 20:180] = y[..., 20:180, 10::40] = pencil
    shaded = y * torch.linspace(1, 0.8, 200).view(1, 1, -1, 1)
    assert Haze.severity(y) < 0.03
    assert Haze.severity(shaded) > 0.3


def test_a_doubtful_correction_is_not_worth_amplifying_noise() -> None:
    x = in_mist(clean("haze_workshop", 200), 0.6, 0.85)
    assert started(x).kind == "Haze"
    assert started(noisy(x, 8 / 255)).kind == "Noise"


def test_water_leaves_no_red_smears_in_the_dark() -> None:
    x = clean("noise_blossom", 128).clone()
    x[..., 30:80, 40:120] *= 0.12  # a dark rock
    share, veil = (torch.tensor(each).view(1, 3, 1, 1) for each in ((0.3, 0.75, 0.7), (0.06, 0.3, 0.4)))
    y = noisy(share * x + veil * 0.4, 2 / 255)
    y[:, :1, 30:80, 40:120] += 0.1  # red light that comes from elsewhere
    phi = Underwater()
    phi.initialize(y, {}, lambda image, _: image)
    rock = phi.invert(y).detach().clamp(0, 1)[..., 35:75, 45:115]
    assert float((rock[:, 0] - rock[:, 1:].amax(1)).mean()) < 0.1  # no more than in the photo
    rest = phi.invert(y).detach()[..., 90:, :]
    assert float(rest[:, 0].mean()) > 1.5 * float(y[:, 0, 90:].mean())


@pytest.mark.parametrize("name", PHOTOS)
def test_the_line_around_a_framed_photo_is_not_its_hardest_edge(name: str) -> None:
    """A blurred line is left of the frame when the photo is made smaller or saved as a JPEG."""
    y = in_mist(clean(name, 200), far=0.25, near=0.75)
    lined = torch.nn.functional.pad(torch.nn.functional.pad(y, (2, 2, 2, 2), value=1.0), (12, 12, 12, 12), value=0.0)
    smaller = torch.nn.functional.interpolate(lined, scale_factor=0.6, mode="bilinear", antialias=True)
    plain, *framed = (Haze.severity(looked_at(photo)) for photo in (y, lined, smaller))
    assert framed == pytest.approx([plain, plain], rel=0.1)
