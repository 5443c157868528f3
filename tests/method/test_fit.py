"""Whole fits at toy size: their results, and what these must not depend on."""

from __future__ import annotations

import gc
import inspect
import weakref
from dataclasses import fields, replace
from typing import Any, get_args

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor

import zeroair_pl.method.settings
from helpers.fitting import Watch, hazy, matched, method, paper
from helpers.moments import Affine, SixChannelPrior, ToyBlur, names, photos
from helpers.toys import ToyPrior
from zeroair_pl.checks.samples import fitted_to
from zeroair_pl.degradations import Auto, Haze, LowLight, Neural, Noise, Underwater
from zeroair_pl.errors import DivergenceError
from zeroair_pl.guidance import Fidelity, TotalVariation
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.discriminator import Objective
from zeroair_pl.guidance.stages import StageWeights, Term
from zeroair_pl.guidance.updates import GradientUpdate, ProximalUpdate
from zeroair_pl.method.fit import fit
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.method.sampling import DiffusionSampling
from zeroair_pl.method.settings import Method, Modeling, Sampling
from zeroair_pl.priors import Prediction, UNetPrior
from zeroair_pl.sampling import AnnealedSampler, NoiseMatchedSampler
from zeroair_pl.sampling.matched import SHIFTS

pytestmark = pytest.mark.filterwarnings("ignore:__array")  # numpy's, about diffusers


FIRST_LOOK = 1  # forward passes of ``Noise`` before the fit
LOOKS = 2  # where the noise of a photo may be the same in all channels, or grow with the light


def check(result: zeroair_pl.method.settings.Result, y: Tensor, nfe: int) -> None:
    assert result.restored.shape == y.shape
    assert bool(torch.isfinite(result.restored).all())
    assert float(result.restored.min()) >= 0
    assert float(result.restored.max()) <= 1
    assert result.noise_level.shape == (len(y),)
    assert len(result.diagnostics) == len(y)
    assert result.nfe == [nfe] * len(y)
    assert result.lost == {}


# ---- end to end ------------------------------------------------------------------------------------------------------


def test_a_hazy_photo_gains_contrast() -> None:
    y = hazy(2, 33, 48)
    result = fit(y, names(2), method(Haze, steps=8))
    check(result, y, nfe=8)
    assert set(result.diagnostics[0]) >= {"transmission", "airlight"}
    assert bool((result.restored.flatten(1).std(1) > 1.15 * y.flatten(1).std(1)).all())


