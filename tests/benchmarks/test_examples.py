"""The numbered examples and the benchmark scripts run, and what they print is so."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.command import save_toy, scripts
from helpers.toys import ToyPrior

ROOT = Path(__file__).parents[2]
QUICK: dict[str, Any] = {
    "prior": {"class_path": "helpers.toys.ToyPrior"},
    "sampling": {"steps": 3},
    "tensorboard": False,
    "strips": False,
}


def crop(path: Path) -> Path:
    """A small part of the noisy example photo."""
    Image.open(ROOT / "examples" / "photos" / "noise_blossom.png").crop((100, 100, 148, 148)).save(path)
    return path


def test_each_numbered_example_is_in_the_documentation() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    found = sorted((ROOT / "examples").glob("[0-9]*.py"))
    assert [path.name[:2] for path in found] == [f"{i + 1:02d}" for i in range(len(found))]
    assert [path.name for path in found if f"examples/{path.name}" not in page] == []


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("[0-9]*.py")), ids=lambda path: path.name[:2])
def test_each_example_is_a_notebook(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells in the percent format, as Jupytext, VS Code and others open them; all but the last are run as one would run
    them there: in the folder of the notebook, without a file."""
    monkeypatch.chdir(path.parent)
    cells = path.read_text(encoding="utf-8").split("\n# %%\n")
    assert len(cells) >= 3
    assert cells[-1].startswith('if __name__ == "__main__":')
    module = sys.modules["a_notebook"] = ModuleType("a_notebook")
    try:
        for cell in cells[:-1]:
            exec(compile(cell, "<cell>", "exec", dont_inherit=True), vars(module))
    finally:
        del sys.modules["a_notebook"]
    default = next(iter(inspect.signature(vars(module)["main"]).parameters.values())).default
    assert Path(default).exists(), "what it restores is found"


@scripts("examples/01_restore_a_photo.py")
def test_restore_a_photo(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = crop(tmp_path / "holiday.png")
    restored = script.main(photo, tmp_path / "out", sampling={"steps": 2}, tensorboard=False)  # with the real prior
    assert Image.open(restored).size == Image.open(photo).size
    assert restored.read_bytes() != photo.read_bytes()
    assert f"before and after: {tmp_path / 'out' / 'strips' / 'holiday.png'}" in capsys.readouterr().out
    assert (tmp_path / "out" / "strips" / "holiday.png").is_file()


@scripts("examples/01_restore_a_photo.py")
def test_restore_a_photo_says_what_is_wrong_with_it(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit, match=r"broken\.png"):
        script.main(tmp_path / "broken.png", tmp_path / "out", **QUICK)


@scripts("examples/06_an_operator_of_my_own.py")
def test_an_operator_of_my_own(script: ModuleType, tmp_path: Path) -> None:
    """With the prior that is shipped, on a small part of a photo."""
    Image.open(ROOT / "examples" / "clean" / "haze_workshop.png").crop((60, 60, 188, 188)).save(tmp_path / "clean.png")
    start, restored = script.main(tmp_path / "clean.png", tmp_path / "out")
    assert restored > start + 3


@scripts("examples/08_how_sure.py")
def test_how_sure(script: ModuleType, tmp_path: Path) -> None:
    assert 0.001 < script.main(crop(tmp_path / "crop.png"), tmp_path / "out", 2) < 0.1
    assert Image.open(tmp_path / "out" / "unsure.png").size == (96, 96)


@scripts("examples/02_a_degradation_of_my_own.py")
def test_a_degradation_of_my_own(script: ModuleType, tmp_path: Path) -> None:
    before, after = script.main(save_toy(tmp_path / "clean.png", 3, 48, 48), tmp_path / "out", **QUICK)
    assert after > before + 1


@scripts("examples/03_a_guidance_loss_of_my_own.py")
def test_a_guidance_loss_of_my_own(script: ModuleType, tmp_path: Path) -> None:
    without, with_it = script.main(crop(tmp_path / "crop.png"), tmp_path / "out", **QUICK)
    assert with_it < 0.95 * without


@scripts("examples/04_look_inside_a_fit.py")
def test_look_inside_a_fit(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = script.main(save_toy(tmp_path / "toy.png"), tmp_path / "out", prior=ToyPrior(), steps=4, side=32)
    assert Image.open(sheet).width > 5 * 128
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("noise in x_t")]
    noise = [float(line.partition("noise in x_t")[2].split()[0]) for line in lines]
    assert len(noise) == 4
    assert noise == sorted(noise, reverse=True)


@scripts("benchmarks/split.py")
def test_the_split_adds_up(script: ModuleType, tmp_path: Path) -> None:
    assert script.main(["--config", "denoise", "--steps", "2", "--repeat", "1", "--side", "32"]) == 0
    measured = json.loads((tmp_path / "results" / "split.json").read_text())
    assert [fit["steps"] for fit in measured["fits"]][-1] == 2
    for fit in measured["fits"]:
        seconds = fit["seconds"]
        parts = sum(seconds[part] for part in ("prior", "TDM", "TDG", "rest"))
        assert parts == pytest.approx(seconds["total"], abs=0.01)
        assert min(seconds.values()) > 0


@scripts("examples/07_a_denoiser_of_my_own.py")
def test_a_denoiser_of_my_own(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ZEROAIR_HOME", str(tmp_path / "home"))
    photo = crop(tmp_path / "noisy.png")
    restored = script.main(photo, tmp_path / "out", sampling={"steps": 4})
    assert "error of the filter by noise level" in capsys.readouterr().out
    clean = Image.open(ROOT / "examples" / "clean" / "noise_blossom.png").crop((100, 100, 148, 148))
    assert distance(Image.open(restored), clean) < 0.8 * distance(Image.open(photo), clean)


def distance(one: Image.Image, other: Image.Image) -> float:
    """RMSE of two pictures, out of 255."""
    a, b = (np.asarray(each.convert("RGB"), dtype=float) for each in (one, other))
    return float(((a - b) ** 2).mean() ** 0.5)
