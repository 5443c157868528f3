"""Distances of features are in the order that people see, on drawn pictures."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from helpers.command import scripts

ROOT = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


@scripts("benchmarks/features.py")
def test_features_of_the_prior_order_changes_as_people_do(script: ModuleType, tmp_path: Path) -> None:
    assert script.main(["--count", "1", "--size", "64", "--name", "few"]) == 0
    found = json.loads((tmp_path / "results" / "few.json").read_text())["distances"]
    order = found["Perceptual"]["order"]
    assert order.pop("shift") >= 0.75, "the drawing has hatching, on which a longer shift may be less"
    assert set(order.values()) == {1.0}
    against = found["Perceptual"]["to blur"]
    for change in ("10 % darker", "gamma of 1.15"):
        assert against[change]["largest"] < 0.3, change
    assert against["shift by 1 px"]["median"] < 1
    assert found["pixels"]["to blur"]["10 % darker"]["median"] == pytest.approx(1, abs=0.06)


@scripts("benchmarks/features.py")
def test_a_shift_is_by_parts_of_a_pixel_too(script: ModuleType) -> None:
    x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(script.shift(x, 2), x.roll(2, -1))
    torch.testing.assert_close(script.shift(x, 1.5), (x.roll(1, -1) + x.roll(2, -1)) / 2)


@scripts("benchmarks/unlike.py")
def test_drawn_pictures_depend_on_kind_and_number_alone(script: ModuleType, tmp_path: Path) -> None:
    assert script.main([str(tmp_path), "--count", "2", "--size", "48"]) == 0
    assert len(list(tmp_path.iterdir())) == 2 * len(script.KINDS)
    for kind in script.KINDS:
        one, again, other = (script.composed(kind, number, 48) for number in (0, 0, 1))
        assert (one == again).all()
        assert (one != other).any()
        assert one.shape == (48, 48, 3)
        assert 0 <= one.min() < one.max() <= 1


@scripts("benchmarks/adaptation.py")
def test_each_picture_is_measured_once(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script.unlike, "KINDS", {"text": script.unlike.text})
    words = ["--count", "1", "--size", "32", "--rows", "none", "LowRank"]
    monkeypatch.setitem(script.ROWS, "LowRank", {"class_path": "LowRank", "init_args": {"steps": 1}})
    assert script.main(words) == 0
    found = json.loads((tmp_path / "results" / "adaptation.json").read_text())["sets"]
    assert set(found) == {"text, full", "text, room"}
    assert set(found["text, room"]["text-0"]) == {"input", "none", "LowRank"}
    capsys.readouterr()
    assert script.main(words) == 0
    assert " dB" not in capsys.readouterr().out, "nothing is measured twice"
