"""What every prior must keep: the bundled ones, every way a folder can describe one, and the toy that tests use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.moments import SixChannelPrior, photos
from helpers.networks import prior_folder
from helpers.registry import concrete
from helpers.toys import ToyPrior
from zeroair_pl.checks import CHECKS, Check
from zeroair_pl.checks.priors import noisy
from zeroair_pl.errors import ConfigError
from zeroair_pl.priors import DenoiserPrior, Prior, UNetPrior, VPPrior, bundled_priors
from zeroair_pl.priors.base import Calibration
from zeroair_pl.priors.vp import LinearVP, schedule_fraction, vp_of


def shrunken(x: Tensor, sigma: Tensor) -> Tensor:
    """A local mean, and the photo itself where there is little noise: a denoiser in two lines."""
    mean = F.avg_pool2d(F.pad(x, [2] * 4, mode="replicate"), 5, stride=1)
    return torch.lerp(x, mean, (10 * sigma).clamp(max=1)[:, None, None, None]).clamp(0, 1)


PRIORS: dict[str, Callable[[], Prior]] = {"toy": ToyPrior, "six channels": SixChannelPrior}
PRIORS |= {cls.__name__: cls for cls in concrete(Prior, "priors") if not cls.__module__.startswith("zeroair_pl.")}  # type: ignore[type-abstract]
PRIORS |= {name: lambda name=name: UNetPrior(name) for name in bundled_priors()}  # type: ignore[misc]
PRIORS["float32"] = lambda: UNetPrior(bundled_priors()[0], precision="float32")
PRIORS["function"] = lambda: DenoiserPrior(shrunken)
PRIORS["function on a schedule"] = lambda: LinearVP(DenoiserPrior(shrunken))
ON_SCHEDULES = [name for name, make in PRIORS.items() if isinstance(make(), VPPrior)]


@pytest.fixture(scope="module", params=PRIORS, ids=str)
def prior(request: pytest.FixtureRequest) -> Prior:
    return PRIORS[request.param]()


@pytest.fixture(scope="module", params=ON_SCHEDULES, ids=str)
def scheduled(request: pytest.FixtureRequest) -> VPPrior:
    found = PRIORS[request.param]()
    assert isinstance(found, VPPrior)
    return found


@pytest.mark.parametrize("check", CHECKS["prior"], ids=lambda check: check.__name__)
def test_a_prior_keeps_its_contract(prior: Prior, check: Check) -> None:
    check(lambda: prior)


def test_features_are_differentiable_maps(prior: Prior) -> None:
    x = photos(2, 33, 24).requires_grad_()
    try:
        maps = prior.features(x)
    except NotImplementedError:
        return
    assert len(maps) >= 2
    for each in maps:
        assert each.ndim == 4
        assert len(each) == 2
        (gradient,) = torch.autograd.grad(each[0].square().sum(), x, retain_graph=True)
        assert bool(torch.isfinite(gradient).all())
        assert float(gradient[0].abs().max()) > 0
        assert float(gradient[1].abs().max()) == 0


def test_two_priors_of_one_kind_have_one_fingerprint(prior: Prior, request: pytest.FixtureRequest) -> None:
    again = PRIORS[request.node.callspec.params["prior"]]()
    assert again.fingerprint() == prior.fingerprint()
    again.calibration = Calibration((0.1, 1.0), (0.01, 0.1))
    assert again.fingerprint() != prior.fingerprint()


def test_a_schedule_and_sigma_are_one_scale(scheduled: VPPrior) -> None:
    table = scheduled.alphas_cumprod
    assert table.dtype == torch.float64
    assert bool((table.diff() < 0).all())
    assert scheduled.num_timesteps == len(table)
    at = scheduled.alpha_bar(torch.tensor([10.0, 10.5, 11.0]))
    torch.testing.assert_close(at[[0, 2]], table[[10, 11]])
    assert float(table[11]) < float(at[1]) < float(table[10])
    t = torch.tensor([0.0, 3.25, 500.0, 998.5], dtype=torch.float64)
    torch.testing.assert_close(scheduled.timestep(2 * scheduled.sigma(t)), t, atol=1e-6, rtol=0)


def test_denoising_is_a_prediction_on_another_scale(scheduled: VPPrior) -> None:
    clean, t = photos(2, 24, 24), torch.tensor([60.0, 400.0])
    sigma, signal = scheduled.sigma(t).float(), scheduled.alpha_bar(t).sqrt().float()[:, None, None, None]
    x = clean + sigma[:, None, None, None] * torch.randn(clean.shape, generator=torch.Generator().manual_seed(7))
    x0, variance = scheduled.predict(signal * (2 * x - 1), t)
    assert (variance is not None) == scheduled.learned_variance
    torch.testing.assert_close(scheduled.denoise(x, sigma), (x0 + 1) / 2, atol=5e-3, rtol=0)


def test_a_prior_without_a_schedule_is_put_on_the_linear_one() -> None:
    plain = DenoiserPrior(shrunken)
    assert vp_of(ToyPrior()).name == "toy"
    on = vp_of(plain)
    x, sigma = noisy(photos(1, 24, 24), 0.2), torch.tensor([0.2])
    torch.testing.assert_close(on.denoise(x, sigma), plain.denoise(x, sigma), atol=1e-5, rtol=0)
    assert torch.equal(on.rmse(sigma), plain.rmse(sigma))
    assert schedule_fraction(float(on.sigma(torch.tensor(0.7 * 999)))) == pytest.approx(0.7)


@pytest.mark.parametrize("name", bundled_priors())
def test_the_calibration_is_the_error_that_the_bundled_prior_makes(name: str) -> None:
    """Toy photos are not photographs: the same size of error within a factor of two, rising with the noise."""
    prior, clean = UNetPrior(name), photos(2, 64, 64)
    ratios = []
    for sigma in (0.1, 0.4, 1.8):
        error = (prior.denoise(noisy(clean, sigma), torch.full((2,), sigma)) - clean).square().mean() ** 0.5
        ratios.append(float(error / prior.rmse(torch.tensor([sigma]))))
    assert all(0.4 < ratio < 2.5 for ratio in ratios), ratios


def test_calibration_interpolates_in_log_log_and_extends() -> None:
    calibration = Calibration(sigma=(0.01, 0.1, 1.0), rmse=(0.01, 0.05, 0.25))
    got = calibration.error(torch.tensor([0.001, 0.01, 0.1**1.5, 1.0, 1e6]))
    torch.testing.assert_close(got, torch.tensor([0.002, 0.01, 0.05**0.5 * 0.1, 0.25, 0.5]), rtol=1e-3, atol=0)


# ---- folders ---------------------------------------------------------------------------------------------------------


def tiny(path: Path, **settings: Any) -> UNetPrior:
    return UNetPrior(str(prior_folder(path, **settings)), precision="float32")


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("stem", [1, 2])
def test_epsilon_v_and_x0_are_one_estimate_in_three_parametrisations(
    tmp_path: Path, prediction: str, stem: int
) -> None:
    """The network's raw output, put through the textbook formula by hand."""
    prior = tiny(tmp_path, prediction=prediction, stem=stem)
    x, t = 0.5 * torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)), 300
    packed = torch.nn.functional.pixel_unshuffle(x, stem)
    with torch.no_grad():
        raw = torch.nn.functional.pixel_shuffle(prior.unet(packed, torch.tensor([t])).sample, stem)
    a, s = prior.alphas_cumprod[t].sqrt().float(), (1 - prior.alphas_cumprod[t]).sqrt().float()
    wanted = {"epsilon": (x - s * raw) / a, "v_prediction": a * x - s * raw, "sample": raw}[prediction]
    torch.testing.assert_close(prior.predict(x, torch.tensor([t])).x0, wanted.clamp(-1, 1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("stem", [1, 2])
def test_six_channels_are_an_estimate_and_a_variance(tmp_path: Path, stem: int) -> None:
    prior = tiny(tmp_path, out=6, stem=stem)
    assert prior.learned_variance
    x = torch.randn(2, 3, 17, 20, generator=torch.Generator().manual_seed(0))
    x0, variance = prior.predict(x, torch.tensor([5.0, 400.0]))
    assert variance is not None
    assert x0.shape == variance.shape == x.shape
    assert not torch.allclose(x0, variance.clamp(-1, 1))


def test_a_schedule_that_ends_without_signal_gives_finite_levels(tmp_path: Path) -> None:
    prior = tiny(tmp_path, prediction="v_prediction", zero_snr=True)
    t = torch.tensor([0.0, 500.5, 998.5, 999.0])
    assert bool(torch.isfinite(prior.alpha_bar(t)).all())
    assert bool(torch.isfinite(prior.predict(torch.randn(4, 3, 16, 16), t).x0).all())
    assert float(prior.alpha_bar(t)[-1]) < 1e-6


def test_a_folder_may_be_as_plain_as_diffusers_writes_it(tmp_path: Path) -> None:
    (prior_folder(tmp_path) / "prior.json").unlink()
    prior = UNetPrior(str(tmp_path), precision="float32")
    assert prior.calibration == Calibration()
    assert prior.predict(torch.zeros(1, 3, 16, 16), torch.zeros(1)).x0.shape == (1, 3, 16, 16)


def break_json(path: Path) -> None:
    (path / "prior.json").write_text("{")


def break_weights(path: Path) -> None:
    (path / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"nothing")


def break_schedule(path: Path) -> None:
    (path / "scheduler" / "scheduler_config.json").unlink()


def break_calibration(path: Path) -> None:
    (path / "prior.json").write_text(json.dumps({"calibration": {"noise": [1, 2], "rmse": [1]}}))


def break_stem(path: Path) -> None:
    (path / "prior.json").write_text(json.dumps({"space_to_depth": 2}))


@pytest.mark.parametrize(
    "damage, message",
    [
        (break_json, "prior.json cannot be read"),
        (break_weights, "the network in .* cannot be loaded"),
        (break_schedule, "scheduler_config.json cannot be read"),
        (break_calibration, "two lists of equal length"),
        (break_stem, "maps 3 to 3 channels; expected 12 to 12 or 24"),
    ],
)
def test_a_damaged_folder_is_named(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(prior_folder(tmp_path))
    with pytest.raises(ConfigError, match=rf"prior.path: .*{message}"):
        UNetPrior(str(tmp_path))


@pytest.mark.parametrize(
    "path, message",
    [
        ("smal", "Did you mean 'small'"),
        ("./nowhere", "no folder and no bundled prior"),
        ("someone/unheard-of-prior", "Tried it as a hub id too"),
    ],
)
def test_a_prior_that_is_not_there_is_said_to_be_missing(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        UNetPrior(path)


def test_a_checkpoint_file_is_sent_to_the_converter(tmp_path: Path) -> None:
    file = tmp_path / "256x256_diffusion_uncond.pt"
    file.write_bytes(b"")
    with pytest.raises(ConfigError, match="prior convert"):
        UNetPrior(str(file))
