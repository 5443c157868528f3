"""Ranges of settings: declared once, and held on the command line, in configs, from Python, in plugins and the docs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import zeroair_pl
from helpers.command import TOY, run, save_toy
from helpers.registry import PREFIX
from zeroair_pl import plugins
from zeroair_pl.commands.evaluate import evaluate
from zeroair_pl.commands.prior_sample import sample
from zeroair_pl.commands.restore import restore
from zeroair_pl.commands.train import Network, train
from zeroair_pl.degradations import Haze, LowLight, Underwater
from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance import TotalVariation
from zeroair_pl.guidance.stages import StageWeights, Term
from zeroair_pl.guidance.updates import GradientUpdate, ProximalUpdate
from zeroair_pl.method.settings import Modeling, Sampling
from zeroair_pl.priors import UNetPrior
from zeroair_pl.priors.training.module import Optimization
from zeroair_pl.priors.training.photos import Data
from zeroair_pl.ranges import Range, RangeError, ranges_of
from zeroair_pl.sampling import AnnealedSampler, SchedulerSampler

SETTINGS = Path(__file__).parents[2] / "docs" / "settings.md"
GROUPS: dict[str, Any] = {
    "": restore, "evaluate: ": evaluate, "modeling.": Modeling, "terms.": Term, "sampling.": Sampling,
    "prior sample: ": sample, "prior train: ": train, "prior train: data.": Data, "prior train: network.": Network,
    "prior train: optimization.": Optimization,
}  # fmt: skip
PLUGIN = """
from typing import Annotated
import torch
from zeroair_pl.degradations import Degradation
from zeroair_pl.ranges import Range

class Dimmed(Degradation):
    '''A photo that was dimmed by a known factor, y = f x + n.

    Args:
        factor: f.
    '''
    pointwise = True

    def __init__(self, factor: Annotated[float, Range(0.1, 1)] = 0.5) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x

    def invert(self, y):
        return y / self.factor
