"""The light of a scene, as its camera noted it: read from EXIF, and believed by Auto as evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from helpers.command import TOY, run
from helpers.scenes import clean
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations import Auto, Haze, LowLight
from zeroair_pl.degradations.choosing import most
from zeroair_pl.degradations.light import belief, luminance
from zeroair_pl.degradations.picture import looked_at
from zeroair_pl.photos.exposure import Exposure, exposure_of
from zeroair_pl.photos.reading import load_photo

DAY, ROOM, MOON = Exposure(300.0), Exposure(8.0), Exposure(0.02)


def block(tags: dict[int, Any]) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(34665).update(tags)
    exif[34665] = exif.get_ifd(34665)
    return exif.tobytes()


def test_sunny_sixteen() -> None:
    """In full sun, f/16 and 1/100 s are right for ISO 100: 4 kcd/m² and a reflectance of 18 % of 10^5 lux."""
    exposure = exposure_of(block({33434: 0.01, 33437: 16.0, 34855: 100}))
    assert exposure is not None
    assert exposure.light == pytest.approx(12.5 * 16**2 / (0.01 * 100), rel=1e-3)
    apex = exposure_of(block({37377: 6.643856, 37378: 8.0, 34855: 100}))
    assert apex is not None
    assert apex.light == pytest.approx(exposure.light, rel=1e-3)


@pytest.mark.parametrize(
    "exif", [None, b"", b"Exif\0\0garbage", block({}), block({33434: 0.0, 33437: 2.8, 34855: 100}), block({37385: 16})]
)
def test_nothing_that_can_be_used_is_none(exif: bytes | None) -> None:
    assert exposure_of(exif) is None


@pytest.mark.parametrize("aperture", [1e4, 2000.0, -2000.0, float("nan")])
def test_an_impossible_value_is_no_reason_to_lose_a_photo(aperture: float, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = {33434: 0.01, 37378: aperture, 34855: 100}
    monkeypatch.setattr(Image.Exif, "load", lambda *_: None)
    monkeypatch.setattr(Image.Exif, "get_ifd", lambda *_: tags)
    assert exposure_of(b"any") is None


def test_a_flash_counts_without_the_rest() -> None:
    assert exposure_of(block({37385: 0x19})) == Exposure(None, True)


def test_a_middle_gray_has_the_light_of_the_meter() -> None:
    gray = torch.full((1, 3, 8, 8), 0.18 ** (1 / 2.2))
    assert luminance(gray, DAY) == pytest.approx(300, rel=1e-4)
    assert luminance(gray, Exposure(None, True)) is None


def start(y: Tensor, exposure: Exposure | None) -> Any:
    phi = Auto()
    phi.initialize(y, {} if exposure is None else {"exposure": exposure}, blurred)
    return phi


def test_doubtful_haze_in_the_light_of_a_room_is_corrected_less() -> None:
    x = clean("haze_workshop", 200)
    t = torch.linspace(0.6, 0.8, x.shape[-2]).view(1, 1, -1, 1)
    y = t * x + 0.85 * (1 - t)
    none, day, room = (most(looked_at(y), 0.0, exposure) for exposure in (None, DAY, ROOM))
    assert (none[0], none[2]) == (day[0], day[2])
    assert none[0] is Haze
    assert 0.2 < room[2] < 0.7 * none[2]
    assert room[3].endswith("less in the light of a room")
    assert start(y, ROOM).amount < start(y, DAY).amount


def test_the_dark_beyond_a_flash_is_meant() -> None:
    y = 0.35 * clean("dark_tulips", 200) ** 1.2
    y[..., 80:110, 80:110] = 0.05 + 0.75 * clean("noise_blossom", 30)
    y = y.clamp(0, 1)
    plain, flashed = (most(looked_at(y), 0.0, exposure) for exposure in (DAY, Exposure(30.0, True)))
    assert plain[0] is LowLight
    assert flashed[2] < 0.5 * plain[2]
    dim = 0.3 * y  # the flash did not reach it
    assert start(dim, Exposure(30.0, True)).amount == start(dim, DAY).amount > 0.5


def test_a_night_under_the_moon_stays_one() -> None:
    y = 0.16 * clean("dark_tulips", 200) ** 1.2
    assert start(y, None).kind == start(y, ROOM).kind == "LowLight"
    assert start(y, MOON).kind != "LowLight"


def test_notes_only_take_away() -> None:
    y = clean("dark_tulips", 64)
    for family in ("Haze", "LowLight", "Underwater"):
        for exposure in (None, DAY, ROOM, MOON, Exposure(None, True), Exposure(1e9), Exposure(1e-9)):
            share, why = belief(family, y, 0.9, exposure)
            assert 0 <= share <= 1
            assert (share < 1) == bool(why)
        assert belief(family, y, 0.9, None) == (1, "")


def test_from_a_file_to_the_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exif = block({33434: 0.01, 33437: 2.8, 34855: 400, 37385: 1})
    pixels = (clean("dark_tulips", 64)[0].permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(pixels).save("a.jpg", exif=exif)
    photo = load_photo(Path("a.jpg"))
    assert photo.side["exposure"].light == pytest.approx(24.5, rel=1e-3)
    assert photo.side["exposure"].flash
    outcome = run("restore", "--images", "a.jpg", "--out", "out", *TOY, "--explain", "--json")
    found = [json.loads(line) for line in outcome.out.splitlines() if line.startswith("{")]
    told = next(each["exposure"] for each in found if "exposure" in each)
    assert told["flash"] is True
    assert 0 < told["light"] < 24.5 / 0.18
