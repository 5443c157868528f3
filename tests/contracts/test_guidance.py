"""What every guidance loss must keep, for each class in the package and ``plugins/``; losses that need a download."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import lpips
import pytest
import timm
import torch

from helpers.moments import Affine, ToyBlur, moment, photos
from helpers.registry import concrete
from helpers.toys import ToyPrior
from zeroair_pl.checks import CHECKS, Check
from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance import Lpips, Perceptual
from zeroair_pl.guidance.base import GuidanceLoss, GuidanceState

pytestmark = pytest.mark.filterwarnings("ignore:.*weight enum.*|.*parameter 'pretrained'.*")  # lpips about torchvision

LOSSES = concrete(GuidanceLoss, "guidance")

every_loss = pytest.mark.parametrize("kind", LOSSES, ids=lambda cls: cls.__name__)


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """LPIPS with a random trunk: its own linear layers are inside the package, the trunk's weights are not."""
    torch.manual_seed(0)
    monkeypatch.setattr(lpips, "LPIPS", partial(lpips.LPIPS, pnet_rand=True))


def state_for(loss: Any, size: int = 32, auxiliary: bool = False, family: Any = Affine) -> GuidanceState:
    y = 0.1 + 0.6 * photos(2, size, size)
    x0 = (photos(2, size, size) + 0.1 * photos(2, size, size).flip(-1)).clamp(0, 1)
    return moment(y, x0, family, x0.flip(-1) if auxiliary else None, losses=(loss,))


def test_losses_are_found() -> None:
    expected = {"Adversarial", "Fidelity", "Likelihood", "Lpips", "Perceptual", "ResidualAdversarial", "TotalVariation"}
    assert expected <= {cls.__name__ for cls in LOSSES}
    assert len({cls().name for cls in LOSSES}) == len(LOSSES), "two losses would share a name in logs"


@every_loss
@pytest.mark.parametrize("auxiliary", [False, True])
@pytest.mark.parametrize("family", [Affine, ToyBlur])
def test_one_finite_value_for_each_image(kind: Any, auxiliary: bool, family: Any) -> None:
    loss = kind()
    state = state_for(loss, auxiliary=auxiliary, family=family)
    kept = [v.clone() for v in (state.y, state.x0, state.y_hat.detach())]
    value = loss(state)
    assert value.shape == (2,)
    assert bool(torch.isfinite(value).all())
    assert float((value[0] - value[1]).abs()) > 0
    assert all(torch.equal(a, b) for a, b in zip(kept, (state.y, state.x0, state.y_hat.detach()), strict=True))


@every_loss
@pytest.mark.parametrize("auxiliary", [False, True])
def test_an_image_does_not_depend_on_its_batch(kind: Any, auxiliary: bool) -> None:
    loss = kind()
    state = state_for(loss, auxiliary=auxiliary)
    wanted = loss(state)[0]
    other = photos(4, 32, 32)[2:]
    x0, y = (torch.cat([own[:1], foreign]) for own, foreign in zip((state.x0, state.y), other.split(1), strict=True))
    changed = moment(y, x0, Affine, x0.flip(-1) if auxiliary else None, losses=(loss,))
    assert torch.equal(loss(changed)[0], wanted)
    alone = moment(y[:1], x0[:1], Affine, x0[:1].flip(-1) if auxiliary else None, losses=(loss,))
    torch.testing.assert_close(loss(alone)[0], wanted)  # kernels may round differently by the size of a batch


@every_loss
@pytest.mark.parametrize("auxiliary", [False, True])
def test_an_adversarial_loss_says_what_is_real_and_what_is_fake(kind: Any, auxiliary: bool) -> None:
    loss = kind()
    assert loss.adversarial == hasattr(loss, "pairs")
    if loss.adversarial:
        state = state_for(loss, auxiliary=auxiliary)
        for images in loss.pairs(state):
            assert images.shape[1:] == state.y.shape[1:]
            assert len(images) % len(state.y) == 0
        assert loss.lr > 0


@every_loss
@pytest.mark.parametrize("check", CHECKS["loss"], ids=lambda check: check.__name__)
def test_contract(kind: Any, check: Check) -> None:
    """What ``plugins check`` shows; the tests below say more, of φ that is not pointwise and of two noise maps."""
    check(kind)


@pytest.mark.parametrize(
    "library, name, loss, advice",
    [
        (timm, "create_model", Perceptual(trunk="vgg16.tv_in1k"), "'vgg16.tv_in1k'.*trunk: prior"),
        (lpips, "LPIPS", Lpips("alex"), "'alex'.*Perceptual"),
    ],
)
def test_without_weights_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, library: Any, name: str, loss: GuidanceLoss, advice: str
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(library, name, offline)
    with pytest.raises(ConfigError, match=advice):
        loss(state_for(loss))


def test_timm_with_an_unknown_name_suggests_a_near_one() -> None:
    loss = Perceptual(trunk="vgg16bn")
    with pytest.raises(ConfigError, match=r"no model 'vgg16bn'\. Did you mean 'vgg16_bn'"):
        loss(state_for(loss))


