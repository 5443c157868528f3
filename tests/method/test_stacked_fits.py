"""Whole fits with stacked networks, as on an accelerator, but on a CPU: their results and their operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import zeroair_pl.method.fit
from helpers.fitting import CASES, Watch, hazy, matched, method
from helpers.moments import Affine, names, photos
from helpers.stacking import mixed
from zeroair_pl.checks.samples import fitted_to, toy_photo
from zeroair_pl.degradations import Auto, Denoise, Haze, Noise, Side
from zeroair_pl.errors import DivergenceError
from zeroair_pl.guidance import Fidelity
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.matched import MatchedUpdate
from zeroair_pl.guidance.stages import Term
from zeroair_pl.guidance.updates import GradientUpdate, Guided, ProximalUpdate
from zeroair_pl.method.checkpoints import Checkpoints
from zeroair_pl.method.fit import fit
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.method.settings import Method, Result

pytestmark = pytest.mark.filterwarnings("ignore:__array")  # numpy's, about diffusers


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, networks are stacked."""
    return lambda: monkeypatch.setattr(zeroair_pl.method.fit, "stacks_on", lambda device: True)


@pytest.fixture
def stacked(stack: Callable[[], None]) -> None:
    stack()


def all_stacked(module: Any) -> bool:
    """Whether φ and all discriminators are stacked."""
    return all((networks.whole is not None) for networks in (module.phi, *module.discriminators.values()))


