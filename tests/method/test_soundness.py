"""Numbers that are not finite, from any part of a fit: the photo is lost with a reason, it never counts as restored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helpers.fitting import hazy, matched, method
from helpers.toys import ToyPrior
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations import Degradation, Haze, Noise
from zeroair_pl.errors import DivergenceError
from zeroair_pl.guidance import GuidanceLoss, GuidanceState
from zeroair_pl.guidance.stages import Term
from zeroair_pl.guidance.updates import GuidanceUpdate, Guided
from zeroair_pl.method.divergence import unsound
from zeroair_pl.method.fit import fit
from zeroair_pl.sampling import AnnealedSampler

BAD = [float("nan"), float("inf"), -float("inf")]


class Brightened(Degradation):
    """y = g·x + n. One of its methods may be spoiled."""

    pointwise = True
    spoiled, bad = "", 0.0

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self._kept("forward", self.gain * x)

    def invert(self, y: Tensor) -> Tensor:
        return self._kept("invert", y / self.gain)

    def first_estimate(self, y: Tensor) -> Tensor:
        return self._kept("first_estimate", super().first_estimate(y))

    def penalty(self) -> Tensor:
        return self._kept("penalty", super().penalty())

    def noise_level(self) -> Tensor:
        return self._kept("noise_level", super().noise_level())

    def diagnostics(self) -> dict[str, Tensor]:
        return {"gain": self._kept("diagnostics", self.gain.view(1, 1, 1, 1))}

    def _kept(self, name: str, value: Tensor) -> Tensor:
        if self.spoiled != name:
            return value
        spoil = torch.zeros_like(value)
        spoil.view(-1)[-1] = self.bad  # one value of an image is enough
        return value + spoil


class Loss(GuidanceLoss):
    """A loss that is not finite itself, or that has no finite gradient."""

    def __init__(self, bad: float | None) -> None:
        super().__init__()
        self.bad = bad

    def forward(self, state: GuidanceState) -> Tensor:
        value = state.y_hat.flatten(1).mean(1)
        return (0 * value).sqrt() if self.bad is None else value + self.bad


class Update(GuidanceUpdate):
    """An update that spoils one part of its outcome."""

    def __init__(self, part: str, bad: float) -> None:
        self.part, self.bad = part, bad

    def __call__(self, state: GuidanceState, terms: list[tuple[Term, float]], steps: int) -> Guided:
        spoiled = state.x0.clone()
        spoiled[..., 0, 0] = self.bad
        whole = Guided(state.x0, losses={"mine": state.x0.flatten(1).mean(1)})
        changed: Any = {self.part: {"mine": spoiled.flatten(1).sum(1)} if self.part == "losses" else spoiled}
        return whole._replace(**changed)


class Prior(ToyPrior):
    """A prior with one spoiled answer."""

    def __init__(self, part: str, bad: float) -> None:
        super().__init__()
        self.part, self.bad = part, bad

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        return super().denoise(x, sigma) + (self.bad if self.part == "denoise" else 0)

    def rmse(self, sigma: Tensor) -> Tensor:
        return super().rmse(sigma) + (self.bad if self.part == "rmse" else 0)


class Sampler(AnnealedSampler):
    """A sampler with one spoiled answer."""

    def __init__(self, part: str, bad: float) -> None:
        super().__init__()
        self.part, self.bad = part, bad

    def shown(self, level: float) -> tuple[Tensor, Tensor]:
        x, sigma = super().shown(level)
        return x + self._spoil("x"), sigma + self._spoil("sigma")

    def error(self, x0: Tensor) -> Tensor:
        return super().error(x0) + self._spoil("error")

    def fraction(self, level: float) -> float:
        return super().fraction(level) + self._spoil("fraction")

    @property
    def restored(self) -> Tensor:
        return super().restored + self._spoil("restored")

    def _spoil(self, name: str) -> float:
        return self.bad if self.part == name else 0.0


def fails(settings: Any, says: str) -> None:
    with pytest.raises(DivergenceError, match=says):
        fit(hazy(1), ["a.png"], settings)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["forward", "invert", "first_estimate", "penalty", "noise_level", "diagnostics"])
def test_a_degradation(name: str, bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Brightened, "spoiled", name)
    monkeypatch.setattr(Brightened, "bad", bad)
    fails(matched(Brightened, steps=3), rf"^a.png: Brightened\.{name} is not finite$")


def test_a_degradation_that_is_spoiled_while_it_learns() -> None:
    class Late(Brightened):
        def penalty(self) -> Tensor:
            return (
                super().penalty() + (self.gain - 1).sqrt()
            )  # finite at its start alone, and its gradient not even there

    fails(matched(Late, steps=3, lr=0.1), "^a.png: the fit diverged, noise_level is not finite")


@pytest.mark.parametrize("bad", [*BAD, None])
@pytest.mark.parametrize("where", ["modeling", "guidance"])
def test_a_loss(where: str, bad: float | None) -> None:
    terms: dict[str, Any] = {where: [Term(Loss(bad))]}
    fails(matched(Brightened, steps=3, **terms), "^a.png: the fit diverged, .* is not finite at σ = ")
    if bad is not None:
        fails(matched(Brightened, steps=3, **terms), f"diverged, {where}/loss is not finite at σ = ")


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("x0", "the guided clean estimate"),
        ("shift", "a step of the guidance"),
        ("x0_auxiliary", "a step of the guidance"),
        ("losses", "guidance/mine"),
    ],
)
def test_an_update(part: str, says: str, bad: float) -> None:
    fails(matched(Noise, steps=3, update=Update(part, bad)), f"diverged, {says} is not finite at σ = ")


@pytest.mark.parametrize("bad", BAD[:2])
@pytest.mark.parametrize(
    ("part", "family", "says"),
    [
        ("denoise", Haze, "the prior's clean estimate is not finite at σ = "),
        ("denoise", Noise, "^a.png: the clean estimate of the prior 'toy' is not finite at σ = "),
        ("rmse", Haze, "the sampler's error of the clean estimate is not finite"),
    ],
)
def test_a_prior(part: str, family: type[Degradation], says: str, bad: float) -> None:
    fails(matched(family, steps=3, prior=Prior(part, bad)), says)


@pytest.mark.parametrize("bad", BAD[:2])
@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("x", "the prior's clean estimate is not finite"),
        ("sigma", "Sampler: the noise level for the prior is not finite"),
        ("error", "the sampler's error of the clean estimate is not finite"),
        ("fraction", "the sampler's fraction is not finite"),
        ("restored", "an estimate is not finite"),
    ],
)
def test_a_sampler(part: str, says: str, bad: float) -> None:
    fails(method(Noise, steps=3, sampler=Sampler(part, bad), sigma_max=0.3, sigma_min=0.01), says)


def test_one_photo_of_a_batch_is_lost_and_the_other_is_not() -> None:
    class Moody(GuidanceLoss):
        def forward(self, state: GuidanceState) -> Tensor:
            return state.x0.flatten(1).mean(1) / torch.tensor([1.0, 0.0])

    y = hazy(2)
    result = fit(y, ["a.png", "b.png"], matched(Noise, steps=3, modeling=[Term(Moody())]))
    assert list(result.lost) == [1]
    assert "modeling/moody is not finite" in result.lost[1]
    assert bool(torch.isfinite(result.restored[0]).all())


def test_what_is_sound_is_left_alone() -> None:
    y = hazy(1)
    for family in (Haze, Noise, Brightened):
        phi: Any = family()
        phi.initialize(y, {}, blurred)
        assert unsound(phi, y) == unsound(phi) == ""


def test_a_second_attempt_is_not_made_by_another_class() -> None:
    """It would be restored by the bundled prior, where a subclass of it gives what is no number."""
    from zeroair_pl.priors import UNetPrior

    class Mine(UNetPrior):
        pass

    make: Callable[[], UNetPrior] = Mine
    assert make().to_float32() is None
    assert isinstance(UNetPrior().to_float32(), UNetPrior)