def test_any_timm_trunk_gives_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """With random weights: the trunk's layers, its normalization and the choice of layers are what is tested."""
    torch.manual_seed(0)
    original, made = timm.create_model, []

    def random_weights(name: str, pretrained: bool, **options: Any) -> Any:
        assert pretrained
        made.append(name)
        return original(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", random_weights)
    loss = Perceptual(trunk="test_resnet.r160_in1k", layers=(0, 2))
    state = state_for(loss)
    first, second = loss(state), loss(state)
    assert made == ["test_resnet.r160_in1k"], "built once"
    assert torch.equal(first, second)
    assert float(first.min()) > 0
    assert [f.shape[-1] for f in loss.features(state.y, state)] == [16, 4]
    assert float(loss(state.at((state.y - 0.1) / 0.6)).abs().max()) < 1e-6, "φ(x0) = y has the features of y"
    assert not list(loss.parameters()), "the trunk must not be stored with the fit"
    with pytest.raises(ConfigError, match=r"layers \[9\] of 5 feature maps of 'test_resnet"):
        Perceptual(trunk="test_resnet.r160_in1k", layers=(9,))(state)


def test_perceptual_takes_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = timm.create_model("test_resnet.r160_in1k", pretrained=False)
    torch.save(model.state_dict(), file := tmp_path / "resnet.pth")
    loss = Perceptual(trunk="test_resnet.r160_in1k", layers=(0,), weights=str(file))
    state = state_for(loss)
    direct = timm.create_model("test_resnet.r160_in1k", pretrained=False, features_only=True).eval()
    direct.load_state_dict(model.state_dict(), strict=False)
    found = loss.features(state.y, state)[0]
    assert not torch.equal(found, Perceptual().features(state.y, state)[0])
    with torch.no_grad():
        wanted = direct((state.y - loss._loaded[1]) / loss._loaded[2])[0]  # type: ignore[index]
    torch.testing.assert_close(found, wanted)
    file.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"Perceptual: .*resnet.pth cannot be read as the weights of 'test_resnet"):
        Perceptual(trunk="test_resnet.r160_in1k", weights=str(file))(state)


def test_weights_that_would_not_be_used_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"weights vgg\.pth: the trunk 'prior' takes no file; name a timm model"):
        Perceptual(weights="vgg.pth")


def test_lpips_takes_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = lpips.LPIPS(net="squeeze", verbose=False)
    trunk = {f"features.{name.partition('.')[2]}": value for name, value in network.net.state_dict().items()}
    torch.save(trunk, file := tmp_path / "squeeze.pth")
    loss = Lpips("squeeze", str(file))
    state = state_for(loss)
    with torch.no_grad():
        wanted = network.eval()(state.y_hat * 2 - 1, state.y * 2 - 1).flatten()
        torch.testing.assert_close(loss(state), wanted)
    del trunk["features.0.weight"]
    torch.save(trunk, file)
    with pytest.raises(ConfigError, match=r"squeeze.pth cannot be read as the weights of 'SqueezeNet 1.1' \(KeyError"):
        Lpips("squeeze", str(file))(state)


@pytest.mark.parametrize("loss", [Perceptual("vgg16.tv_in1k", weights="gone.pth"), Lpips(weights="gone.pth")])
def test_weights_that_are_not_there_are_named(loss: Any) -> None:
    with pytest.raises(ConfigError, match=r"weights is 'gone.pth', and there is no such file"):
        loss(state_for(loss))


def test_perceptual_needs_the_prior_it_names() -> None:
    loss, state = Perceptual(), state_for(Perceptual())
    state.prior = None
    with pytest.raises(ConfigError, match="trunk 'prior' needs a fit with a prior"):
        loss(state)
    assert isinstance(state_for(loss).prior, ToyPrior)


@every_loss
@pytest.mark.parametrize("auxiliary", [False, True])
@pytest.mark.parametrize("family", [Affine, ToyBlur])
def test_networks_that_are_computed_as_one_give_the_same_loss_and_gradients(
    kind: Any, auxiliary: bool, family: Any
) -> None:
    """In the clean estimates and in the parameters of φ."""
    found = []
    for stacked in (False, True):
        torch.manual_seed(0)  # for the random trunk of LPIPS
        loss = kind()
        state = state_for(loss, auxiliary=auxiliary, family=family)
        if stacked:
            state.degradation.stack(state.y, ["noise_level", "penalty"])
            for network in state.discriminators.values():
                network.stack(state.y)
                assert network.whole is not None
            assert state.degradation.whole is not None
        images = [v.clone().requires_grad_() for v in (state.x0, state.x0_auxiliary) if v is not None]
        value = loss(state.at(*images))
        own = [p for p in state.degradation.parameters()]
        gradients = torch.autograd.grad(value.sum(), [*images, *own], materialize_grads=True)
        learned = gradients[len(images) :]
        if not stacked:
            count = len(learned) // 2
            learned = tuple(torch.stack(both) for both in zip(learned[:count], learned[count:], strict=True))
        found.append([value.detach(), *gradients[: len(images)], *learned])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-6)
