"""What every adaptation of the prior must keep; that it helps, and never changes the results of other photos."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.command import run, save_toy
from helpers.registry import concrete
from helpers.toys import ToyPrior, toy_photo
from zeroair_pl import Method
from zeroair_pl.checks import CHECKS, Check
from zeroair_pl.errors import ConfigError
from zeroair_pl.method.adapting import cut_off
from zeroair_pl.priors import Adaptation, GainTuning, LowRank, UNetPrior
from zeroair_pl.priors.adapting import _helps, squares
from zeroair_pl.priors.objectives import LOSSES, sure

ADAPTATIONS = concrete(Adaptation, "priors")  # type: ignore[type-abstract]
SIGMA = 0.06


@pytest.mark.parametrize("check", CHECKS["adaptation"], ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ADAPTATIONS, ids=lambda cls: cls.__name__)
def test_an_adaptation_keeps_its_contract(kind: Any, check: Check) -> None:
    check(kind)


def grid(side: int = 64) -> Tensor:
    """Thin bright lines on flat ground, (1, 3, side, side): a picture unlike photographs."""
    x = torch.full((1, 3, side, side), 0.3)
    x[..., ::5, :] = 0.7
    x[:, 1, :, ::7] = 0.75
    return x


def noisy(x: Tensor, sigma: float = SIGMA) -> Tensor:
    return x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))


def to_itself(prior: UNetPrior, z: Tensor, seed: int = 0) -> Any:
    return prior.adapted(z, torch.full_like(z, SIGMA), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "adaptation", [GainTuning(steps=15, lr=2e-2), LowRank(steps=15, lr=4e-3)], ids=["gains", "low rank"]
)
def test_it_lowers_the_error_on_a_picture_unlike_the_training_photos(adaptation: Adaptation) -> None:
    prior, clean, level = UNetPrior(adapt=adaptation), grid(), torch.tensor([SIGMA])
    z = noisy(clean)
    before = prior.denoise(z, level)
    after = to_itself(prior, z).denoise(z, level)
    gain = 10 * math.log10(float((before - clean).square().mean() / (after - clean).square().mean()))
    assert gain > 0.3, gain
    assert torch.equal(prior.denoise(z, level), before), "the prior itself has changed"


def test_the_same_photo_has_the_same_weights_with_any_number_of_threads() -> None:
    prior, z, level = UNetPrior(adapt=GainTuning(steps=3)), noisy(grid(48)), torch.tensor([SIGMA])
    threads = torch.get_num_threads()
    one = to_itself(prior, z).denoise(z, level)
    try:
        torch.set_num_threads(2)
        two = to_itself(prior, z)
    finally:
        torch.set_num_threads(threads)
    assert two is not prior
    assert torch.equal(two.denoise(z, level), one)


def test_what_does_not_help_is_not_kept() -> None:
    z = noisy(grid(48))
    assert to_itself(prior := UNetPrior(adapt=GainTuning(steps=2, lr=1.0)), z) is prior
    assert to_itself(prior := UNetPrior(), z) is prior


def test_grain_is_not_taken_for_white_noise() -> None:
    """Stein's estimate would say that to keep it is right."""
    prior, clean = UNetPrior(adapt=GainTuning(steps=15, lr=2e-2)), toy_photo(64, 64)
    grain = nn.functional.avg_pool2d(noisy(torch.zeros(1, 3, 66, 66)), 3, stride=1)
    z = clean + SIGMA * grain / grain.std()
    assert to_itself(prior, z) is prior


def test_noise_much_stronger_than_believed_is_not_learned_from() -> None:
    """To leave a part of it in the picture would be learned, and Stein's estimate, told the same, would agree."""
    prior, clean = UNetPrior(adapt=GainTuning(steps=15, lr=2e-2)), grid()
    assert to_itself(prior, noisy(clean)) is not prior
    assert to_itself(prior, noisy(clean, 1.4 * SIGMA)) is prior


def test_what_helps_only_if_the_noise_were_weaker_is_not_used() -> None:
    """Told 5 % too little variance on a flat picture, Stein's estimate says that some of the noise is to be kept."""
    flat = torch.full((1, 3, 64, 64), 0.5)
    part = noisy(flat), torch.full_like(flat, 0.95**0.5 * SIGMA)

    def keeps(share: float) -> Any:
        return lambda x, sigma: torch.lerp(flat, x, share)

    some, none = (float(sure(keeps(c), *part, torch.Generator().manual_seed(0))) for c in (0.05, 0.0))
    assert some < none
    assert not _helps(keeps(0.05), keeps(0.0), [part])
    assert _helps(keeps(0.0), keeps(0.3), [part])


@pytest.mark.parametrize("name", ["recorrupted", "sure"])
def test_a_loss_is_the_error_up_to_a_constant(name: Any) -> None:
    """For a linear denoiser and half of the pixels without information; the noise is not the same everywhere."""
    clean = toy_photo(64, 64)
    epsilon = torch.full_like(clean, 0.1)
    epsilon[..., :20] = 0.06
    epsilon[..., 40:] = math.inf
    known = epsilon.isfinite()
    level, constant = {"sure": (0.1, 0.1**2), "recorrupted": (0.1 * 1.25**0.5, None)}[name]
    values = []
    for share in (0.2, 0.8):

        def f(x: Tensor, sigma: Tensor, share: float = share) -> Tensor:
            assert float(sigma) == pytest.approx(level)
            return torch.lerp(x, nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False), share)

        losses, errors = [], []
        for seed in range(12):
            generator = torch.Generator().manual_seed(seed)
            z = clean + torch.where(known, epsilon, 0) * torch.randn(clean.shape, generator=generator)
            losses.append(float(LOSSES[name](f, z, epsilon, generator)))
            x = clean + level * torch.randn(clean.shape, generator=generator)
            errors.append(float((f(x, torch.tensor([level])) - clean).square()[known].mean()))
        values.append((np.mean(losses), np.mean(errors)))
    (one, error), (other, less) = values
    assert one - other == pytest.approx(error - less, rel=0.1)
    assert constant is None or one == pytest.approx(error + constant, rel=0.1)


