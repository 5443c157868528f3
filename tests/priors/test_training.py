"""Making a prior: photographs in, a folder that restores out, and the same one after an interruption."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from helpers.command import run, save_toy
from zeroair_pl.photos.ownership import OwnFiles
from zeroair_pl.priors import UNetPrior
from zeroair_pl.priors.network import DenoisingUNet
from zeroair_pl.priors.training.export import schedule
from zeroair_pl.priors.training.module import LEVELS, Optimization, PriorTraining, denoised
from zeroair_pl.priors.training.muon import Muon, orthogonalized
from zeroair_pl.priors.training.photos import Crops, Data, center, gather, held_out

ROOT = Path(__file__).parents[2]
SHORT: tuple[str, ...] = ("--config", "prior/tiny", "--optimization.steps", "8", "--optimization.validate_every", "4")
SHORT += ("--network.widths", "[8,8]", "--trainer.precision", "32-true")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for k in range(6):
        save_toy(folder / f"{k}.png", seed=k, height=40 + 8 * k, width=64)
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "toy"
    assert run("prior", "train", *SHORT, "--data.photos", folder, "--out", out).status == 0
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "unet" / "diffusion_pytorch_model.safetensors")


def test_tiny_from_scratch_to_a_restoration(folder: Path, tmp_path: Path) -> None:
    out, photo = tmp_path / "mine", save_toy(tmp_path / "photo.png", seed=9)
    made = run("prior", "train", "--config", "prior/tiny", "--data.photos", folder, "--out", out)
    assert made.status == 0, made.err
    assert f"--prior.path {out}" in made.out
    prior = UNetPrior(str(out))
    assert prior.name == "mine"
    assert prior.calibration.sigma == tuple(level / 2 for level in LEVELS)
    measured = [float(row["psnr/50"]) for row in csv.DictReader((out / "curve.csv").open())]
    assert len(measured) == 2
    assert measured[1] > measured[0]  # a minute's network learns little, but it does
    card = (out / "README.md").read_text()
    assert "60 of 60 steps" in card
    assert f"{measured[1]:.2f}" in card
    done = run("restore", "--config", "denoise", "--images", photo, "--out", tmp_path / "out", "--prior.path", out,
               "--sampling.steps", "2", "--tensorboard", "false")  # fmt: skip
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "photo.png").is_file()


def test_weights_are_stored_in_half_precision_and_nothing_is_left_behind(trained: Path) -> None:
    assert {value.dtype for value in weights(trained).values()} == {torch.float16}
    assert {path.name for path in trained.iterdir()} == {
        *("unet", "scheduler", "training", "prior.json", "README.md", "curve.csv", ".zeroair")
    }
    assert (
        json.loads((trained / "scheduler" / "scheduler_config.json").read_text())["prediction_type"] == "v_prediction"
    )


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_an_interrupted_training_ends_with_the_same_bits(optimizer: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "toy"
    words: list[str | Path] = ["prior", "train", *SHORT, "--data.photos", folder, "--out", out]
    # As if it had been stopped after the first measurement: the learning rate does not depend on the steps yet.
    decay = ("--optimization.decay", "0.25", "--optimization.optimizer", optimizer)
    straight = tmp_path / "straight"
    assert run(*words[:-1], straight, *decay).status == 0
    assert run(*words, *decay, "--optimization.steps", "4").status == 0
    halfway = weights(out)
    assert run(*words, *decay).status == 0
    for name, value in weights(straight).items():
        assert torch.equal(value, weights(out)[name]), name
    assert any(not torch.equal(value, halfway[name]) for name, value in weights(out).items())
    assert (out / "curve.csv").read_text().splitlines()[2:] == (straight / "curve.csv").read_text().splitlines()[2:]


def test_a_finished_training_is_left_as_it_is(trained: Path, folder: Path) -> None:
    before = weights(trained)
    assert run("prior", "train", *SHORT, "--data.photos", folder, "--out", trained).status == 0
    assert all(torch.equal(value, before[name]) for name, value in weights(trained).items())


def test_a_training_begins_with_the_weights_of_another(trained: Path, folder: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["prior", "train", *SHORT, "--data.photos", folder, "--start", trained]
    still = ("--optimization.lr", "1e-12", "--optimization.weight_decay", "0")
    assert run(*words, "--out", tmp_path / "on", *still).status == 0
    for name, value in weights(trained).items():
        torch.testing.assert_close(weights(tmp_path / "on")[name], value, atol=1e-3, rtol=1e-2)
    other = run(*words, "--out", tmp_path / "other", "--network.widths", "[16, 16]")
    assert other.status == 2
    assert other.error.startswith("start: the network of ")


def test_further_blocks_begin_as_the_identity(trained: Path, folder: Path, tmp_path: Path) -> None:
    deeper = ("--network.blocks", "[1, 2]", "--optimization.lr", "1e-12", "--optimization.weight_decay", "0")
    done = run("prior", "train", *SHORT, "--data.photos", folder, "--start", trained, "--out", tmp_path / "on", *deeper)
    assert done.status == 0, done.err
    assert len(weights(tmp_path / "on")) > len(weights(trained))
    x, sigma = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.tensor([0.1])
    first, on = (UNetPrior(str(path), precision="float32").denoise(x, sigma) for path in (trained, tmp_path / "on"))
    torch.testing.assert_close(on, first, atol=2e-3, rtol=0)
    other = run(
        "prior", "train", *SHORT, "--data.photos", folder, "--start", tmp_path / "on", "--out", tmp_path / "less"
    )
    assert other.status == 2
    assert other.error.startswith("start: the network of ")


def test_two_devices_train_one_network(folder: Path, tmp_path: Path) -> None:
    words = ["prior", "train", *SHORT, "--data.photos", str(folder), "--out", str(tmp_path / "two"),
             "--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"]  # fmt: skip
    done = subprocess.run([sys.executable, ROOT / "cli.py", *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "batch 8 × 2" in (tmp_path / "two" / "README.md").read_text()
    assert done.stdout.count("step 8 of 8") == 1


@pytest.mark.parametrize(
    "words, expected",
    [
        (["--data.crop", "30"], "data.crop: expected a multiple of 4, got 30; the nearest is 32"),
        (["--data.late_crop", "2"], "data.late_crop: expected a multiple of 4, got 2; the nearest is 4"),
        (["--data.held_out", "6"], "data.photos: 6 usable photographs of 6 files"),
        (["--data.smallest_scale", "0"], "data.smallest_scale is 0.0, expected a number from 0.05 to 1."),
        (["--optimization.lr", "-1"], "optimization.lr is -1.0, expected a number above 0"),
        (["--network.blocks", "[1]"], "network: widths and blocks"),
        (["--trainer.max_steps", "5"], "trainer.max_steps: is decided by the recipe"),
        (["--trainer.acelerator", "cpu"], "Did you mean 'accelerator'?"),
        (["--trainer.precision", "16-mixed"], "trainer.precision: expected bf16-mixed or 32-true"),
        (["--data.photos", "nowhere"], "nowhere"),
    ],
)
def test_what_is_impossible_is_refused(words: list[str], expected: str, folder: Path, tmp_path: Path) -> None:
    done = run("prior", "train", *SHORT, "--data.photos", folder, "--out", tmp_path / "p", *words)
    assert done.status == 2
    assert expected in done.err


def test_other_settings_are_refused_unless_begun_anew(trained: Path, folder: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["prior", "train", *SHORT, "--data.photos", folder, "--out", trained]
    words += ["--optimization.lr", "0.01"]
    assert "optimization.lr: the training in" in run(*words).error
    OwnFiles(tmp_path / "prior").write("prior.json", b"{}")
    taken = run("prior", "train", *SHORT, "--data.photos", folder, "--out", tmp_path / "prior")
    assert "holds a prior already" in taken.error
    (tmp_path / "file").touch()
    assert "is a file" in run("prior", "train", *SHORT, "--data.photos", folder, "--out", tmp_path / "file").error


def test_unusable_files_are_skipped_with_a_reason(folder: Path, tmp_path: Path) -> None:
    for photo in folder.iterdir():
        (tmp_path / photo.name).write_bytes(photo.read_bytes())
    (tmp_path / "broken.png").write_bytes(b"no image")
    save_toy(tmp_path / "small.png", height=16, width=16)
    photos = gather(Data(str(tmp_path), crop=32, held_out=2), tmp_path / "kept")
    assert len(photos) == 6
    assert [reason.split(":")[0].split("/")[-1] for reason in photos.skipped] == ["broken.png", "small.png"]


def test_photographs_are_kept_as_they_are_or_shrunk(folder: Path, tmp_path: Path) -> None:
    data = Data(str(folder), crop=16, held_out=2)
    photos = gather(data, tmp_path)
    assert np.array_equal(photos[3], np.asarray(Image.open(folder / "3.png")))
    before = (tmp_path / "photos.bin").stat().st_mtime_ns
    assert gather(data, tmp_path).names == photos.names
    assert (tmp_path / "photos.bin").stat().st_mtime_ns == before  # decoded once
    data.short_side = 32
    assert {min(shape) for shape in gather(data, tmp_path).shapes} == {32}


def test_crops_depend_on_seed_epoch_and_place_alone(folder: Path, tmp_path: Path) -> None:
    photos = gather(Data(str(folder), crop=32, held_out=2), tmp_path)
    crops = Crops(photos, [0, 1, 2], Data("", crop=32), 40, seed=3)
    items = [crops[k] for k in range(40)]
    again = Crops(photos, [0, 1, 2], Data("", crop=32), 5, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(items[4], again[4], strict=True))
    again.epoch = 1
    assert not torch.equal(items[4][1], again[4][1])
    for clean, noise, uniform in items:
        assert clean.shape == noise.shape == (3, 32, 32)
        assert -1 <= float(clean.min()) < float(clean.max()) <= 1
        assert 0 <= float(uniform.min()) <= float(uniform.max()) < 1
    noise = torch.stack([item[1] for item in items])
    assert abs(float(noise.mean())) < 0.02
    assert abs(float(noise.std()) - 1) < 0.02


def test_held_out_photographs_are_not_trained_on(folder: Path, tmp_path: Path) -> None:
    photos = gather(Data(str(folder), crop=16, held_out=2), tmp_path)
    train, measure = held_out(photos, 2)
    assert len(measure) == 2
    assert sorted(train + measure) == list(range(6))
    assert center(photos[5]).shape == (3, 80, 64)


def test_late_crops_see_as_many_pixels() -> None:
    data = Data("", crop=64, batch=16, late_crop=128)
    assert data.at(0.49) == data
    assert (data.at(0.5).crop, data.at(0.5).batch) == (128, 4)


def training() -> PriorTraining:
    torch.manual_seed(0)
    return PriorTraining(DenoisingUNet((8, 8), (1, 1)), schedule().alphas_cumprod, Optimization())


def test_a_perfect_v_gives_the_clean_image_at_every_level() -> None:
    module, clean = training(), torch.rand(4, 3, 8, 8) * 2 - 1
    step = module.noisy(clean, torch.randn(4, 3, 8, 8), torch.tensor([[0, 0.01], [0.5, 0.9], [0.9, 0.1], [1, 0.999]]))
    alpha_bar = (1 / (1 + step.noise**2))[:, None, None, None]
    x0 = alpha_bar.sqrt() * step.x_t - (1 - alpha_bar).sqrt() * step.v
    assert torch.allclose(x0, clean, atol=1e-4)
    assert 0.01 < float(step.noise[0]) < 0.011
    assert float(step.noise[3]) > 140


def test_measuring_is_of_the_noise_that_it_names() -> None:
    module, clean = training(), torch.rand(1, 3, 64, 64) * 2 - 1
    # The untrained network predicts v = 0, so its estimate is known: ᾱ·(x0 + level·ε).
    level = 0.392
    shrunk = denoised(module.prior, clean, torch.zeros_like(clean), level)
    assert torch.allclose(shrunk, clean / (1 + level**2), atol=1e-3)
    psnr = module.measure(module.prior, [clean])
    assert tuple(psnr) == LEVELS
    assert psnr[LEVELS[0]] == pytest.approx(10 * np.log10(4 / LEVELS[0] ** 2), abs=0.3)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    module = training()
    module.optimization = Optimization(steps=100, warmup=10, decay=0.5)
    factors = [module.lr_factor(step) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:50] == [1.0] * 41
    assert factors[75] == pytest.approx(0.5)
    assert factors[100] == 0


@pytest.mark.parametrize("shape", [(5, 12, 40), (5, 40, 12)])
def test_orthogonal_updates_have_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    u, _, vt = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    spread = torch.linspace(1, 0.02, 12)
    found = orthogonalized(1e-3 * (u * spread) @ vt)
    values = (u.mT @ found @ vt.mT).diagonal(dim1=-2, dim2=-1)
    assert float(values.min()) > 0.65
    assert float(values.max()) < 1.25
    assert bool(torch.isfinite(orthogonalized(torch.zeros(shape))).all())


def test_an_orthogonal_step_is_as_large_as_one_of_adamw() -> None:
    network = DenoisingUNet((8, 16), (1, 1))
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for p in network.parameters():
        p.grad = torch.randn_like(p) * 1e-3
    Muon(network, lr=0.01).step()
    moved = {name: float((p.detach() - before[name]).square().mean().sqrt()) for name, p in network.named_parameters()}
    inner = [name for name, p in before.items() if p.ndim == 4 and not name.startswith("conv_")]
    assert all(0.001 < moved[name] < 0.003 for name in inner), "0.2 of the learning rate"
    assert all(value == pytest.approx(0.01, rel=0.01) for name, value in moved.items() if name not in inner)


def test_the_network_tells_levels_apart_and_takes_any_multiple() -> None:
    network = DenoisingUNet((8, 16), (1, 2)).requires_grad_(False)
    torch.nn.init.normal_(network.conv_out.weight)
    for parameter in network.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.1)
    assert network.multiple == 4
    x = torch.randn(1, 3, 12, 20)
    low, high = (network(x, torch.tensor([t])).sample for t in (1.0, 900.0))
    assert low.shape == x.shape
    assert not torch.allclose(low, high, atol=1e-3)
    with pytest.raises(ValueError, match="2 and 1"):
        DenoisingUNet((8, 16), (1,))
