"""The progress and TensorBoard must show what happened in a fit, and must not change it."""

from __future__ import annotations

import io
import random
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image
from torch import Tensor, nn

from helpers.toys import ToyPrior
from zeroair_pl.degradations.base import Degradation
from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance.adversarial import Adversarial
from zeroair_pl.guidance.fidelity import Likelihood
from zeroair_pl.guidance.stages import Term
from zeroair_pl.inspection import progress
from zeroair_pl.inspection.progress import ListProgress
from zeroair_pl.inspection.tensorboard import TensorBoard, run_folder
from zeroair_pl.method.fit import fit
from zeroair_pl.method.restoration import Restoration
from zeroair_pl.method.settings import Guidance, Method, Modeling, Result, Sampling
from zeroair_pl.sampling import SchedulerSampler
from zeroair_pl.tensors import drawing

NAMES = ["holiday 1/größe φ", "second"]
STEPS = 12


class Dim(Degradation):
    """A family with every kind of map, and with random numbers in its forward pass."""

    pointwise = True

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((1, 1, 1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x + 1e-3 * torch.randn(1)

    def invert(self, y: Tensor) -> Tensor:
        return y / self.gain

    def diagnostics(self) -> dict[str, Tensor]:
        ramp = torch.linspace(0, 1, 32).expand(1, 1, 24, 32)
        return {
            "light": ramp * self.gain,
            "gain": self.gain,
            "tint": torch.tensor([0.2, 0.4, 0.6])[None, :, None, None],
        }


class Spy(Callback):
    """Keeps the values that TensorBoard should show."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, Restoration)
        assert pl_module.state is not None
        gain = torch.cat([phi.diagnostics()["gain"].flatten() for phi in pl_module.phi])
        self.rows.append({**pl_module.record, "gain": gain.detach().clone(), "sigma": pl_module.state.noise})


@pytest.fixture(scope="module")
def photos() -> Tensor:
    rows, columns = torch.linspace(0, 1, 24)[:, None], torch.linspace(0, 1, 32)[None]
    first = torch.stack([rows * columns, rows.expand(24, 32), columns.expand(24, 32)])
    return 0.5 * torch.stack([first, 1 - first])


def restore(photos: Tensor, callbacks: list[Callback], steps: int = STEPS, **trainer: Any) -> Result:
    torch.manual_seed(3)  # for Dim alone: nothing else may use the global generator
    modeling = Modeling([Term(Likelihood()), Term(Adversarial(), 0.01)], lr=0.01)
    method = Method(
        Dim, ToyPrior(), modeling, Guidance([Term(Likelihood())]), Sampling(steps, None, 0, SchedulerSampler())
    )
    return fit(photos, NAMES, method, callbacks, {"accelerator": "cpu", **trainer})


def events(run: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(run), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


def image_of(event: Any) -> Image.Image:
    return Image.open(io.BytesIO(event.encoded_image_string))


@pytest.fixture(scope="module")
def board(photos: Tensor, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Spy]:
    folder, spy = tmp_path_factory.mktemp("board"), Spy()
    restore(photos, [TensorBoard(folder, NAMES, config="seed: 0\nsampling:\n  steps: 12"), spy])
    return folder, spy


def test_each_image_has_a_run_with_its_own_values_at_every_timestep(board: tuple[Path, Spy]) -> None:
    folder, spy = board
    assert {p.parent.relative_to(folder).as_posix() for p in folder.rglob("events.*")} == set(NAMES)
    shown = {"degradation/noise_level": "noise_level", "degradation/gain": "gain", "schedule/sigma": "sigma"}
    shown |= {key: key for key in spy.rows[0] if "/" in key}
    assert {"modeling/likelihood", "adversarial/discriminator", "adversarial/accuracy"} < set(shown)
    for i, name in enumerate(NAMES):
        run = events(folder / name)
        others = {f"degradation/tint/{c}" for c in ("red", "green", "blue")} | {
            "degradation/residual_rms",
            "schedule/stage",
        }
        assert set(run.Tags()["scalars"]) == set(shown) | others
        for tag, key in shown.items():
            assert [e.step for e in run.Scalars(tag)] == list(range(STEPS))
            assert [e.value for e in run.Scalars(tag)] == pytest.approx([float(row[key][i]) for row in spy.rows])
        assert [e.value for e in run.Scalars("degradation/tint/green")] == pytest.approx([0.4] * STEPS)
        stages = [e.value for e in run.Scalars("schedule/stage")]
        assert stages == sorted(stages)
        assert {stages[0], stages[-1]} == {1.0, 3.0}
    assert spy.rows[-1]["gain"][0] != spy.rows[-1]["gain"][1]


def test_strips_show_four_moments_to_the_last_at_a_common_height(board: tuple[Path, Spy], photos: Tensor) -> None:
    run = events(board[0] / "second")
    strips = run.Images("strip")
    assert [e.step for e in strips] == [0, 4, 7, 11]
    picture = image_of(strips[-1])
    assert picture.size == (strips[-1].width, strips[-1].height)
    # 24 rows are enlarged six times, to 144; the three photos are 192 wide, and below them are the maps.
    assert picture.height == 2 * (drawing.LINE + 144 + drawing.GAP)
    assert picture.width == 3 * 192 + 4 * drawing.GAP
    y = np.asarray(picture)[drawing.LINE : drawing.LINE + 144 : 6, drawing.GAP : drawing.GAP + 192 : 6]
    expected = (photos[1] * 255).permute(1, 2, 0).numpy()
    assert np.abs(y - expected).mean() < 3, "as a JPEG has it"
    assert b"sampling" in run.Tensors("config/text_summary")[0].tensor_proto.string_val[0]


def test_the_board_changes_nothing(photos: Tensor, tmp_path: Path) -> None:
    def outcome(callbacks: list[Callback]) -> tuple[Result, Tensor, Any, Any]:
        np.random.seed(1)  # noqa: NPY002 - the global state is what must be left alone
        random.seed(1)
        result = restore(photos, callbacks)
        return result, torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"], random.getstate()  # noqa: NPY002

    alone, watched = outcome([]), outcome([TensorBoard(tmp_path, NAMES)])
    assert torch.equal(alone[0].restored, watched[0].restored)
    assert torch.equal(alone[0].noise_level, watched[0].noise_level)
    assert all(
        torch.equal(a["gain"], b["gain"]) for a, b in zip(alone[0].diagnostics, watched[0].diagnostics, strict=True)
    )
    assert torch.equal(alone[1], watched[1])
    assert np.array_equal(alone[2], watched[2])
    assert alone[3] == watched[3]


def test_a_new_fit_replaces_a_run_and_a_resumed_one_continues_it(
    photos: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps() -> list[int]:
        return [e.step for e in events(tmp_path / "second").Scalars("schedule/sigma")]

    for _ in range(2):
        restore(photos, [TensorBoard(tmp_path, NAMES)], limit_train_batches=4)
        assert steps() == [0, 1, 2, 3]
    # A fit killed after four timesteps and resumed from its checkpoint after three, in a later second: files are read
    # in the order of their names, which begin with that.
    later = SimpleNamespace(time=lambda: time.time() + 10)
    monkeypatch.setattr("tensorboard.summary.writer.event_file_writer.time", later)
    resumed = TensorBoard(tmp_path, NAMES)
    checkpoint = TensorBoard(tmp_path, NAMES)
    checkpoint.position = 3
    resumed.load_state_dict(checkpoint.state_dict())
    restore(photos, [resumed], limit_train_batches=4)
    assert steps() == list(range(7))
    assert resumed.state_dict() == {"position": 7}


def test_every_rank_writes_its_own_images(photos: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 3)
    restore(photos, [TensorBoard(tmp_path, NAMES)], steps=2)
    assert len(events(tmp_path / "second").Scalars("schedule/sigma")) == 2


def test_a_folder_that_cannot_be_written_is_named(photos: Tensor, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ConfigError, match=r"runs.*cannot be written"):
        restore(photos, [TensorBoard(tmp_path / "runs", NAMES)], steps=2)


def test_a_disk_that_fails_ends_the_board_alone(
    photos: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.utils.tensorboard import FileWriter

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileWriter, "add_summary", full)
    with pytest.warns(UserWarning, match="No space left"):
        watched = restore(photos, [TensorBoard(tmp_path, NAMES)], steps=3)
    assert torch.equal(watched.restored, restore(photos, [], steps=3).restored)


def test_no_name_leaves_the_folder(tmp_path: Path) -> None:
    assert run_folder(tmp_path, "../../etc/x y") == tmp_path / "etc" / "x y"
    assert run_folder(tmp_path, "/a//b") == tmp_path / "a" / "b"
    assert run_folder(tmp_path, "..").parent == tmp_path


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_without_a_terminal_each_image_is_one_plain_line(photos: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = io.StringIO()
    with ListProgress(4, out) as bars:
        assert not bars.live
        follower = bars.image("both", 3, images=2)
        restore(photos, [follower], steps=3)
        for name in NAMES:
            bars.advance("restored", name)
        bars.advance("failed", "[red]a[/red]\x1b[31m\n.png")
        bars.image("last", 3)
        bars.advance()
    lines = out.getvalue().splitlines()
    assert [line.split(" in ")[0] for line in lines] == [
        "[1/4] holiday 1/größe φ restored",
        "[2/4] second restored",
        "[3/4] [red]a[/red]?[31m?.png failed",
        "[4/4] last restored",
    ]
    assert ["s" if line.endswith(" s") else "" for line in lines] == ["s", "s", "", "s"]
    assert "\x1b" not in out.getvalue()


def test_a_stream_that_cannot_spell_a_name_still_gets_its_line() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    ListProgress(1, stream).advance("skipped", "größe")
    assert raw.getvalue() == b"[1/1] gr\\xf6\\xdfe skipped\n"


def test_bars_follow_the_fit_and_survive_what_is_printed_between(
    photos: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, results = Terminal(), io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", results)
    seen: list[tuple[Any, ...]] = []
    with ListProgress(2) as bars:
        assert bars.live
        assert bars._bars is not None
        monkeypatch.setattr(bars._bars, "update", lambda task, **fields: seen.append((task, fields)))
        restore(photos, [bars.image("[b]first", 3)], steps=3)
        print("error: second.png is not an image", file=sys.stderr)
        print("a row of results")
        bars.advance("restored")
        bars.advance("failed", "second.png")
    assert sys.stderr is terminal
    text = terminal.getvalue()
    assert "\nerror: second.png is not an image\n" in text.replace("\r\x1b[2K", "\n").replace("\x1b[1A\x1b[2K", "\n")
    assert "[2/2] second.png failed\n" in text
    assert "[b]first" in text
    assert "a row of results" not in text
    assert results.getvalue() == "a row of results\n"
    image = [fields for task, fields in seen if task != bars._list_bar]
    assert [fields["completed"] for fields in image] == [1, 2, 3]
    assert image[0]["note"].startswith("σ 78.704  stage I  noise 0.")


def test_remaining_time_counts_the_share_of_the_present_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    bars = ListProgress(10, io.StringIO())
    assert bars.remaining() is None
    for _ in range(4):
        bars.advance("skipped", "old")  # takes no time, and must not promise that the others will not
    bars.image("a", 50)
    now[0] = 5.0
    bars.follow(25, 50, "")
    assert bars.remaining() == pytest.approx(55.0)  # half of one of six took 5 seconds
    now[0] = 12.0
    bars.advance()
    assert bars.remaining() == pytest.approx(60.0)
    bars.image("group", 50, images=4)
    now[0] = 36.0
    bars.follow(25, 50, "")
    assert bars.remaining() == pytest.approx(36.0)  # three images' worth took 36 seconds, three are left
    now[0] = 60.0
    for _ in range(4):
        bars.advance()
        now[0] += 100.0  # the images of a group end together
    assert bars.remaining() == pytest.approx(12.0)
    assert progress.clock(59.6) == "1:00"
    assert progress.clock(3725) == "1:02:05"


def test_the_board_is_quiet(photos: Tensor, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        restore(photos, [TensorBoard(tmp_path, NAMES)], steps=2)
    assert capfd.readouterr().out == ""
