"""``prior list``, ``prior info``, ``prior sample`` and the refusals of ``prior fetch``, as a user types them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from PIL import Image
from torch import Tensor

from helpers.command import run
from helpers.networks import unet
from helpers.toys import ToyPrior
from zeroair_pl.priors import Prediction, UNetPrior
from zeroair_pl.priors.hub.catalog import CATALOG
from zeroair_pl.sampling.unconditional import draw


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZEROAIR_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "priors"


@pytest.fixture
def fixed_size(tmp_path: Path) -> Path:
    """A tiny diffusers folder with attention and a learned variance, as a converted ADM checkpoint."""
    unet(16, out=6, attention=True).half().save_pretrained(tmp_path / "toy" / "unet")
    DDPMScheduler(num_train_timesteps=500).save_pretrained(tmp_path / "toy" / "scheduler")
    (tmp_path / "toy" / "README.md").write_text(
        "---\nlicense: mit\n---\n# Toy\n\nA toy.\n\nMore.\n\n| a | b |\n|---|---|\n"
    )
    return tmp_path / "toy"


def value(out: str, what: str) -> str:
    return next(line.removeprefix(what).strip() for line in out.splitlines() if line.startswith(f"{what} "))


def test_list_shows_what_is_here_and_what_is_not(fixed_size: Path, own_home: Path) -> None:
    own_home.mkdir(parents=True)
    fixed_size.rename(own_home / "ddpm-cat-256")
    (own_home / "half.part").mkdir()
    outcome = run("prior", "list")
    assert outcome.status == 0, outcome.err
    lines = {line.split()[0]: line for line in outcome.out.splitlines()}
    assert set(lines) == {"name", *CATALOG}
    assert " bundled " in lines["small"]
    assert " fetched " in lines["ddpm-cat-256"]
    assert " to fetch  2,211 MB " in lines["adm-256x256-uncond"]
    assert "--class_label" in lines["adm-64x64"]
    assert len({line.index(CATALOG[name].license) for name, line in lines.items() if name != "name"}) == 1, "aligned"


def test_info_of_the_bundled_prior_is_what_loading_it_shows() -> None:
    outcome = run("prior", "info", "small")
    assert outcome.status == 0, outcome.err
    prior = UNetPrior("small")
    assert value(outcome.out, "parameters") == f"{sum(p.numel() for p in prior.unet.parameters()):,}"
    assert value(outcome.out, "prediction") == prior.prediction_type
    assert value(outcome.out, "schedule").startswith(f"T = {prior.num_timesteps}, noise of 1.2")
    assert value(outcome.out, "image size") == f"any; sides are padded to multiples of {prior.multiple}"
    expected = prior.rmse(torch.tensor(25 / 255))
    assert f"{-20 * torch.log10(expected):.1f} dB at 25" in value(outcome.out, "calibration")
    assert "| σ (/255) | 5 | 10 |" in outcome.out, "the figures of the model card"


def test_info_of_a_folder_of_fixed_size(fixed_size: Path) -> None:
    outcome = run("prior", "info", fixed_size)
    assert outcome.status == 0, outcome.err
    assert value(outcome.out, "image size").startswith("fixed: attention over the whole image, trained at 16 px")
    assert value(outcome.out, "learned variance") == "yes"
    assert value(outcome.out, "schedule").startswith("T = 500,")
    assert value(outcome.out, "on disk").endswith("weights in float16")
    assert value(outcome.out, "calibration") == "none of its own"
    assert outcome.out.endswith("\n\n# Toy\n\nA toy.\n\n| a | b |\n|---|---|\n")


def test_info_of_what_is_not_here() -> None:
    outcome = run("prior", "info", "256x256_diffusion")
    assert outcome.status == 0, outcome.err
    assert value(outcome.out, "state") == "to fetch: zeroair prior fetch adm-256x256 --class_label N"
    assert value(outcome.out, "from") == CATALOG["adm-256x256"].source
    assert "Did you mean 'small'?" in run("prior", "info", "smal").error


def test_info_of_damaged_weights_names_them(fixed_size: Path) -> None:
    weights = fixed_size / "unet" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-10])
    error = run("prior", "info", fixed_size).error
    assert f"{weights} of {len(whole) - 10:,} bytes is not a complete safetensors file" in error
    weights.write_bytes(b"nothing")
    assert f"{weights} of 7 bytes is not a complete safetensors file" in run("prior", "info", fixed_size).error


@pytest.mark.parametrize(
    "words, said",
    [
        (["smal"], "Did you mean 'small'?"),
        (["512x512_diffusion"], "512x512_diffusion cannot be used"),
        (["64x64_diffusion.pt"], "adm-64x64 is class-conditional"),
        (["adm-64x64", "--class_label", "1000"], "--class_label is 1000, expected 0 to 999"),
        (["google/ddpm-church-256"], "On a machine with a network, get config.json"),
    ],
)
def test_fetch_refuses_in_one_line(words: list[str], said: str, own_home: Path) -> None:
    outcome = run("prior", "fetch", *words)
    assert outcome.status == 2
    assert said in outcome.error
    assert not own_home.exists()


def test_fetch_of_the_bundled_prior_has_nothing_to_do() -> None:
    outcome = run("prior", "fetch", "small")
    assert outcome.status == 0
    assert "--prior.path small" in outcome.out


def test_a_known_prior_that_is_not_here_says_how_to_get_it() -> None:
    outcome = run("prior", "sample", "--prior.path", "adm-256x256-uncond")
    assert "zeroair prior fetch adm-256x256-uncond" in outcome.error


def test_sample_draws_a_grid(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "grid.png"
    words = ["--out", str(out), "--count", "5", "--size", "16", "--steps", "3", "--prior.precision", "float32"]
    outcome = run("prior", "sample", *words)
    assert outcome.status == 0, outcome.err
    assert str(out) in outcome.out
    picture = np.asarray(Image.open(out))
    assert picture.shape == (3 * 18 + 2, 2 * 18 + 2, 3)
    cells = [
        picture[2 + 18 * row : 18 + 18 * row, 2 + 18 * column : 18 + 18 * column]
        for row in range(3)
        for column in range(2)
    ]
    assert not np.array_equal(cells[0], cells[1])
    expected = draw(UNetPrior("small", precision="float32"), 1, 16, 3)[0].permute(1, 2, 0).numpy()
    assert np.abs(cells[0] - 255 * expected).max() < 0.51, "the first is the same alone"
    assert cells[5].max() == 0, "an empty place"
    assert [path.name for path in out.parent.iterdir()] == ["grid.png"]


def test_a_sample_depends_on_its_number_and_the_seed_alone() -> None:
    prior = ToyPrior()
    three, twenty = draw(prior, 3, 8, 4), draw(prior, 20, 8, 4)
    assert torch.equal(three, twenty[:3])
    assert len(twenty.unique(dim=0)) == 20
    assert not torch.equal(draw(prior, 3, 8, 4, seed=1), three)


class GaussianPrior(ToyPrior):
    """The exact prior of images whose values are independent and normal, with mean 0.1 and standard deviation 0.3."""

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        alpha_bar = self.alpha_bar(t).to(x_t)[:, None, None, None]
        gain = alpha_bar.sqrt() * 0.09 / (alpha_bar * 0.09 + 1 - alpha_bar)
        return Prediction(0.1 + gain * (x_t - alpha_bar.sqrt() * 0.1))


def test_samples_have_the_distribution_of_the_prior() -> None:
    images = draw(GaussianPrior(), 4, 32, 100) * 2 - 1
    assert abs(float(images.mean()) - 0.1) < 0.01
    assert abs(float(images.std()) - 0.3) < 0.015


@pytest.mark.parametrize(
    "words, said",
    [
        (["--count", "0"], "count is 0, expected a number of at least 1"),
        (["--steps", "1001"], "--steps is 1001, and the prior has 1000 noise levels"),
        (["--out", "grid.jpg"], "expected a name that ends in .png"),
        (["--seeds", "1"], "--seed"),
    ],
)
def test_sample_refuses_in_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run("prior", "sample", "--prior", "helpers.toys.ToyPrior", *words)
    assert outcome.status == 2
    assert said in outcome.error
    assert list(tmp_path.iterdir()) == []
