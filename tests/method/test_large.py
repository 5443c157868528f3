"""Large photos: φ learned at a working size, the prior at full size for the photo's own noise alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.command import run, save_toy
from helpers.toys import ToyPrior, toy_photo
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations import Auto, Degradation, Haze, LowLight, Noise
from zeroair_pl.guidance.updates import ProximalUpdate
from zeroair_pl.method.large import carried, is_large, working_size
from zeroair_pl.method.settings import Guidance, Method, Modeling, Sampling
from zeroair_pl.method.solve import solve
from zeroair_pl.sampling import NoiseMatchedSampler, SchedulerSampler

SIZE = (96, 128)


def method(family: type[Degradation] = Noise, pixels: int = 48 * 64, **sampling: float) -> Method:
    levels = Sampling(steps=4, working_pixels=pixels, **sampling)  # type: ignore[arg-type]
    return Method(family, ToyPrior(), Modeling([]), Guidance(), levels, 0)


def hazy(t_low: float = 0.4) -> tuple[Tensor, Tensor]:
    """A photo under haze that grows to the right, with little noise, and its clean original."""
    clean = toy_photo(*SIZE, 3)
    t = torch.linspace(1, t_low, SIZE[1]).view(1, 1, 1, -1)
    return t * clean + 0.8 * (1 - t) + 0.01 * torch.randn(
        clean.shape, generator=torch.Generator().manual_seed(0)
    ), clean


def test_only_what_loses_nothing_goes_this_way() -> None:
    y = torch.zeros(1, 3, *SIZE)
    assert is_large(y, method())
    assert not is_large(y, method(pixels=96 * 128))
    assert not is_large(y, replace(method(), guidance=Guidance(update=ProximalUpdate())))
    one = replace(method().sampling, sampler=NoiseMatchedSampler(posterior_mean=False))
    assert not is_large(y, replace(method(), sampling=one))
    assert not is_large(y, replace(method(), sampling=replace(method().sampling, sampler=SchedulerSampler())))

    class Blurred(Degradation):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean(dim=-1, keepdim=True).expand_as(x)

    assert not is_large(y, replace(method(), degradation=Blurred))


def test_a_large_bilevel_scan_takes_no_pass_although_its_small_copy_has_shades() -> None:
    scan = (toy_photo(*SIZE, 3).mean(1, keepdim=True) > 0.5).float().expand(-1, 3, -1, -1)
    assert len(working_size(scan, 48 * 64).unique()) > 2
    result = solve(scan, ["scan"], method(Auto))
    assert result.nfe == [0]
    assert torch.equal(result.restored, scan)


@pytest.mark.parametrize("family", [Noise, Haze, LowLight])
def test_it_is_near_the_plain_path(family: type[Degradation]) -> None:
    y, _ = hazy()
    y = y.clamp(0, 1)
    plain, large = solve(y, ["a"], method(family, 10**9)), solve(y, ["a"], method(family))
    assert large.restored.shape == y.shape
    moved = (plain.restored - y).square().mean().sqrt()
    assert float((plain.restored - large.restored).square().mean().sqrt()) < 0.3 * float(moved) + 0.01
    assert float(large.noise_level[0]) == pytest.approx(float(plain.noise_level[0]), rel=0.35)
    for name, values in large.diagnostics[0].items():
        assert values.shape == plain.diagnostics[0][name].shape


def test_maps_follow_edges_that_the_working_size_has_lost() -> None:
    across = torch.arange(SIZE[1])[None] + 0.37 * torch.arange(SIZE[0])[:, None]  # a slanted edge
    y = torch.where(across > 80, 0.8, 0.2).expand(1, 3, *SIZE).contiguous()
    phi, small = Haze(), working_size(y, 24 * 32)
    assert small.shape[-2:] == (24, 32)
    phi.initialize(small, {}, blurred)
    phi.log_t = -0.1 - 1.5 * (small[:, :1] - 0.2)
    found = carried(phi, small, y, blurred).get_buffer("log_t")
    truth = -0.1 - 1.5 * (y[:, :1] - 0.2)
    enlarged = F.interpolate(phi.log_t, size=SIZE, mode="bilinear")
    assert float((found - truth).square().mean()) < 0.5 * float((enlarged - truth).square().mean())
    assert phi.log_t.shape[-2:] == (24, 32)  # the model of the working size is left as it was


def test_the_noise_is_that_of_the_full_size() -> None:
    y = 0.5 + 0.05 * torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    phi, small = Noise(), working_size(y, 24 * 32)
    phi.initialize(small, {}, blurred)
    assert phi.noise_level().item() < 0.03  # averaged away
    assert carried(phi, small, y, blurred).noise_level().item() == pytest.approx(0.05, rel=0.1)


def test_each_photo_is_on_its_own_and_repeats_to_the_bit() -> None:
    y = hazy()[0].clamp(0, 1)
    first = solve(y, ["a"], method(Haze))
    solve(toy_photo(*SIZE, 5), ["b"], method(Haze))
    assert torch.equal(first.restored, solve(y, ["a"], method(Haze)).restored)
    assert first.nfe[0] > 4


def test_from_the_command_line(tmp_path: Path) -> None:
    photo = save_toy(tmp_path / "photo.png", height=48, width=64)
    words = (
        "restore",
        "--config",
        "dehaze",
        "--images",
        photo,
        "--prior",
        "helpers.toys.ToyPrior",
        "--sampling.steps",
        "2",
    )
    assert (
        run(*words, "--out", tmp_path / "large", "--sampling.working_pixels", "600", "--save_maps", "true").status == 0
    )
    assert run(*words, "--out", tmp_path / "plain").status == 0
    table = (tmp_path / "large" / "results.csv").read_text()
    assert "restored" in table
    assert (tmp_path / "large" / "photo.png").read_bytes() != (tmp_path / "plain" / "photo.png").read_bytes()
