"""If one photo of a batch goes wrong, it is fitted again alone or fails, and the others go on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from helpers.batching import batches_of
from helpers.command import TOY, Outcome, run, save_toy
from helpers.moments import photos
from helpers.outputs import rows
from zeroair_pl.degradations import Denoise, Noise, Side
from zeroair_pl.errors import DivergenceError
from zeroair_pl.method.restoration import Restoration


def bright(y: Tensor) -> bool:
    return float(y.mean()) > 0.6


class Brittle(Noise):
    """Learns a shift, and breaks for bright photos once it is above what a tenth of the learning rate leads to."""

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        self.shift, self.breaks = nn.Parameter(torch.zeros(())), bright(y)

    def forward(self, x: Tensor) -> Tensor:
        shifted = x + self.shift
        return shifted + 0 * (0.004 - self.shift.abs()).sqrt() if self.breaks else shifted

    def invert(self, y: Tensor) -> Tensor:
        return y - self.shift


class Broken(Brittle):
    """Breaks for bright photos at once, whatever the learning rate."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.nan if self.breaks else x + self.shift


class Refuses(Noise):
    """Raises for bright photos, in the method ``place``."""

    place, error = "forward", ValueError

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        self.refuses = bright(y)
        self._at("initialize")

    def forward(self, x: Tensor) -> Tensor:
        self._at("forward")
        return super().forward(x)

    def diagnostics(self) -> dict[str, Tensor]:
        self._at("diagnostics")
        return {}

    def _at(self, place: str) -> None:
        if self.refuses and self.place == place:
            raise self.error("not with me")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with five photos of one size, of which d is bright; they share fits."""
    monkeypatch.chdir(tmp_path)
    batches_of(monkeypatch)
    for seed, name in enumerate("abcde"):
        save_toy(tmp_path / f"in/{name}.png", seed, 20, 24)
    pixels = 0.8 + 0.15 * photos(1, 20, 24)[0]
    Image.fromarray((pixels * 255).round().byte().permute(1, 2, 0).numpy()).save(tmp_path / "in/d.png")
    return tmp_path


def restore(out: str, family: str, batch: str = "5", *words: str) -> Outcome:
    """Uses the proximal update from pure noise, so that a broken degradation changes the result."""
    levels = ("--sampling.sampler", "SchedulerSampler", "--sampling.sigma_max", "null", "--sampling.sigma_min", "0")
    terms = ("--guidance.update", "ProximalUpdate", *levels, "--save_maps")
    return run("restore", "--images", "in", "--degradation", f"test_batch_trouble.{family}", "--out", out, *TOY,
               "--batch", batch, *terms, *words)  # fmt: skip


def statuses(out: str) -> str:
    """The first letter of each photo's status."""
    return "".join(row["status"][0] for row in rows(out).values())


def counted(outcome: Outcome) -> list[str]:
    """The lines that count photos, without their seconds."""
    lines = [line for line in outcome.err.splitlines() if line.startswith("[")]
    return [re.sub(r" in \d+\.\d s(: .*)?$", "", line) for line in lines]


LINES = [f"[{i}/5] {name} restored" for i, name in enumerate("abcde", 1)]


@pytest.mark.parametrize("batch", ["2", "5"])
def test_a_photo_that_diverges_is_begun_again_alone(folder: Path, batch: str) -> None:
    assert restore("one", "Brittle", "1").status == 0
    outcome = restore("out", "Brittle", batch)
    assert outcome.status == 0, outcome.err
    said = r"d\.png: the fit diverged, .* is not finite at σ = [\d.]+"
    note = rows("out")["d"]["note"]
    assert re.fullmatch(f"{said}; made with a tenth of the learning rate", note)
    assert [line for line in outcome.err.splitlines() if line.startswith("note:")] == [
        f"note: {note.partition(';')[0]}; trying again with a tenth of the learning rate"
    ]
    assert counted(outcome) == LINES
    assert "5 restored" in outcome.out
    assert [row["note"] for name, row in rows("out").items() if name != "d"] == [""] * 4
    assert Path("out/d.png").read_bytes() == Path("one/d.png").read_bytes()
    assert all(row["seconds"] for row in rows("out").values())


def test_a_photo_that_diverges_twice_fails_alone(folder: Path) -> None:
    outcome = restore("out", "Broken")
    assert outcome.status == 1
    assert counted(outcome) == [line.replace("d restored", "d failed") for line in LINES]
    assert rows("out")["d"]["reason"].endswith("; and again with a tenth of the learning rate")


def test_a_whole_batch_that_diverges_is_begun_again_one_by_one(folder: Path) -> None:
    for name in "abce":
        Path(f"in/{name}.png").write_bytes(Path("in/d.png").read_bytes())
    outcome = restore("out", "Brittle")
    assert (outcome.status, statuses("out")) == (0, "rrrrr")
    assert outcome.err.count("; trying again with a tenth of the learning rate") == 5
    assert counted(outcome) == LINES


@pytest.mark.parametrize(
    "place, error",
    [("initialize", ValueError), ("forward", ValueError), ("diagnostics", ValueError), ("forward", DivergenceError)],
)
def test_a_family_that_raises_for_one_photo_fails_that_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: Any
) -> None:
    monkeypatch.setattr(Refuses, "place", place)
    monkeypatch.setattr(Refuses, "error", error)
    outcome = restore("out", "Refuses")
    assert (outcome.status, statuses("out")) == (1, "rrrfr"), outcome.err
    said = [line for line in outcome.err.splitlines() if "is divided" in line]
    for line, count in zip(said, (5, 3, 2), strict=True):
        assert line.startswith(f"note: a batch of {count} photos is divided: one of them fails ({error.__name__}: not")
    assert "not with me" in rows("out")["d"]["reason"]
    assert counted(outcome) == [line.replace("d restored", "d failed") for line in LINES]


def test_a_checkpoint_of_a_batch_that_is_divided_does_not_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for family in ("Brittle", "Refuses"):
        monkeypatch.setattr(Refuses, "place", "diagnostics")  # when checkpoints have been written
        restore(family, family, "5", "--sampling.steps", "5", "--checkpoint_every", "1")
        assert list(Path(family).rglob("*.ckpt")) == []


def test_a_wrong_setting_ends_the_run_though_it_is_found_in_a_batch(folder: Path) -> None:
    outcome = run("restore", "--images", "in", "--degradation", "Neural", "--out", "out", *TOY, "--batch", "5",
                  "--sampling.sampler", "NoiseMatchedSampler")  # fmt: skip
    assert outcome.status == 2
    assert outcome.err.endswith(
        "error: sampling.sampler: NoiseMatchedSampler needs a degradation that can be inverted; use AnnealedSampler\n"
    )
    assert "divided" not in outcome.err


def test_memory_that_ends_beside_the_prior_divides_the_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Restoration.training_step

    def short(self: Restoration, batch: Any, batch_idx: int) -> None:
        if len(self.y) > 2 and batch_idx == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        step(self, batch, batch_idx)

    monkeypatch.setattr(Restoration, "training_step", short)
    outcome = restore("out", "Brittle", "5", "--checkpoint_every", "1")
    assert (outcome.status, statuses("out")) == (0, "rrrrr")
    said = [line for line in outcome.err.splitlines() if "divided" in line]
    assert said == [f"note: a batch of {count} photos is divided: memory ran out" for count in (5, 3)]
    assert counted(outcome) == LINES
    assert list(Path("out").rglob("*.ckpt")) == []
