"""One photo of a batch goes wrong: it is begun again by itself, or fails, and no file of another changes."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from helpers.command import TOY, Outcome, run, save_toy
from helpers.fitting import method
from helpers.moments import Affine, names, photos
from helpers.outputs import content
from helpers.toys import Small
from zeroair_pl.degradations import Noise
from zeroair_pl.errors import DivergenceError
from zeroair_pl.guidance.anchored import AnchoredUpdate
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.updates import Guided
from zeroair_pl.method.fit import fit
from zeroair_pl.method.restoration import Restoration


def bright(y: Tensor) -> bool:
    return float(y.mean()) > 0.6


class Brittle(Noise):
    """Learns a shift, and breaks for bright photos once it is above what a tenth of the learning rate leads to."""

    def initialise(self, y: Tensor) -> None:
        super().initialise(y)
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

    def initialise(self, y: Tensor) -> None:
        super().initialise(y)
        self.refuses = bright(y)
        self._at("initialise")

    def forward(self, x: Tensor) -> Tensor:
        self._at("forward")
        return super().forward(x)

    def maps(self) -> dict[str, Tensor]:
        self._at("maps")
        return {}

    def _at(self, place: str) -> None:
        if self.refuses and self.place == place:
            raise self.error("not with me")


class Little(Small):
    """The embedded prior with memory for two photos of 20×24."""

    seen: list[int] = []  # noqa: RUF012 - of all of them

    def __init__(self) -> None:
        super().__init__(limit=2 * 20 * 24, pixels_at_once=2**20)

    def _network(self, x_t: Tensor, t: Tensor) -> list[Tensor]:
        found = super()._network(x_t, t)
        self.seen.append(len(x_t))
        return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with five photos of one size, of which d is bright."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("abcde"):
        save_toy(tmp_path / f"in/{name}.png", seed, 20, 24)
    pixels = 0.8 + 0.15 * photos(1, 20, 24)[0]
    Image.fromarray((pixels * 255).round().byte().permute(1, 2, 0).numpy()).save(tmp_path / "in/d.png")
    return tmp_path


def restore(out: str, family: str, batch: str = "5", *words: str) -> Outcome:
    terms = ("--modelling.terms", "[{loss: Likelihood}]", "--modelling.lr", "0.005", "--save_maps")
    return run("restore", "--images", "in", "--degradation", f"test_batch_trouble.{family}", "--out", out, *TOY,
               "--batch", batch, *terms, *words)  # fmt: skip


def rows(out: str) -> dict[str, dict[str, str]]:
    with Path(out, "results.csv").open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def statuses(out: str) -> str:
    """The first letter of each photo's status."""
    return "".join(row["status"][0] for row in rows(out).values())


def counted(outcome: Outcome) -> list[str]:
    """The lines that count photos, without their seconds."""
    lines = [line for line in outcome.err.splitlines() if line.startswith("[")]
    return [re.sub(r" in \d+\.\d s$", "", line) for line in lines]


LINES = [f"[{i}/5] {name} restored" for i, name in enumerate("abcde", 1)]


@pytest.mark.parametrize("batch", ["2", "5"])
def test_a_photo_that_diverges_is_begun_again_alone(folder: Path, batch: str) -> None:
    assert restore("one", "Brittle", "1").status == 0
    outcome = restore("out", "Brittle", batch)
    assert outcome.status == 0, outcome.err
    said = r"d\.png: the fit diverged, .* is not finite at t = \d+"
    note = rows("out")["d"]["note"]
    assert re.fullmatch(f"{said}; made with a tenth of the learning rate", note)
    assert [line for line in outcome.err.splitlines() if line.startswith("note:")] == [
        f"note: {note.partition(';')[0]}; once more with a tenth of the learning rate"
    ]
    assert counted(outcome) == LINES
    assert "5 restored" in outcome.out
    assert [row["note"] for name, row in rows("out").items() if name != "d"] == [""] * 4
    assert content("out") == content("one")
    assert all(row["seconds"] for row in rows("out").values())
    Path("in/d.png").unlink()
    restore("without", "Brittle", batch)
    others = {name: value for name, value in content("out").items() if not re.search(r"\bd\b", name)}
    assert content("without") == others


def test_a_photo_that_diverges_twice_costs_itself(folder: Path) -> None:
    restore("one", "Broken", "1")
    outcome = restore("out", "Broken")
    assert outcome.status == 1
    assert counted(outcome) == [line.replace("d restored", "d failed") for line in LINES]
    assert rows("out")["d"]["reason"].endswith("; and once more with a tenth of the learning rate")
    assert content("out") == content("one")


def test_a_whole_batch_that_diverges_is_begun_again_one_by_one(folder: Path) -> None:
    for name in "abce":
        Path(f"in/{name}.png").write_bytes(Path("in/d.png").read_bytes())
    outcome = restore("out", "Brittle")
    assert (outcome.status, statuses("out")) == (0, "rrrrr")
    assert outcome.err.count("; once more with a tenth of the learning rate") == 5
    assert counted(outcome) == LINES
    restore("one", "Brittle", "1")
    assert content("out") == content("one")