def test_the_bundled_prior_removes_noise_from_a_small_photo() -> None:
    clean = photos(1, 48, 48)
    y = (clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    result = fit(y, names(1), matched(Noise, prior=UNetPrior(), steps=8))
    check(result, y, nfe=FIRST_LOOK + 4 + len(SHIFTS))
    before, after = ((x - clean).square().mean() for x in (y, result.restored))
    assert float(after) < 0.6 * float(before)


@pytest.mark.parametrize("objective", get_args(Objective))
def test_the_papers_method_runs_with_every_objective(objective: Any) -> None:
    y = hazy(1, 16, 24)
    records = Watch(lambda module: dict(module.record))
    weights = Watch(lambda module: next(module.discriminators["adversarial"].parameters()).detach().clone())
    result = fit(y, names(1), paper(Neural, objective, steps=4), [records, weights])
    check(result, y, nfe=8)
    content = {f"guidance/{name}" for name in ("fidelity", "perceptual", "residual_adversarial")}
    guided = [set(), content, content, content | {"guidance/total_variation"}]  # the ramp starts from 0
    for record, guidance in zip(records.seen, guided, strict=True):
        players = ("adversarial", "residual_adversarial")
        wanted = {f"{name}/{what}" for name in players for what in ("discriminator", "accuracy")}
        wanted |= {f"modeling/{name}" for name in ("fidelity", "perceptual", "adversarial", "penalty")}
        assert set(record) == wanted | guidance | {"noise_level"}
        assert all(value.shape == (1,) and bool(torch.isfinite(value).all()) for value in record.values())
        assert all(0 <= float(record[f"{name}/accuracy"]) <= 1 for name in players)
    assert any(key.startswith("guidance/") for key in records.seen[-1])
    assert not torch.equal(weights.seen[0], weights.seen[-1]), "the discriminator did not learn"


@pytest.mark.parametrize(
    "family", [Auto, Haze, LowLight, Neural, Noise, Underwater, ToyBlur], ids=lambda cls: cls.__name__
)
@pytest.mark.parametrize("update", [ProximalUpdate(), GradientUpdate(), GradientUpdate(50, on="mean")])
def test_every_family_runs_with_every_update(family: Any, update: Any) -> None:
    y = hazy(1, 17, 24)
    settings = method(family, guidance=[Term(Fidelity())], update=update, steps=3)
    looks = {Noise: LOOKS, Auto: 1}.get(family, 0)  # Auto: for noise that may be visible
    check(fit(y, names(1), settings), y, nfe=looks + 3)


@pytest.mark.parametrize(
    "family", [Auto, Haze, LowLight, Neural, Noise, Underwater, ToyBlur], ids=lambda cls: cls.__name__
)
def test_every_family_has_a_sampler_of_its_own(family: Any) -> None:
    y = hazy(1, 17, 24)
    sampling = Sampling(steps=3)
    settings = replace(method(family, guidance=[Term(Fidelity())]), sampling=sampling)
    chosen = sampling.sampler_for(fitted_to(family, y), y)
    assert isinstance(chosen, NoiseMatchedSampler if family.pointwise else AnnealedSampler)
    result = fit(y, names(1), settings)
    looks = {Noise: LOOKS, Auto: 1}.get(family, 0)
    assert result.nfe[0] in (looks + 3, looks + 2 + len(SHIFTS), looks + 3 + len(SHIFTS))


def test_a_term_that_no_parameter_feels_is_no_error() -> None:
    class Rigid(Noise):
        def penalty(self) -> Tensor:
            return torch.zeros(())

    y = hazy(1)
    check(fit(y, names(1), method(Rigid, modeling=[Term(Fidelity()), Term(TotalVariation())])), y, nfe=LOOKS + 6)


def test_ancestral_sampling_with_learned_variances_runs() -> None:
    y = hazy(1)
    scheduler = DDPMScheduler(variance_type="learned_range")
    check(fit(y, names(1), method(Haze, SixChannelPrior(), scheduler=scheduler)), y, nfe=6)


def test_the_photo_is_left_as_it_was() -> None:
    y = hazy(2)
    before = y.clone()
    fit(y, names(2), method(Haze))
    assert torch.equal(y, before)


def test_a_fit_has_no_place_for_a_reference() -> None:
    """No ground truth enters: neither the functions of the fit nor the state of a step could take one."""
    suspects = ("reference", "ground", "truth", "clean_image", "target_image", "gt", "label")
    callables: list[Any] = [fit, Method, Restoration, DiffusionSampling, DiffusionSampling.on_train_batch_start]
    parameters = {name for function in callables for name in inspect.signature(function).parameters}
    parameters |= {each.name for each in fields(GuidanceState)} | {each.name for each in fields(Modeling)}
    assert not [name for name in parameters if any(word in name.lower() for word in suspects)]
    assert list(inspect.signature(fit).parameters) == ["y", "names", "method", "callbacks", "trainer", "sides"]


# ---- the parts of a step ---------------------------------------------------------------------------------------------


def test_the_prior_and_the_losses_stay_out_of_the_module_tree() -> None:
    prior = UNetPrior()
    inside = Watch(lambda module: (set(module.state_dict()), {id(p) for p in module.parameters()}))
    fit(hazy(1), names(1), method(Neural, prior, modeling=[Term(Fidelity("x0"))], steps=2), [inside])
    keys, parameters = inside.seen[-1]
    assert all(key.startswith(("phi.", "discriminators.")) for key in keys), keys
    assert not parameters & {id(p) for p in prior.unet.parameters()}


def test_stages_follow_each_other_at_the_papers_levels() -> None:
    stages = Watch(lambda module: (module.state.stage, 999 * module.state.fraction))
    fit(hazy(1), names(1), method(Noise, steps=112), [stages])
    assert [t for _, t in stages.seen] == pytest.approx(list(range(999, -1, -9)), abs=1e-3)
    assert all(stage == ("I" if t >= 700 else "II" if t >= 50 else "III") for stage, t in stages.seen)


@pytest.mark.parametrize("update", [ProximalUpdate(), GradientUpdate()])
def test_the_auxiliary_map_is_guided_in_stage_one_alone_and_thrown_away(update: Any) -> None:
    class Predictions(ToyPrior):
        def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
            self.last = super().predict(x_t, t)
            return self.last

    prior, y = Predictions(), hazy(2)
    moved = Watch(lambda m: (m.state.stage, float((m.state.x0_auxiliary - (prior.last.x0[2:] + 1) / 2).abs().max())))
    settings = method(Affine, prior, guidance=[Term(Fidelity())], update=update, auxiliary=True)
    result = fit(y, names(2), settings, [moved])
    check(result, y, nfe=12)
    assert {stage for stage, _ in moved.seen} == {"I", "II", "III"}
    assert all((by > 1e-4) == (stage == "I") for stage, by in moved.seen)


def test_guidance_alone_moves_no_parameter() -> None:
    """φ learns in modeling only: with nothing to model, it ends as it began, and holds no gradient of guidance."""
    phi = Watch(lambda module: [(p.detach().clone(), p.grad) for p in module.phi.parameters()])
    fit(hazy(1), names(1), method(Haze, modeling=[], guidance=[Term(Fidelity())], update=GradientUpdate()), [phi])
    for (first, _), (last, gradient) in zip(phi.seen[0], phi.seen[-1], strict=True):
        assert torch.equal(first, last)
        assert gradient is None


def test_the_clean_estimate_is_a_constant_to_modeling() -> None:
    constants = Watch(lambda module: module.state.x0.requires_grad)
    fit(hazy(1), names(1), paper(Neural, steps=2), [constants])
    assert constants.seen == [False, False]


def test_a_weight_of_zero_in_a_stage_keeps_phi_still_there() -> None:
    gains = Watch(lambda m: (m.state.stage, float(m.phi.each[0].gain.detach())))
    terms = [Term(Fidelity(), StageWeights(II=1.0))]
    fit(hazy(1), names(1), method(Affine, modeling=terms, lr=0.01, steps=20), [gains])
    by_stage = {stage: {gain for at, gain in gains.seen if at == stage} for stage in ("I", "II", "III")}
    assert len(by_stage["I"]) == len(by_stage["III"]) == 1
    assert len(by_stage["II"]) > 5


def test_steps_and_learning_rate_of_modeling() -> None:
    def moved(lr: float, steps: int) -> float:
        gains = Watch(lambda m: float(m.phi.each[0].gain.detach()))
        settings = method(Affine, modeling=[Term(Fidelity())], lr=lr, steps=1)
        settings.modeling.steps = steps
        fit(hazy(1), names(1), settings, [gains])
        return abs(gains.seen[0] - 0.6)

    assert moved(0.01, 1) == pytest.approx(0.01, rel=0.01)  # Adam's first step is its learning rate
    assert moved(0.02, 1) == pytest.approx(0.02, rel=0.01)
    assert moved(0.01, 5) > 0.03


def test_a_start_below_pure_noise_begins_at_the_familys_first_estimate() -> None:
    """Unguided and from a low level, the result is near the first estimate and not near the photo."""
    y = hazy(1, 48, 48)
    first = Watch(lambda m: m.phi.call("first_estimate", m.y).detach())
    levels = {"sigma_max": 0.055, "steps": 3}
    result = fit(y, names(1), method(Haze, modeling=[], update=GradientUpdate(), **levels), [first])  # type: ignore[arg-type]
    near, far = ((result.restored - x).square().mean() for x in (first.seen[0], y))
    assert float(near) < 0.2 * float(far)


# ---- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_photo_with_nan_is_reported() -> None:
    y = hazy(2)
    y[1, 0, 3, 3] = float("nan")
    result = fit(y, names(2), method(Noise))
    assert list(result.lost) == [1]
    assert result.lost[1].startswith("photo1.png")
    torch.testing.assert_close(result.restored[:1], fit(y[:1], names(1), method(Noise)).restored)


def test_a_collapse_to_one_color_is_reported() -> None:
    class Gray(ToyPrior):
        def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
            return Prediction(torch.zeros_like(x_t))

    with pytest.raises(DivergenceError, match=r"photo0\.png: the fit collapsed to a constant image"):
        fit(hazy(1), names(1), method(Noise, Gray(), modeling=[], update=GradientUpdate()))


def test_a_constant_photo_may_come_out_constant() -> None:
    result = fit(torch.full((1, 3, 16, 16), 0.5), names(1), method(Noise))
    assert float(result.restored.std()) < 0.05


def test_an_interrupt_is_an_interrupt() -> None:
    def interrupt(_: Restoration) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(hazy(1), names(1), method(Noise), [Watch(interrupt)])


def test_names_and_photos_must_match() -> None:
    with pytest.raises(ValueError, match=r"expected y of shape \(1, 3, H, W\), got \(2, 3, 32, 32\)"):
        fit(hazy(2), names(1), method(Noise))


def test_a_module_without_its_sampler_says_so() -> None:
    module = Restoration(hazy(1), names(1), method(Affine))
    with pytest.raises(RuntimeError, match="run this module with the DiffusionSampling callback"):
        module.training_step(0.0, 0)


def test_a_fit_leaves_nothing_in_memory_for_the_garbage_collector() -> None:
    made: list[weakref.ref[Any]] = []
    gc.collect()
    gc.disable()
    try:
        result = fit(hazy(2), names(2), matched(Haze),
                     [Watch(lambda m: made.extend([weakref.ref(m), weakref.ref(m.state.x0)]))])  # fmt: skip
        assert [each for each in made if each() is not None] == []
        assert result.restored.shape == (2, 3, 32, 32)
    finally:
        gc.enable()