def test_no_square_without_noise_is_learned_from() -> None:
    z = toy_photo(200, 96)
    epsilon = torch.full_like(z, 0.1)
    epsilon[..., :60, :] = math.inf
    epsilon[..., 150:, :] = 0.0
    found = squares(z, epsilon)
    assert len(found) == 2  # of three, which overlap
    assert all(part.shape == noise.shape for part, noise in found)
    assert squares(z, torch.zeros_like(z)) == []
    assert [part.shape for part, _ in squares(z[..., :20, :9], epsilon[..., 100:120, :9])] == [(1, 3, 20, 9)]


def test_noise_that_was_cut_off_at_black_says_nothing() -> None:
    y = noisy(torch.full((1, 3, 32, 64), 0.5))
    y[..., 40:] = noisy(torch.full((1, 3, 32, 24), 0.02))
    cut = cut_off(y.clamp(0, 1))
    assert not bool(cut[..., :30].any())
    assert bool(cut[..., 48:].all())
    assert not bool(cut_off(y).all())


class Failing(GainTuning):
    """Fails in the middle of learning, to see that nothing is left of it.

    Args:
        steps: as always.
    """

    def __init__(self, steps: int = 3) -> None:
        super().__init__(steps)
        self.calls = 0

    def weights(self, network: nn.Module, learned: list[Tensor]) -> dict[str, Tensor]:
        self.calls += 1
        if self.calls == 2:
            raise RuntimeError("in the middle")
        return super().weights(network, learned)


def test_other_photos_never_see_it() -> None:
    """The results of one photo before, after and without an adaptation to another, which may fail."""
    one, other = (
        np.uint8(255 * x[0].permute(1, 2, 0).clamp(0, 1).numpy()) for x in (noisy(grid(32)), toy_photo(32, 32))
    )
    known = {"class_path": "Noise", "init_args": {"level": SIGMA}}  # not to be found on so few pixels
    settings: dict[str, Any] = {"sampling": {"steps": 2}, "degradation": known}
    plain = Method.from_config("denoise", **settings)
    adaptive = Method.from_config("denoise", **settings, prior=UNetPrior(adapt=GainTuning(steps=2, lr=2e-2)))
    first = adaptive.restore(one, "one").image
    adaptive.restore(other, "other")
    assert np.array_equal(adaptive.restore(one, "one").image, first)
    assert not np.array_equal(plain.restore(one, "one").image, first), "nothing was adapted"
    failing = Method.from_config("denoise", **settings, prior=UNetPrior(adapt=Failing()))
    with pytest.raises(RuntimeError, match="in the middle"):
        failing.restore(one, "one")
    failing.prior.adapt = None
    assert np.array_equal(failing.restore(one, "one").image, plain.restore(one, "one").image)


def test_the_command_line_takes_it_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_toy(tmp_path / "a.png")
    words = ("restore", "--config", "denoise", "--images", "a.png", "--sampling.steps", "1", "--report", "false")
    adapt = ("--prior.adapt", "GainTuning", "--prior.adapt.steps", "1")
    shown = run(*words, *adapt, "--print_config").out
    assert "class_path: GainTuning" in shown
    assert run(*words, *adapt, "--out", "out").status == 0
    assert (
        "there is no class 'GainTunning'. Did you mean 'GainTuning'?"
        in run(*words, "--prior.adapt", "GainTunning").error
    )
    assert "  LowRank  [adaptation, built in]" in run("plugins", "list").out
    wrong = run(*words, "--prior.path", "math:sqrt", "--prior.adapt", "GainTuning").error
    assert "prior.adapt: math:sqrt is a denoiser" in wrong


def test_a_degradation_that_cannot_be_inverted_gets_the_prior_as_it_is() -> None:
    photo = np.uint8(255 * toy_photo(32, 32)[0].permute(1, 2, 0).numpy())
    settings = {"degradation": "Blur", "sampling": {"steps": 2}}
    with pytest.warns(UserWarning, match="prior.adapt has no effect, as Blur cannot be inverted"):
        found = Method.from_config(settings, prior=UNetPrior(adapt=GainTuning(steps=1))).restore(photo)
    assert np.array_equal(found.image, Method.from_config(settings).restore(photo).image)


def test_a_prior_that_cannot_be_adapted_stays_as_it_is() -> None:
    z = toy_photo(16, 16)
    prior = ToyPrior()
    assert prior.adapted(z, torch.full_like(z, 0.1), torch.Generator()) is prior
    assert bool(torch.isfinite(sure(prior.denoise, z, torch.full_like(z, 0.1), torch.Generator().manual_seed(0))))
    with pytest.raises(ConfigError, match="steps"):
        GainTuning(steps=0)
