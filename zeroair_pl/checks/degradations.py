"""The contract of degradations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.checks.samples import EXTREMES, blurred, degraded, expect_image, fitted_to, toy_photo
from zeroair_pl.degradations.base import Degradation, Moment
from zeroair_pl.degradations.noise_models import MAX_NOISE, MIN_NOISE
from zeroair_pl.degradations.promises import broken_promise
from zeroair_pl.tensors.per_image import build_per_image

SIZES = [(16, 16), (17, 23), (40, 16), (33, 48)]


def differentiable(family: Any) -> None:
    """forward keeps the shape, leaves its input alone, and gives gradients to the image and every parameter"""
    for height, width in SIZES:
        y = degraded(height, width)
        phi = fitted_to(family, y)
        x = toy_photo(*phi.shape(y)).clamp(0.1, 0.9).requires_grad_()
        before = x.detach().clone()
        y_hat = phi(x)
        expect_image(y_hat, y.shape, "forward", unit=False)
        assert y_hat.dtype == x.dtype, f"forward makes {y_hat.dtype} of {x.dtype}"
        energy(phi, x).backward()
        assert torch.equal(x.detach(), before), "forward changed its input"
        gradients = {"x": x.grad, **{name: p.grad for name, p in phi.named_parameters() if p.requires_grad}}
        for name, gradient in gradients.items():
            assert gradient is not None, f"no gradient reaches {name}"
            assert bool(torch.isfinite(gradient).all()), f"the gradient of {name} is not finite"
            assert float(gradient.abs().max()) > 0, f"the gradient of {name} is zero"


def inverse(family: Any) -> None:
    """invert undoes forward if the class is pointwise"""
    if not family.pointwise:
        return
    phi, x = fitted_to(family, degraded(24, 24)), toy_photo(24, 24).clamp(0.1, 0.9)
    with torch.no_grad():
        error = float((phi.invert(phi(x)) - x).abs().max())
    assert error < 1e-4, f"invert(forward(x)) differs from x by {error:.2g}"


def promises(family: Any) -> None:
    """pointwise, batched and scales are true, also after learning; a run checks this with its first photo"""
    y = degraded(33, 48)
    broken = broken_promise(fitted_to(family, y), y)
    assert not broken, broken


def extremes(family: Any) -> None:
    """photos that are black, white, gray or pure noise give finite numbers, before learning and after"""
    for kind, y in EXTREMES.items():
        for moved in (0.0, -0.5, 0.5):
            phi = fitted_to(family, y)
            with torch.no_grad():
                for p in phi.parameters():
                    p.add_(moved)
            for shown in (y, EXTREMES["black"], EXTREMES["white"]):
                x = F.interpolate(shown, size=phi.shape(y))
                variable = x.clone().requires_grad_()
                phi.zero_grad()
                energy(phi, variable).backward()
                numbers = {"forward": phi(x), "first_estimate": phi.first_estimate(y), "x.grad": variable.grad}
                numbers |= {**phi.diagnostics(), **dict(phi.named_parameters())}
                numbers |= {f"{name}.grad": p.grad for name, p in phi.named_parameters() if p.grad is not None}
                broken = [name for name, value in numbers.items() if not bool(torch.isfinite(value).all())]
                assert not broken, f"not finite for a photo that is {kind}: {', '.join(broken)}"


def first_estimate(family: Any) -> None:
    """first_estimate is an image in [0, 1]"""
    for size in SIZES:
        y = degraded(*size)
        phi = fitted_to(family, y)
        estimate = phi.first_estimate(y).detach()
        expect_image(estimate, (1, 3, *phi.shape(y)), "first_estimate")
        assert float(estimate.std()) > 0.01, "first_estimate is of one color"


def diagnostics(family: Any) -> None:
    """diagnostics are images (1, C, H, W) in [0, 1] or numbers (1, C, 1, 1)"""
    for name, value in fitted_to(family, degraded(33, 48)).diagnostics().items():
        assert isinstance(name, str), f"{name!r} is no name"
        number = value.shape[-2:] == (1, 1)
        assert value.ndim == 4, f"{name} has {value.ndim} dimensions"
        assert value.shape[0] == 1, f"{name} is of several photos"
        assert number or value.shape[1] in (1, 3), f"{name} has {value.shape[1]} channels"
        expect_image(value.detach(), what=name, unit=not number)


def proximal(family: Any) -> None:
    """proximal lies between the clean estimate and the photo, and its image explains the photo no worse"""
    for size in ((24, 24), (33, 48)):
        y = degraded(*size)
        phi = fitted_to(family, y)
        x0 = phi.first_estimate(y).detach() * 0.9 + 0.05
        with torch.no_grad():
            near, far = (phi.proximal(x0, y, torch.tensor([error])) for error in (1e-4, 0.1))
            expect_image(far, x0.shape, "proximal", unit=False)
            assert float((near - x0).abs().max()) < 0.02, "a clean estimate without error is moved"
            before, after = (float((phi(x) - y).square().mean()) for x in (x0, far))
        assert after <= before + 1e-6, f"the photo's misfit goes from {before:.3g} to {after:.3g}"


def result(family: Any) -> None:
    """result is an image"""
    y = degraded(33, 48)
    phi = fitted_to(family, y)
    x0 = phi.first_estimate(y).detach()
    found = phi.result(x0, x0).detach()
    expect_image(found, (1, 3, *found.shape[2:]), "result", unit=False)


def noise_level(family: Any) -> None:
    """noise_level is a scalar in its range that can be learned"""
    for noise in (0.0, 0.05, 0.9):
        grain = torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(1))
        phi = fitted_to(family, (toy_photo(48, 48) + noise * grain).clamp(0, 1))
        sigma = phi.noise_level()
        assert sigma.ndim == 0, f"noise_level has {sigma.ndim} dimensions"
        value = float(sigma.detach())
        assert MIN_NOISE * 0.999 <= value <= MAX_NOISE * 1.001, f"noise_level is {value:g}"
        sigma.backward()
        assert float(phi.noise.log_sigma.grad.abs()) > 0, "noise_level starts where its gradient is cut off"


def penalty(family: Any) -> None:
    """penalty is a finite scalar that is not negative"""
    value = fitted_to(family, degraded(24, 24)).penalty()
    expect_image(value, (), "penalty", unit=False)
    assert float(value.detach()) >= 0, "penalty is negative"


def severity(family: Any) -> None:
    """severity is a number from 0 on that changes little with the photo"""
    y = degraded(64, 64)
    values = [family.severity(z) for z in (y, (y + 1e-3).clamp(0, 1), EXTREMES["black"], EXTREMES["pure noise"])]
    assert all(isinstance(value, float) and 0 <= value < float("inf") for value in values), f"severity is {values}"
    limit = max(0.02, 0.03 * values[0])  # of a large severity, the relative change counts
    assert abs(values[0] - values[1]) < limit, (
        f"for a change of 0.001 severity is {values[1]:.3g} after {values[0]:.3g}"
    )


def slight(family: Any) -> None:
    """a photo with little of it gets a small correction, if the class states its severity"""
    if "severity" not in {name for cls in family.__mro__ if cls is not Degradation for name in vars(cls)}:
        return
    x, y = toy_photo(24, 24).clamp(0.1, 0.9), degraded(24, 24)
    phi = next(iter(build_per_image(family, ["photo.png"], 0, "degradation")))
    phi.amount.fill_(0.01)
    phi.initialize(y, {}, blurred)
    with torch.no_grad():
        for p in phi.parameters():
            p.add_(0.5)
        change = float((phi(x) - x).abs().max())
    assert change < 0.05, f"with an amount of 0.01, forward changes a value by {change:.2g}"


def independent(family: Any) -> None:
    """two photos share nothing, and random numbers depend only on the seed and the name"""
    y = degraded(24, 24)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        state = torch.get_rng_state()
        one, other = fitted_to(family, y), fitted_to(family, y)
        untouched = torch.equal(torch.get_rng_state(), state)
        torch.manual_seed(123)
        third = fitted_to(family, y)
    with torch.no_grad():
        for p in one.parameters():
            p.add_(0.1)
        x = F.interpolate(y, size=other.shape(y))
        assert torch.equal(other(x), third(x)), "the start depends on more than the photo, its name and the seed"
    assert untouched, "random numbers of the process are used up"


def stored_whole(family: Any) -> None:
    """state_dict has all that is learned, so that an interrupted fit continues"""
    y = degraded(24, 24)
    learned = fitted_to(family, y)
    with torch.no_grad():
        for p in learned.parameters():
            p.add_(0.02)
    moment, estimate = Moment(0.1, 0.05, 1.0), learned.first_estimate(y).detach() * 0.9 + 0.05
    with torch.no_grad():
        learned.learn(estimate, y, moment)
    again = fitted_to(family, y, seed=1)
    again.load_state_dict(learned.state_dict())
    with torch.no_grad():
        for phi in (learned, again):
            phi.learn(estimate * 0.98, y, moment)
        steps = [phi.proximal(estimate, y, torch.tensor([0.05])) for phi in (learned, again)]
        assert torch.equal(*steps), "what learn has learned is not stored: an interrupted fit ends otherwise"
        x = F.interpolate(y, size=learned.shape(y))
        assert torch.equal(again(x), learned(x)), "what is loaded does not degrade as what was stored"
        assert torch.equal(again.noise_level(), learned.noise_level()), "the noise level is not stored"


def energy(phi: Any, x: Tensor) -> Tensor:
    """A scalar that depends on the image and on every parameter."""
    return phi(x).square().mean() + phi.penalty() + phi.noise_level()


CHECKS: list[Callable[[Any], None]] = [
    differentiable, inverse, promises, extremes, first_estimate, proximal, result, diagnostics, noise_level, penalty,
    severity, slight, independent, stored_whole,
]  # fmt: skip