"""


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return save_toy(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("low", "high", "above", "inside", "outside"),
    [
        (0, 1, False, [0, 0.5, 1, None, "auto", [0, 1], StageWeights(1, 0, 1)], [-1e-9, 1.1, math.nan, [0, 2]]),
        (0, math.inf, True, [1e-9, 1e9], [0, -1, math.nan, math.inf, StageWeights(1, -1, 1)]),
        (1, math.inf, False, [1, (1, 2)], [0.9, (1, 0)]),
    ],
)
def test_a_range(low: float, high: float, above: bool, inside: list[object], outside: list[object]) -> None:
    of = Range(low, high, above)
    assert [value for value in inside if not of.has(value)] == []
    assert [value for value in outside if of.has(value)] == []


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Haze(strength=1.5), "Haze.strength is 1.5, expected a number from 0 to 1."),
        (lambda: Haze(math.nan), "Haze.strength is nan, expected a number from 0 to 1."),
        (lambda: LowLight(max_gain=-3), "LowLight.max_gain is -3, expected a number of at least 1."),
        (lambda: Underwater(cast=2), "Underwater.cast is 2, expected a number from 0 to 1."),
        (lambda: Sampling(steps=0), "sampling.steps is 0, expected a number of at least 1."),
        (lambda: Sampling(sigma_max=0), "sampling.sigma_max is 0, expected a number above 0."),
        (lambda: Modeling(lr=-1), "modeling.lr is -1, expected a number of at least 0."),
        (lambda: Term(TotalVariation(), -1), "terms.weight is -1, expected a number of at least 0."),
        (lambda: GradientUpdate(-1), "GradientUpdate.scale is -1, expected a number of at least 0."),
        (lambda: ProximalUpdate(0), "ProximalUpdate.trust is 0, expected a number above 0."),
        (lambda: AnnealedSampler(0), "AnnealedSampler.trust is 0, expected a number above 0."),
        (lambda: SchedulerSampler(eta=7), "SchedulerSampler.eta is 7, expected a number from 0 to 1."),
        (lambda: UNetPrior(tile=-16), "UNetPrior.tile is -16, expected a number of at least 1."),
        (lambda: UNetPrior(pixels_at_once=3), "UNetPrior.pixels_at_once is 3, expected a number of at least 4096."),
        (lambda: zeroair_pl.Method.from_config(seed=-1), "seed is -1, expected a number of at least 0."),
        (lambda: zeroair_pl.Method.from_config(strength=1.5), "strength is 1.5, expected a number from 0 to 1."),
        (lambda: zeroair_pl.restore("a.png", strength=1.5), "strength is 1.5, expected a number from 0 to 1."),
        (lambda: zeroair_pl.restore("a.png", degradation={"class_path": "Haze", "init_args": {"floor": 0}}),
         "Haze.floor is 0.0, expected a number above 0 and at most 1."),
        (lambda: zeroair_pl.evaluate(config="dehaze", images="a.png", seeds=[0, -1]),
         "seeds is [0, -1], expected a number of at least 0."),
    ],
)  # fmt: skip
def test_from_python(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(says)}$"):
        make()


def test_a_missing_argument_is_still_the_functions_own_error() -> None:
    with pytest.raises(TypeError, match="strenght"):
        Haze(strenght=0.5)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--degradation", "Haze", "--degradation.strength", "1.5"], "Haze.strength is 1.5, expected"),
        (["--degradation=LowLight", "--degradation.max_gain=-3"], "LowLight.max_gain is -3.0, expected"),
        (["--sampling.steps", "0"], "sampling.steps is 0, expected"),
        (["--modeling.lr", "-1"], "modeling.lr is -1.0, expected"),
        (["--seed", "-1"], "seed is -1, expected"),
        (["--batch", "0"], "batch is 0, expected"),
        (["--checkpoint-every", "-1"], "checkpoint_every is -1, expected"),
        (["--sampling.sampler", "AnnealedSampler", "--sampling.sampler.trust", "0"], "AnnealedSampler.trust is 0.0"),
        (["--prior", "UNetPrior", "--prior.overlap", "-1"], "UNetPrior.overlap is -1, expected"),
    ],
)
def test_on_the_command_line(words: list[str], says: str, photo: Path) -> None:
    outcome = run("restore", "--config", "denoise", *TOY, *words, "--images", photo, "--out", "out")
    assert outcome.status == 2
    assert outcome.error.startswith(says)
    assert not Path("out").exists()


def test_a_config_is_named_with_its_line(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("my.yaml").write_text("modeling:\n  steps: 2\nsampling:\n  # steps: 0\n  steps: 0  # none\n")
    assert run("restore", "--config", "my.yaml", "--images", photo).error.startswith("my.yaml:5: sampling.steps is 0,")
    staged = "guidance:\n  terms:\n  - loss: TotalVariation\n    weight: {I: 1, II: -1}\n"
    Path("staged.yaml").write_text(staged)
    assert run("restore", "--config", "staged.yaml", "--images", photo).error.startswith("staged.yaml:4: terms.weight")
    monkeypatch.setenv("ZEROAIR_RESTORE__SAMPLING__STEPS", "0")
    assert run("restore", "--images", photo).error.startswith("ZEROAIR_RESTORE__SAMPLING__STEPS: sampling.steps is 0,")


def test_a_plugin_declares_its_own(photo: Path) -> None:
    Path("more").mkdir()
    Path("more/dimmed.py").write_text(PLUGIN)
    words = ["restore", *TOY, "--plugins", "more", "--degradation", "Dimmed", "--images", "a.png", "--out", "out"]
    assert run(*words, "--degradation.factor", "2").error == "Dimmed.factor is 2.0, expected a number from 0.1 to 1."
    assert run(*words, "--degradation.factor", "0.9").status == 0
    assert "factor = 0.5  (a number from 0.1 to 1)" in run("plugins", "list").out
    assert run("plugins", "check", "Dimmed").status == 0


def test_every_range_is_in_the_docs() -> None:
    """The failure shows ``expected``, which is the text to put into the page."""
    plugins.load_plugins([])  # those that are shipped
    found = {f"{group}{name}": each for group, of in GROUPS.items() for name, each in ranges_of(of).items()}
    for entry in plugins.entries():
        if entry.origin == "built in" or entry.origin.startswith(("plugins/", PREFIX)):  # loaded here, or by a contract
            found |= {f"{entry.name}.{name}": each for name, each in entry.ranges.items()}
    expected = [f"| `{name}` | {each} |" for name, each in found.items()]
    text = SETTINGS.read_text(encoding="utf-8").partition("### Ranges")[2].partition("\nNo weight")[0]
    assert [line for line in text.splitlines() if line.startswith("| `")] == expected


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("accelerator", ["gpu", "cuda", "gqu"])
def test_an_accelerator_that_is_not_there_is_one_line(accelerator: str, photo: Path) -> None:
    outcome = run("restore", *TOY, "--trainer.accelerator", accelerator, "--images", photo, "--out", "out")
    assert outcome.status == 2
    assert outcome.error.startswith(f"trainer.accelerator='{accelerator}': ")
    assert not Path("out").exists()
    with pytest.raises(ConfigError, match=f"^trainer.accelerator='{accelerator}': "):
        zeroair_pl.Restorer("auto", trainer={"accelerator": accelerator})


def test_an_error_knows_what_it_is_about() -> None:
    with pytest.raises(RangeError) as caught:
        Haze(strength=1.5)
    assert (caught.value.name, caught.value.value) == ("strength", 1.5)