@pytest.mark.parametrize(
    "place, error",
    [("initialise", ValueError), ("forward", ValueError), ("maps", ValueError), ("forward", DivergenceError)],
)
def test_a_family_that_raises_for_one_photo_costs_that_one(
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
    monkeypatch.setattr(Refuses, "error", ValueError)
    restore("one", "Refuses", "1")
    before, after = content("one"), content("out")
    assert {name for name in before if before[name] != after[name]} <= {"results.csv: d", ".zeroair/d.failed"}


def test_a_checkpoint_of_a_batch_that_is_divided_does_not_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for family in ("Brittle", "Refuses"):
        monkeypatch.setattr(Refuses, "place", "maps")  # when checkpoints have been written
        restore(family, family, "5", "--sampling.steps", "5", "--checkpoint_every", "1")
        assert list(Path(family).rglob("*.ckpt")) == []


def test_a_wrong_setting_ends_the_run_though_it_is_found_in_a_batch(folder: Path) -> None:
    outcome = run("restore", "--images", "in", "--degradation", "Neural", "--out", "out", *TOY, "--batch", "5",
                  "--guidance.update", "AnchoredUpdate")  # fmt: skip
    assert outcome.status == 2
    assert outcome.err.endswith(
        "error: guidance.update: AnchoredUpdate needs a pointwise family; use ProximalUpdate here\n"
    )
    assert "divided" not in outcome.err


# ---- memory ----------------------------------------------------------------------------------------------------------


def embedded(out: str, *words: str) -> Outcome:
    return run("restore", "--images", "in", "--out", out, "--config", "auto", "--tensorboard", "false",
               "--sampling.steps", "2", "--prior", "test_batch_trouble.Little", *words)  # fmt: skip


def test_a_prior_without_room_for_a_batch_sees_fewer_photos_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no smaller tiles, which would change the result."""
    assert embedded("one", "--batch", "1").status == 0
    monkeypatch.setattr(Little, "seen", [])
    outcome = embedded("out", "--batch", "5")
    assert (outcome.status, statuses("out")) == (0, "rrrrr")
    assert max(Little.seen) <= 2
    assert "note:" not in outcome.err
    assert content("out") == content("one")


def test_what_is_seen_at_once_is_halved_before_tiles_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a device that sees all photos at once, by a network that does nothing."""

    class Nothing(Small):
        def _network(self, x_t: Tensor, t: Tensor) -> list[Tensor]:
            tried.append(len(x_t))
            if x_t[:, 0].numel() > self.limit:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return [x_t]

    tried: list[int] = []
    prior, x = Nothing(limit=2 * 80**2, pixels_at_once=2**20), torch.randn(11, 3, 80, 80)
    monkeypatch.setattr(prior.together, "split", lambda x, pixels: [len(part) for part in x.split(pixels // 80**2)])
    side = prior.tiling.side
    prior.predict(x, torch.full((11,), 200.0))
    assert tried == [11, 5, *[2] * 5, 1]
    assert (prior.tiling.images_at_once, prior.tiling.side, prior.tiling.pixels_at_once) == (2, side, 2**20)
    tried.clear()
    prior.predict(x[:3], torch.full((3,), 200.0))
    assert tried == [2, 1], "without running out again"
    prior.limit = 64**2
    prior.predict(x[:3], torch.full((3,), 200.0))
    assert prior.tiling.side == 64, "not even one photo has room"


def test_memory_that_ends_beside_the_prior_divides_the_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restore("one", "Brittle", "1")
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
    assert content("out") == content("one")
    assert list(Path("out").rglob("*.ckpt")) == []


# ---- what is seen of a photo -----------------------------------------------------------------------------------------


class ByBrightness(Affine):
    """A dark photo under a filter that leaves a fiftieth of the light: its noise, seen through it, is heavy."""

    def initialise(self, y: Tensor) -> None:
        super().initialise(y)
        self.gain.data.fill_(1.0 if float(y.mean()) > 0.1 else 0.02)
        self.offset.data.fill_(0.0)
        self.log_noise.data.fill_(torch.tensor(0.02).log())


class Thrown(AnchoredUpdate):
    """Throws the estimate of the bright photo away at one level."""

    def __call__(self, state: GuidanceState, *rest: Any) -> Guided:
        guided = super().__call__(state, *rest)
        return guided._replace(x0=guided.x0 + 1e6 * (float(state.y.mean()) > 0.1) * (100 < state.t < 150))


def test_a_neighbour_in_heavy_noise_does_not_hide_that_a_photo_is_lost() -> None:
    """It waits for the other at the level of its own noise, at which an estimate says nothing."""
    y = torch.cat([0.02 * photos(1), photos(2)[1:]])
    settings: Any = {"family": ByBrightness, "modelling": [], "update": Thrown(), "steps": 20}
    with pytest.raises(DivergenceError) as caught:
        fit(y[1:], names(2)[1:], method(**settings))
    together = fit(y, names(2), method(**settings))
    assert together.lost == {1: str(caught.value)}
    assert torch.equal(together.restored[:1], fit(y[:1], names(1), method(**settings)).restored)
