"""The one command for a GPU, at toy size on a CPU."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from helpers.command import save_toy, scripts
from zeroair_pl import Method
from zeroair_pl.priors.hub.adm_layout import Architecture, Settings

ADM = (Architecture(32, (32, 64), 1, (False, True), 3, 6, None), Settings(32, 16))


def asked(script: ModuleType, tmp_path: Path, *words: str) -> argparse.Namespace:
    given = ["--photos", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), "--side", "32", *words]
    options: argparse.Namespace = script.main.parser.parse_args(given)
    return options


@scripts("benchmarks/gpu_check.py")
def test_all_parts_run_and_the_weights_come_back(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zeroair_pl.commands.train import Network, train
    from zeroair_pl.priors.training.module import Optimization
    from zeroair_pl.priors.training.photos import Data

    for i in range(3):
        save_toy(tmp_path / "photos" / f"{i}.png", i, 40, 40)
    toy = Network((8, 8), (1, 1))
    data = Data(str(tmp_path / "photos"), crop=16, batch=2, held_out=1, short_side=32)
    once = Optimization(steps=1, validate_every=1)
    train(data=data, out=tmp_path / "begun", network=toy, optimization=once)
    monkeypatch.setattr(script, "TRIED", 1)
    monkeypatch.setattr(script, "SHORT_SIDE", 32)
    monkeypatch.setattr(script.gpu_fits, "ADM_STEPS", 2)
    monkeypatch.setattr(script, "NETWORK", ((8, 8), (1, 1), 2))
    quick = {"prior": {"class_path": "helpers.toys.ToyPrior"}, "sampling": {"steps": 2}}
    monkeypatch.setattr(script.clocks, "method_of", lambda *configs: Method.from_config(configs, **quick))
    words = ("--batches", "1", "2", "--crop", "16", "--batch", "2", "--held_out", "1", "--most", "2")
    options = asked(script, tmp_path, *words, "--start", str(tmp_path / "begun"))
    assert script.check(options, "cpu", ADM, time.monotonic() + 1000) in (0, 1)
    found = json.loads((tmp_path / "out" / "gpu_check.json").read_text())
    assert all(value < script.APART for value in found["equality"]["difference"].values())
    assert found["training"]["steps"] == 2
    assert [row["batch"] for row in found["speed"]["rows"]] == [1, 2]
    assert [row["batch"] for row in found["adm"]["rows"]] == [1, 2]
    assert all(row["passes"] > 0 for row in found["adm"]["rows"])
    assert (tmp_path / "out" / "prior" / "unet" / "diffusion_pytorch_model.safetensors").is_file()
    assert str(tmp_path) not in json.dumps(found)


@scripts("benchmarks/gpu_check.py")
def test_without_time_no_part_begins(script: ModuleType, tmp_path: Path) -> None:
    save_toy(tmp_path / "photos" / "0.png", 0, 40, 40)
    options = asked(script, tmp_path)
    assert script.check(options, "cpu", ADM, time.monotonic() - 1) == 0
    found = json.loads((tmp_path / "out" / "gpu_check.json").read_text())
    assert found["training"] == {"steps": 0, "reason": "no time is left"}
    assert "speed" not in found
    assert 60 * options.minutes + 45 < 600, "with the start of Python and torch, less than ten minutes"
    assert script.PACKED < 60 * 2**20


@scripts("benchmarks/gpu_check.py")
def test_no_training_that_would_end_too_late(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps that were tried took all the time that was left."""
    (tmp_path / "photos").mkdir()
    calls: list[int] = []

    def slow(optimization: Any, **_: Any) -> None:
        calls.append(optimization.steps)
        clock.append(clock[-1] + optimization.steps * 1.0)

    clock = [0.0]
    monkeypatch.setattr("zeroair_pl.commands.train.train", slow)
    monkeypatch.setattr(script.time, "monotonic", lambda: clock[-1])
    assert script.train(asked(script, tmp_path), "cpu", 100.0)["steps"] == 0
    assert calls == [script.TRIED, 3 * script.TRIED]
    clock, calls[:] = [0.0], []
    assert script.train(asked(script, tmp_path), "cpu", 1000.0)["steps"] > 700
    assert clock[-1] <= 1000


@scripts("benchmarks/gpu_check.py")
def test_photos_are_packed_small(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "SHORT_SIDE", 24)
    for i in range(6):
        save_toy(tmp_path / "own" / f"{i}.png", i, 40, 60)
    options = asked(script, tmp_path)
    assert script.pack(tmp_path / "own", options.photos) == 0
    packed = sorted(options.photos.glob("*.jpg"))
    assert len(packed) == 6
    assert {Image.open(path).size for path in packed} == {(36, 24)}
    monkeypatch.setattr(script, "PACKED", 2 * packed[0].stat().st_size + 200)
    script.pack(tmp_path / "own", tmp_path / "fewer")
    assert 1 <= len(list((tmp_path / "fewer").glob("*.jpg"))) < 6


@scripts("benchmarks/gpu_check.py")
def test_without_a_gpu_it_says_so(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert script.main(["--out", str(tmp_path)]) == 2
    assert "there is no GPU on this machine" in capsys.readouterr().err
