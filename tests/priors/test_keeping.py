"""Further training keeps the answers of the first weights for images without the noise that the network is told."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor

from helpers.command import run, save_toy
from zeroair_pl.priors.network import DenoisingUNet
from zeroair_pl.priors.training.export import schedule
from zeroair_pl.priors.training.keeping import HIGHEST, LOWEST, Keeping, patterns, softened
from zeroair_pl.priors.training.module import Optimization, PriorTraining

SHORT: tuple[str, ...] = ("--config", "prior/tiny", "--optimization.steps", "8", "--optimization.validate_every", "4")
SHORT += ("--network.widths", "[8,8]", "--trainer.precision", "32-true")


def network(seed: int = 0) -> DenoisingUNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = DenoisingUNet(widths=(8, 8), blocks=(1, 1))
        torch.nn.init.normal_(unet.conv_out.weight, std=0.1)
    return unet


def training(kept: float, first: DenoisingUNet) -> PriorTraining:
    """Half of the crops keep the answers of ``first``; the network begins as it is."""
    options = Optimization(steps=1, decay=1, kept=kept, lr=3e-3, optimizer="adamw")
    module = PriorTraining(copy.deepcopy(first), schedule().alphas_cumprod, options, keeping=Keeping(first))
    module.log = lambda *_, **__: None  # type: ignore[method-assign] # there is no Trainer
    return module


def batch(seed: int, count: int = 8, side: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    small = torch.rand(count, 3, 4, 4, generator=rng)
    clean = 2 * torch.nn.functional.interpolate(small, size=(side, side), mode="bicubic") - 1
    return clean, torch.randn(clean.shape, generator=rng), torch.rand(count, 2, generator=rng)


def test_the_answers_of_the_first_weights_have_no_loss() -> None:
    module = training(0.5, network())
    clean, noise, _ = batch(0)
    with torch.no_grad():
        assert float(module._errors(module._old(clean, noise)).max()) < 1e-12
        module.network.conv_out.bias.add_(0.1)  # type: ignore[union-attr]
        assert float(module._errors(module._old(clean, noise)).min()) > 1e-3


def test_training_on_leaves_the_kept_answers_nearer_to_what_they_were() -> None:
    moved = {}
    for kept in (0.0, 0.5):
        module = training(kept, network())
        optimizer = torch.optim.Adam(module.network.parameters(), lr=3e-3)
        for step in range(40):
            optimizer.zero_grad()
            module.training_step(batch(step), step).backward()
            optimizer.step()
        clean, noise, _ = batch(1000, 32)
        with torch.no_grad():
            moved[kept] = float(module._errors(module._old(clean, noise)).mean())
    assert moved[0.5] < 0.7 * moved[0.0]


def test_images_depend_on_the_step_alone_and_have_the_levels_that_they_name() -> None:
    keeping, (clean, noise, _) = Keeping(network()), batch(0)
    images, level = keeping.images(clean, noise, 3)
    again, _ = keeping.images(clean, noise, 3)
    other, _ = keeping.images(clean, noise, 4)
    assert images.shape == clean.shape
    assert torch.equal(images, again)
    assert not torch.equal(images, other)
    assert float(level.min()) >= LOWEST
    assert float(level.max()) <= HIGHEST
    assert float((images - clean).abs().mean()) > 0


def test_soft_images_have_less_detail_unless_they_are_sharpened() -> None:
    rng = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 32, 32, generator=rng)
    detail = [
        float(softened(image, rng).diff(dim=-1).abs().mean() / image.diff(dim=-1).abs().mean()) for _ in range(40)
    ]
    assert min(detail) < 0.3
    assert sum(each < 0.9 for each in detail) >= 20


def test_patterns_repeat_within_a_few_pixels() -> None:
    rng = torch.Generator().manual_seed(0)
    waves = patterns(torch.rand(3, 64, generator=rng), 32, rng)
    assert waves.shape == (64, 3, 32, 32)
    assert 0.3 < float(waves.std()) < 2
    low = torch.nn.functional.avg_pool2d(waves, 4)
    assert float(low.std()) < 0.5 * float(waves.std())


def test_a_training_that_keeps_answers_resumes_to_the_same_bits(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for k in range(6):
        save_toy(folder / f"{k}.png", seed=k, height=40 + 8 * k, width=64)
    words = ["prior", "train", *SHORT, "--data.photos", str(folder)]
    assert run(*words, "--out", tmp_path / "first").status == 0
    words += ["--start", str(tmp_path / "first"), "--optimization.kept", "0.5", "--optimization.decay", "0.2"]
    assert run(*words, "--out", tmp_path / "straight").status == 0
    for steps in ("4", "8"):  # answers are kept from step 7 on
        assert run(*words, "--out", tmp_path / "stopped", "--optimization.steps", steps).status == 0
    free = run(*words, "--out", tmp_path / "free", "--optimization.kept", "0")
    assert free.status == 0
    bits = [
        (tmp_path / name / "unet/diffusion_pytorch_model.safetensors").read_bytes() for name in ("straight", "stopped")
    ]
    assert bits[0] == bits[1]
    assert bits[0] != (tmp_path / "free" / "unet/diffusion_pytorch_model.safetensors").read_bytes()


def test_without_a_start_there_is_nothing_to_keep(tmp_path: Path) -> None:
    for k in range(3):
        save_toy(tmp_path / f"{k}.png", seed=k, height=48, width=64)
    words = [
        "prior",
        "train",
        *SHORT,
        "--data.photos",
        str(tmp_path),
        "--data.held_out",
        "1",
        "--out",
        str(tmp_path / "o"),
    ]
    found = run(*words, "--optimization.kept", "0.25")
    assert found.status == 2
    assert found.error.startswith("optimization.kept is 0.25: there are no answers to keep without --start")
