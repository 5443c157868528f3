"""What every degradation family must keep, for each class in the package and in ``plugins/``."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.registry import BROKEN, concrete, described
from helpers.toys import toy_photo
from zeroair_pl.degradations.base import MAX_NOISE, MIN_NOISE, Degradation
from zeroair_pl.tensors.per_image import build_per_image

FAMILIES = concrete(Degradation, "degradations")
SIZES = [(16, 16), (17, 23), (40, 16), (33, 48)]
EXTREMES = {
    "black": torch.zeros(1, 3, 24, 24),
    "white": torch.ones(1, 3, 24, 24),
    "grey": torch.full((1, 3, 24, 24), 0.5),
    "one lit pixel": torch.zeros(1, 3, 24, 24).index_fill_(3, torch.tensor([7]), 1.0),
    "checkerboard": ((torch.arange(24)[:, None] + torch.arange(24)) % 2).float().expand(1, 3, 24, 24),
    "pure noise": torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0)),
}

every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda cls: cls.__name__)
pointwise_family = pytest.mark.parametrize(
    "family", [cls for cls in FAMILIES if cls.pointwise], ids=lambda cls: cls.__name__
)


def degraded(height: int, width: int) -> Tensor:
    """A dim, noisy, low-contrast photo away from 0 and 1, so that nothing saturates."""
    noise = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(5))
    return (0.25 + 0.3 * toy_photo(height, width) + 0.03 * noise).clamp(0, 1)


def built(family: Any, y: Tensor, seed: int = 0) -> Any:
    """A fresh member for the photo ``y``, as a fit makes it."""
    phi: Any = next(iter(build_per_image(family, ["photo.png"], seed, "degradation")))
    phi.initialise(y)
    return phi


def energy(phi: Any, x: Tensor) -> Tensor:
    return phi(x).square().mean() + phi.regularisation() + phi.noise_level()


def test_every_plugin_file_loads() -> None:
    assert not BROKEN


def test_families_are_found() -> None:
    assert {"Haze", "LowLight", "Neural", "Noise"} <= {cls.__name__ for cls in FAMILIES}


@every_family
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_forward_keeps_shape_and_gives_gradients_to_the_image_and_every_parameter(
    family: Any, size: tuple[int, int]
) -> None:
    y = degraded(*size)
    phi, x = built(family, y), toy_photo(*size).clamp(0.1, 0.9).requires_grad_()
    before = x.detach().clone()
    y_hat = phi(x)
    assert y_hat.shape == x.shape
    assert y_hat.dtype == x.dtype
    assert bool(torch.isfinite(y_hat).all())
    energy(phi, x).backward()
    assert torch.equal(x.detach(), before), "forward changed its input"
    gradients = {"x": x.grad, **{name: p.grad for name, p in phi.named_parameters() if p.requires_grad}}
    for name, gradient in gradients.items():
        assert gradient is not None, f"no gradient reaches {name}"
        assert bool(torch.isfinite(gradient).all()), f"the gradient of {name} is not finite"
        assert float(gradient.abs().max()) > 0, f"the gradient of {name} is zero"


@pointwise_family
def test_pointwise_is_true_where_it_is_claimed(family: Any) -> None:
    x = toy_photo(20, 20).clamp(0.2, 0.8)
    phi = built(family, degraded(20, 20))
    with torch.no_grad():
        for channel, row, column in ((0, 3, 4), (1, 19, 0), (2, 10, 17)):
            moved = x.clone()
            moved[0, channel, row, column] += 0.1
            change = (phi(moved) - phi(x)).abs()
            assert float(change[0, channel, row, column]) > 1e-3
            change[0, channel, row, column] = 0
            assert float(change.max()) < 1e-6


@pointwise_family
def test_a_pointwise_family_inverts_itself(family: Any) -> None:
    phi, x = built(family, degraded(24, 24)), toy_photo(24, 24).clamp(0.1, 0.9)
    with torch.no_grad():
        torch.testing.assert_close(phi.invert(phi(x)), x, atol=1e-4, rtol=0)


@every_family
@pytest.mark.parametrize("moved", [0.0, -0.5, 0.5])
@pytest.mark.parametrize("kind", EXTREMES)
def test_extreme_photos_give_finite_numbers_everywhere(family: Any, kind: str, moved: float) -> None:
    """At the start, and after learning has moved every parameter."""
    y = EXTREMES[kind]
    phi = built(family, y)
    with torch.no_grad():
        for p in phi.parameters():
            p.add_(moved)
    for x in (y, EXTREMES["black"], EXTREMES["white"]):
        variable = x.clone().requires_grad_()
        phi.zero_grad()
        energy(phi, variable).backward()
        numbers = {"forward": phi(x), "first estimate": phi.first_estimate(y), "x.grad": variable.grad, **phi.maps()}
        numbers |= {name: p for name, p in phi.named_parameters()}
        numbers |= {f"{name}.grad": p.grad for name, p in phi.named_parameters() if p.grad is not None}
        broken = [name for name, value in numbers.items() if not bool(torch.isfinite(value).all())]
        assert not broken


@every_family
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_first_estimate_is_an_image(family: Any, size: tuple[int, int]) -> None:
    y = degraded(*size)
    estimate = built(family, y).first_estimate(y).detach()
    assert estimate.shape == y.shape
    assert float(estimate.min()) >= 0
    assert float(estimate.max()) <= 1
    assert float(estimate.std()) > 0.01


@every_family
def test_maps_are_images_or_numbers(family: Any) -> None:
    for name, value in built(family, degraded(33, 48)).maps().items():
        assert isinstance(name, str)
        value = value.detach()
        assert value.ndim == 4
        assert value.shape[0] == 1
        assert bool(torch.isfinite(value).all()), name
        if value.shape[-2:] != (1, 1):
            assert value.shape[1] in (1, 3), name
            assert float(value.min()) >= 0, name
            assert float(value.max()) <= 1, name


@every_family
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.9])
def test_noise_level_is_a_scalar_in_range_that_can_move(family: Any, noise: float) -> None:
    y = (toy_photo(48, 48) + noise * torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    phi = built(family, y)
    sigma = phi.noise_level()
    assert sigma.ndim == 0
    assert MIN_NOISE * 0.999 <= float(sigma.detach()) <= MAX_NOISE * 1.001
    sigma.backward()
    assert float(phi.log_noise.grad.abs()) > 0, "the noise level starts where its gradient is cut off"


@every_family
def test_regularisation_is_a_finite_scalar_and_not_negative(family: Any) -> None:
    value = built(family, degraded(24, 24)).regularisation()
    assert value.ndim == 0
    assert bool(torch.isfinite(value))
    assert float(value.detach()) >= 0


@every_family
def test_members_share_nothing_and_random_numbers_come_from_the_image_alone(family: Any) -> None:
    y = degraded(24, 24)
    torch.manual_seed(4)
    state = torch.get_rng_state()
    one, other = built(family, y), built(family, y)
    torch.manual_seed(123)
    third = built(family, y)
    torch.set_rng_state(state)
    with torch.no_grad():
        for p in one.parameters():
            p.add_(0.1)
        assert torch.equal(other(y), third(y))
        assert not torch.equal(one(y), other(y)) or family.__name__ == "Noise"
    assert torch.equal(torch.get_rng_state(), state)


@every_family
def test_a_learned_state_is_stored_whole(family: Any) -> None:
    """A resumed fit initialises from the photo, then loads: everything that forward uses must come back."""
    y = degraded(24, 24)
    learned = built(family, y)
    with torch.no_grad():
        for p in learned.parameters():
            p.add_(0.02)
    again = built(family, y, seed=1)
    again.load_state_dict(learned.state_dict())
    with torch.no_grad():
        assert torch.equal(again(y), learned(y))
        assert torch.equal(again.noise_level(), learned.noise_level())


@every_family
def test_described(family: Any) -> None:
    described(family)


@every_family
def test_members_can_be_computed_as_one(family: Any) -> None:
    """As accelerators do for a batch of photos; see ``stacks``. A family that cannot be is computed one by one there:
    right, but slow."""
    y = torch.cat([degraded(33, 48), 0.9 * degraded(33, 48).flip(-1), degraded(33, 48).flip(-2) ** 1.2])
    x = torch.cat([toy_photo(33, 48, seed).clamp(0.1, 0.9) for seed in range(3)])
    apart, together = (build_per_image(family, ["a.png", "b.png", "c.png"], 0, "degradation") for _ in range(2))
    for i in range(3):
        for group in (apart, together):
            group.each[i].initialise(y[i : i + 1])
            with torch.no_grad():
                for k, p in enumerate(group.each[i].parameters()):
                    p.add_(0.02 * (i + 1) * (-1) ** k)  # learned
    methods = ["noise_level", "regularisation", "invert", "first_estimate", "maps"]
    together.stack(y, [*methods, "seen_through"] if family.pointwise else methods)
    assert together.stacked
    same = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)
    for method, image in (("forward", x), ("invert", y), ("first_estimate", y)):
        same(together.call(method, image), apart.call(method, image))
    for method in ("noise_level", "regularisation"):
        same(together.call(method), apart.call(method))
    for one, other in zip(together.dicts("maps"), apart.dicts("maps"), strict=True):
        same(one, other)
    if family.pointwise:
        for one, other in zip(together.dicts("seen_through", y), apart.dicts("seen_through", y), strict=True):
            same(one, other)
    gradients: list[Any] = []
    for group in (together, apart):
        variable = x.clone().requires_grad_()
        energies = (
            group(variable).square().flatten(1).mean(1) + group.call("regularisation") + group.call("noise_level")
        )
        energies.sum().backward()
        gradients.append(variable.grad)
    same(*gradients)
    own = [{name: p.grad for name, p in phi.named_parameters()} for phi in apart]
    for name, p in together.stacks[0].named_parameters():
        same(p.grad, torch.stack([each[name.replace("/", ".")] for each in own]))
