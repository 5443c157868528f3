"""A strength for each kind: each corner of the mix is the photo without just these degradations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.toys import toy_photo
from zeroair_pl.degradations import Chain
from zeroair_pl.degradations.base import Degradation
from zeroair_pl.degradations.downscaled import Downscaled
from zeroair_pl.method.shares import kinds_in, mixed_for, steps_of, strength_for
from zeroair_pl.photos.photo import Photo


class Veil(Degradation):
    pointwise = True

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x + 0.4

    def invert(self, y: Tensor) -> Tensor:
        return (y - 0.4) / 0.5


class Soft(Degradation):
    """A blur whose clean image is larger than the photo by two pixels on each side."""

    reach = (2, 2)

    def shape(self, y: Tensor) -> tuple[int, int]:
        return y.shape[-2] + 4, y.shape[-1] + 4

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 5, stride=1)


X = toy_photo(64, 80)[0]
NOISE = 0.02 * torch.randn(X.shape, generator=torch.Generator().manual_seed(0))


def blurred(x: Tensor) -> Tensor:
    return Soft()(F.pad(x[None], (2, 2, 2, 2), "replicate"))[0]


def far(one: Tensor, other: Tensor) -> float:
    return float((one - other).square().mean().sqrt())


def test_of_one_kind_and_its_noise() -> None:
    y = Veil()(X) + NOISE
    shares = {
        (0, 0): y,
        (1, 0): X + 2 * NOISE,  # φ⁻¹ doubles the noise
        (0, 1): Veil()(X),
        (0.5, 1): (X + Veil()(X)) / 2,
        (1, 0.5): X + NOISE,
    }
    for (veil, noise), expected in shares.items():
        found = mixed_for(y, X, {"Veil": veil, "Noise": noise}, "Veil")
        assert far(found, expected.clamp(0, 1)) < 0.006, (veil, noise)
    assert torch.equal(mixed_for(y, X, {"Veil": 1, "Noise": 1, "Blur": 0}, "Veil"), X)
    assert torch.equal(mixed_for(y, X, {"Veil": 0, "Noise": 0}, "Veil"), y)


def test_of_a_chain() -> None:
    phi = Chain([Veil, Soft])
    y = blurred(Veil()(X)) + NOISE
    steps = steps_of(phi, X, Photo(y, "PNG", "rgb"))
    assert far(steps[0], Veil()(X)) < 1e-6
    assert far(steps[1], blurred(Veil()(X))) < 1e-6
    shares = {(0, 0): y - NOISE, (1, 0): blurred(X), (0, 1): Veil()(X), (1, 1): X}
    for (veil, soft), expected in shares.items():
        found = mixed_for(y, X, {"Veil": veil, "Soft": soft}, "Veil + Soft", steps)
        assert far(found, expected) < 0.012, (veil, soft)
    near = mixed_for(y, X, {"Veil": 1 - 1e-6}, "Veil + Soft", steps)
    assert float((near - X).abs().max()) < 1e-4, "no step at the end"


def test_of_an_enlarged_photo_and_under_a_mask() -> None:
    phi = Chain([lambda: Downscaled(2), Veil])
    photo = Photo(Veil()(F.avg_pool2d(X[None], 2))[0], "PNG", "rgb")
    steps = steps_of(phi, X, photo)
    assert [tuple(step.shape) for step in steps] == [(3, 32, 40)] * 2
    weight = torch.zeros(1, 32, 40)
    weight[:, :16] = 1
    found = mixed_for(photo.pixels, X, {"Veil": 0.3}, "Downscaled + Veil", steps, weight)
    plain = mixed_for(photo.pixels, X, 0.0, "Downscaled + Veil")
    assert torch.equal(found[:, 32:], plain[:, 32:])
    assert far(found[:, :32], plain[:, :32]) > 0.02


@pytest.mark.parametrize(
    "strength,kind,expected",
    [
        (0.6, "Haze", 0.6),
        ({"Haze": 0.6}, "Haze + Blur", {"Haze": 0.6, "Blur": 1.0, "Noise": 1.0}),
        ({"Haze": 0.6}, "LowLight", 1.0),
        ({"Haze": 0.0, "Noise": 0.0}, "Haze", 0.0),
        ({"Haze": 0.0, "Noise": 0.4}, "Noise", {"Noise": 0.4}),
    ],
)
def test_the_strength_for_one_photo(strength: float | dict[str, float], kind: str, expected: object) -> None:
    assert strength_for(strength, kind) == expected


def test_kinds() -> None:
    assert kinds_in("Haze + Noise") == ["Haze", "Noise"]
    assert kinds_in("") == ["Noise"]
