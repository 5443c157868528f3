"""A fit that diverges is detected in the same step, repeated once and reported, and its result is not written."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.command import TOY, run, save_toy
from helpers.fitting import Watch, hazy, method
from helpers.moments import names, photos
from zeroair_pl.degradations import Noise
from zeroair_pl.errors import DivergenceError
from zeroair_pl.guidance import Fidelity
from zeroair_pl.guidance.stages import Term
from zeroair_pl.guidance.updates import GradientUpdate, ProximalUpdate
from zeroair_pl.jobs.fitting import safer
from zeroair_pl.method.divergence import lost
from zeroair_pl.method.fit import fit
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.priors import UNetPrior

PHOTO = photos(1, 48, 40)
NOISE = torch.rand(PHOTO.shape, generator=torch.Generator().manual_seed(0))
BINARY = (PHOTO.mean() < PHOTO).float()


@pytest.mark.parametrize(
    "estimate, said",
    [
        (PHOTO * torch.nan, "not finite"),
        (PHOTO.clone().index_fill_(3, torch.tensor([7]), torch.inf), "not finite"),
        (0 * PHOTO, "collapsed to a constant image"),
        (0 * PHOTO + 1, "collapsed to a constant image"),
        (0 * PHOTO - 9, "collapsed to a constant image"),
        ((0 * PHOTO).index_fill_(1, torch.tensor([0]), 1.0), "collapsed to a constant image"),
        ((NOISE > 0.5).float(), "saturated"),
        (1000 * (NOISE - 0.5), "saturated"),
        (1 - BINARY, "saturated"),
    ],
    ids=["nan", "infinite", "black", "white", "below black", "red", "black and white", "far out", "negative"],
)
def test_what_is_no_picture_of_its_photo(estimate: Tensor, said: str) -> None:
    for final in (True, False):
        found = lost(torch.cat([PHOTO, PHOTO]), torch.cat([PHOTO, estimate]), final)
        assert list(found) == [1]
        assert said in found[1]


@pytest.mark.parametrize(
    "photo, estimate",
    [
        (PHOTO, NOISE),
        (0.02 * PHOTO, PHOTO),
        (0.2 * PHOTO + 0.8, PHOTO),
        (0.02 * NOISE, 0 * PHOTO),
        (0 * PHOTO + 0.5, 0 * PHOTO + 0.5),
        (0 * PHOTO, 0 * PHOTO),
        (BINARY, BINARY),
        (0.3 * BINARY + 0.6, BINARY),
        (BINARY, (NOISE > 0.5).float()),
    ],
    ids=["unlike", "low light", "haze", "black frame", "gray", "black", "drawing", "hazy drawing", "saturated before"],
)
def test_what_may_be_a_restored_photo(photo: Tensor, estimate: Tensor) -> None:
    assert lost(photo, estimate) == {}


def test_gray_is_a_beginning_but_no_end() -> None:
    assert lost(PHOTO, 0 * PHOTO + 0.5, final=False) == {}
    assert "constant" in lost(PHOTO, 0 * PHOTO + 0.5)[0]


class Lost(GradientUpdate):
    """An update without guidance, which adds another value at one step."""

    def __init__(self, step: int, value: float) -> None:
        super().__init__(0)
        self.left, self.value = step, value

    def __call__(self, state: Any, *rest: Any) -> Any:
        guided = super().__call__(state, *rest)
        self.left -= 1
        return guided._replace(x0=guided.x0 + self.value) if self.left == -1 else guided


def count_of_steps(module: Restoration) -> int:
    return 1


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -1e6, 1e6])
def test_a_fit_ends_in_the_step_in_which_it_loses_its_photo(value: float) -> None:
    watch = Watch(count_of_steps)
    with pytest.raises(DivergenceError, match=r"photo0\.png.* at σ = [\d.]+$"):
        fit(hazy(1), names(1), method(Noise, update=Lost(2, value), steps=6, sigma_max=0.4), [watch])
    assert len(watch.seen) == 2, "the third step did not end"


def test_an_estimate_from_nearly_pure_noise_may_be_anything_but_nan() -> None:
    watch = Watch(count_of_steps)
    fit(hazy(1), names(1), method(Noise, update=Lost(0, 1e6), steps=6), [watch])
    assert len(watch.seen) == 6
    with pytest.raises(DivergenceError, match=r"not finite at σ = 78\.7"):
        fit(hazy(1), names(1), method(Noise, update=Lost(0, torch.nan), steps=6))


# --- once more, from safer settings


def test_safer_settings_are_smaller_steps_and_exact_arithmetic() -> None:
    prior = UNetPrior(precision="bfloat16")
    before = method(Noise, prior, update=GradientUpdate(500), lr=0.02)
    after, words = safer(before)
    assert after.modeling.lr == pytest.approx(0.002)
    assert isinstance(after.guidance.update, GradientUpdate)
    assert after.guidance.update.scale == pytest.approx(50)
    assert isinstance(after.prior, UNetPrior)
    assert after.prior.precision is torch.float32
    assert after.prior.to_float32() is None
    assert after.prior.fingerprint() == prior.fingerprint(), "the same weights"
    assert words == "a tenth of the learning rate, a tenth of the guidance's scale, float32 arithmetic"
    assert isinstance(before.guidance.update, GradientUpdate)
    assert (before.modeling.lr, before.guidance.update.scale, prior.precision) == (0.02, 500, torch.bfloat16)
    assert safer(method(Noise, update=ProximalUpdate()))[1] == "a tenth of the learning rate"


def restored(folder: Path, scale: float) -> tuple[Any, list[dict[str, str]]]:
    update = f"{{class_path: GradientUpdate, init_args: {{scale: {scale}}}}}"
    words = ["--sampling.sampler", "SchedulerSampler", "--sampling.sigma_max", "null", "--sampling.sigma_min", "0"]
    words += ["--degradation", "Noise", "--guidance.update", update, "--guidance.terms", "[{loss: Fidelity}]", *TOY]
    outcome = run("restore", "--images", str(folder / "in"), "--out", str(folder / "out"), *words)
    with (folder / "out/results.csv").open(newline="") as file:
        return outcome, list(csv.DictReader(file))


def test_a_fit_that_diverges_is_tried_once_more_and_its_row_says_so(tmp_path: Path) -> None:
    save_toy(tmp_path / "in/a.png")
    limit = next(scale for scale in (10.0**k for k in range(2, 9)) if diverges(scale))
    outcome, (row,) = restored(tmp_path, limit)
    assert (outcome.status, row["status"], row["reason"]) == (0, "restored", "")
    assert row["note"].startswith("a.png: the fit diverged, an estimate is saturated at σ = ")
    assert row["note"].endswith("; made with a tenth of the learning rate, a tenth of the guidance's scale")
    assert f"note: {row['note'].partition(';')[0]}; trying again with a tenth of the learning rate" in outcome.err
    first = (tmp_path / "out/a.png").read_bytes()
    assert restored(tmp_path, limit)[1][0] == {**row, "status": "skipped"}, "the note stays"
    (tmp_path / "out/a.png").unlink()
    restored(tmp_path, limit)
    assert (tmp_path / "out/a.png").read_bytes() == first


def diverges(scale: float) -> bool:
    y = photos(1)
    try:
        fit(y, ["a.png"], method(Noise, guidance=[Term(Fidelity())], update=GradientUpdate(scale), steps=2))
    except DivergenceError:
        return True
    return False


def test_a_fit_that_diverges_twice_is_no_result(tmp_path: Path) -> None:
    save_toy(tmp_path / "in/a.png")
    outcome, (row,) = restored(tmp_path, 1e30)
    assert (outcome.status, row["status"], row["note"], row["output"]) == (1, "failed", "", "")
    assert "saturated" in row["reason"]
    assert row["reason"].endswith("and again with a tenth of the learning rate, a tenth of the guidance's scale")
    assert list((tmp_path / "out").rglob("*.png")) == []