@pytest.fixture
def double() -> Iterator[None]:
    """Operations on a batch round differently, and Adam's first steps turn that into steps of their own for networks
    with many weights. In float64 what remains of it is nothing; anything else that stacking changes stays."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def close(a: Result, b: Result, tolerance: float) -> None:
    torch.testing.assert_close(a.restored, b.restored, rtol=0, atol=tolerance)
    torch.testing.assert_close(a.noise_level, b.noise_level, rtol=0, atol=tolerance)
    assert a.nfe == b.nfe
    for one, other in zip(a.diagnostics, b.diagnostics, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.allclose(one[name], other[name], atol=tolerance) for name in one)


def of_auto() -> Any:
    return matched(Auto, lr=0.005)


@pytest.mark.parametrize("case", [case for case in CASES if case != "bundled prior"])
def test_a_stacked_fit_ends_where_one_of_single_networks_does(double: None, stack: Any, case: str) -> None:
    y, called, watch = hazy(3, 21, 27), names(3), Watch(all_stacked)
    apart = fit(y, called, CASES[case]())
    stack()
    together = fit(y, called, CASES[case](), [watch])
    assert all(watch.seen)
    assert together.restored.dtype == torch.float64
    close(together, apart, 1e-10)


def test_families_that_auto_chose_share_a_fit(double: None, stack: Any) -> None:
    """Different families are trained one by one, but the prior still takes all photos at once."""
    y, watch = mixed(), Watch(all_stacked)
    apart = [fit(y[i : i + 1], [name], of_auto()) for i, name in enumerate(names(5))]
    stack()
    together = fit(y, names(5), of_auto(), [watch])
    assert not any(watch.seen)
    assert [phi.kind for phi in together.phi] == ["Haze", "LowLight", "Haze", "Noise", "LowLight"]
    for i, alone in enumerate(apart):
        close(together.of(i), alone, 1e-10)


# ---- one photo's own trouble, and its own end ------------------------------------------------------------------------


class Breaks(Noise):
    """Turns to NaN for bright photos, by a buffer: nothing keeps it out of a stack."""

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        self.register_buffer("fault", torch.tensor(torch.nan if float(y.mean()) > 0.5 else 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.get_buffer("fault")


def with_a_bright_one() -> Tensor:
    return torch.stack([0.3 * photos(1)[0], 0.6 + 0.3 * photos(1)[0], 0.4 * photos(2)[1]])


def breaking() -> Method:
    return method(Breaks, steps=10)


@pytest.mark.parametrize("update", [ProximalUpdate(), GradientUpdate()])
def test_a_photo_that_is_lost_does_not_disturb_its_stack(stacked: None, update: Any) -> None:
    y = with_a_bright_one()
    other = torch.stack([y[0], 0.35 * photos(1)[0], y[2]])
    settings = method(Breaks, guidance=[Term(Fidelity())], update=update, lr=0.01)
    watch = Watch(all_stacked)
    broken, sound = fit(y, names(3), settings, [watch]), fit(other, names(3), settings)
    assert all(watch.seen)
    assert list(broken.lost) == [1]
    assert sound.lost == {}
    for i in (0, 2):
        assert torch.equal(broken.restored[i], sound.restored[i])
        assert torch.equal(broken.noise_level[i], sound.noise_level[i])
        assert broken.nfe[i] == sound.nfe[i]


def noisy(*strengths: float) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    count = len(strengths)
    noise = torch.randn(count, 3, 32, 32, generator=generator) * torch.tensor(strengths).view(count, 1, 1, 1)
    return (hazy(count) + noise).clamp(0, 1)


def in_time(family: Any = Haze) -> Any:
    return matched(family, lr=0.02, steps=10, sigma_max=0.8)


def learned(module: Any) -> tuple[Tensor, list[list[Tensor]]]:
    return module.finished.clone(), [[p.detach().clone() for p in phi.parameters()] for phi in module.phi]


def test_a_photo_that_is_finished_keeps_its_degradation_as_it_is(stacked: None) -> None:
    """The maps belong to the result; momentum would move them."""
    y, watch = noisy(0.01, 0.05, 0.15), Watch(learned)
    result = fit(y, names(3), in_time(), [watch])
    ends = [next(step for step, (finished, _) in enumerate(watch.seen) if finished[i]) for i in range(3)]
    assert ends == sorted(ends, reverse=True)
    assert ends[2] < ends[0], "or none waits for another"
    for i, end in enumerate(ends):
        for _, values in watch.seen[end:]:
            assert all(torch.equal(p, q) for p, q in zip(values[i], watch.seen[end][1][i], strict=True))
        own = [p.detach() for p in result.phi[i].parameters()]
        assert all(torch.equal(p, q) for p, q in zip(own, watch.seen[end][1][i], strict=True))
        assert not torch.equal(watch.seen[end][1][i][0], watch.seen[end - 1][1][i][0]), "it learned until then"


@pytest.mark.parametrize("family", [Noise, Haze])
def test_a_photo_that_is_finished_early_has_the_result_that_it_has_alone(
    double: None, stacked: None, family: Any
) -> None:
    y = noisy(0.01, 0.05, 0.15)
    together = fit(y, names(3), in_time(family))
    for i, name in enumerate(names(3)):
        close(together.of(i), fit(y[i : i + 1], [name], in_time(family)), 1e-10)


class ByBrightness(Affine):
    """A dark photo under a filter that leaves a fiftieth of the light: its noise, seen through it, is heavy."""

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        self.gain.data.fill_(1.0 if float(y.mean()) > 0.1 else 0.02)
        self.offset.data.fill_(0.0)
        self.noise.log_sigma.data.fill_(torch.tensor(0.02).log())


class Thrown(MatchedUpdate):
    """Throws the estimate of the bright photo away at one level."""

    def __call__(self, state: GuidanceState, *rest: Any) -> Guided:
        guided = super().__call__(state, *rest)
        is_bright = (state.y.mean((1, 2, 3)) > 0.1).view(-1, 1, 1, 1)
        return guided._replace(x0=guided.x0 + 1e6 * is_bright * (100 < 999 * state.fraction < 150))


def test_a_neighbor_in_heavy_noise_does_not_hide_that_a_photo_is_lost(stacked: None) -> None:
    """It waits for the other at the level of its own noise, at which an estimate says nothing."""
    y = torch.cat([0.02 * photos(1), photos(2)[1:]])
    settings: Any = {"family": ByBrightness, "modeling": [], "update": Thrown(), "steps": 20}
    with pytest.raises(DivergenceError) as caught:
        fit(y[1:], names(2)[1:], method(**settings))
    assert fit(y, names(2), method(**settings)).lost == {1: str(caught.value)}


@pytest.mark.parametrize("case", ["haze matched", "paper", "finished", "lost"])
def test_a_stacked_fit_that_is_resumed_ends_in_the_same_bits(stacked: None, tmp_path: Path, case: str) -> None:
    y, settings, steps = hazy(3, 21, 27), CASES.get(case, in_time), {"paper": 3, "haze matched": 4}.get(case, 8)
    if case == "finished":
        y = noisy(0.01, 0.05, 0.15)
    if case == "lost":
        y, settings = with_a_bright_one(), breaking
    saved, watch = Checkpoints(tmp_path / "a.ckpt", steps, "own"), Watch(all_stacked)
    whole = fit(y, names(3), settings(), [watch, saved])
    assert all(watch.seen)
    again = Watch(all_stacked)
    resumed = fit(y, names(3), settings(), [again, Checkpoints(tmp_path / "a.ckpt", 99, "own")])
    assert len(again.seen) == len(watch.seen) - steps > 0
    assert all(again.seen)
    assert torch.equal(resumed.restored, whole.restored)
    assert resumed.nfe == whole.nfe
    assert resumed.lost == whole.lost == ({1: whole.lost[1]} if case == "lost" else {})
    for one, other in zip(resumed.diagnostics, whole.diagnostics, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in other)


# ---- what stacking is for --------------------------------------------------------------------------------------------


class Operations(TorchDispatchMode):
    """Counts what is sent to a device in TDM and TDG: there, a small operation costs the same whatever its size. Views
    cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))

    def of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*values: Any) -> Any:
            with self:
                return function(*values)

        return counted


def operations(settings: Method, count: int) -> int:
    y = toy_photo()
    sampler = settings.sampling.sampler_for(fitted_to(settings.degradation, y), y)
    counter, kind = Operations(), type(settings.guidance.update or sampler.update())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Restoration, "training_step", counter.of(Restoration.training_step))
        patch.setattr(kind, "__call__", counter.of(kind.__call__))
        fit(hazy(1, 24, 24).expand(count, 3, 24, 24).contiguous(), names(count), settings)
    return counter.count


@pytest.mark.parametrize(
    "case, most", [("haze", 1.1), ("haze matched", 1.1), ("low light", 1.1), ("paper", 1.25), ("blur", 2)]
)
def test_eight_photos_cost_hardly_more_operations_than_one(
    case: str, most: float, stacked: None, record_property: Any
) -> None:
    """Only the second derivative of a convolution, which conjugate gradients take, goes image by image inside torch."""
    alone = operations(CASES[case](), 1)
    together = operations(CASES[case](), 8)
    record_property("operations", {"one": alone, "eight": together})
    print(f"{case}: {alone} for one photo; for eight {together / alone:.2f} times that")
    assert together < most * alone
