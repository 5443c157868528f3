"""The benchmarks of quality: the table and the floors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from helpers.command import save_toy, scripts
from helpers.toys import toy_photo
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.scores.scoring import Scored


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A noise set with a published result, of which the clean photos are also put in, and a set without a truth."""
    folder = tmp_path / "bench"
    for i, name in enumerate(("one", "two")):
        save_toy(folder / "noise-kodak256" / "clean" / f"{name}.png", i, 48, 40)
        clean = load_photo(folder / "noise-kodak256" / "clean" / f"{name}.png").pixels
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(i))
        write(folder / "noise-kodak256" / "degraded" / f"{name}.png", clean + 0.08 * noise)
    save_toy(folder / "noise-kodak256" / "published" / "one.png", 0, 48, 40)
    save_toy(folder / "haze-real" / "degraded" / "three.png", 3)
    (tmp_path / "quick.yaml").write_text(
        yaml.safe_dump({"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}, "modeling": {"terms": []}})
    )
    return folder


def write(path: Path, pixels: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()).save(path)


def words(bench: Path, *more: str | Path) -> list[str]:
    out = bench.parent / "out"
    layer = f"task+{bench.parent / 'quick.yaml'}"
    first = ["--sets", bench, "--out", out, "--config", layer, "--seeds", "0", "1"]
    return [str(word) for word in (*first, "--only", "noise-kodak256", "clean-noise-kodak256", "haze-real", *more)]


def measured(bench: Path) -> dict[str, Any]:
    return json.loads((bench.parent / "out" / "quality.json").read_text())


@scripts("benchmarks/quality.py")
def test_the_table_has_every_row_of_every_set(
    script: ModuleType, bench: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(words(bench)) == 0
    assert "error" not in capsys.readouterr().err
    found = measured(bench)
    assert str(bench.parent) not in json.dumps(found), "results are published: no path of this machine"
    noise, clean, real = (
        found["sets"][name]["rows"] for name in ("noise-kodak256", "clean-noise-kodak256", "haze-real")
    )
    config = "task+quick"
    assert list(noise) == ["input", "floor: non-local means", "floor: DCT thresholding", "published", config]
    assert list(noise["published"]["images"]) == ["one"]
    assert noise["published"]["psnr"] > 100, "equal files"
    row = noise[config]
    assert row["photos"] == 2
    assert len(row["images"]["two"]["psnr"]) == 2
    assert row["psnr"] == pytest.approx(np.mean([each["psnr"] for each in row["images"].values()]), abs=1e-3)
    assert row["gain"] == pytest.approx(row["psnr"] - noise["input"]["psnr"], abs=1e-3)
    assert row["worst"] == pytest.approx(min(np.mean(each["gain"]) for each in row["images"].values()), abs=1e-3)
    assert row["settings"]["degradation"]["class_path"] == "Noise", "the preset of this kind"
    assert row["kinds"] == {"one": "Noise", "two": "Noise"}
    assert 1 <= row["nfe"] <= 10
    assert list(clean) == [config]
    assert "gain" not in clean[config]
    assert clean[config]["worst"] > noise[config]["psnr"]
    assert real[config]["settings"]["degradation"]["class_path"] == "Haze"
    assert "psnr" not in real[config]
    assert len(real[config]["images"]["three"]["seconds"]) == 1, "one seed is enough to look at"


@scripts("benchmarks/quality.py")
def test_a_row_is_the_mean_over_photos_of_the_mean_over_seeds(script: ModuleType) -> None:
    scores = {("a", 0): (20.0, 3.0), ("a", 1): (22.0, 5.0), ("b", 0): (30.0, 1.0), ("b", 1): (30.0, 2.0)}
    row = script.row_of([Scored("ours", n, {"psnr": p, "gain": g}, seed) for (n, seed), (p, g) in scores.items()])
    assert (row["photos"], row["psnr"], row["gain"]) == (2, 25.5, 2.75)
    assert (row["worst"], row["worst_photo"]) == (1.5, "b")
    assert row["spread"] == pytest.approx(2**0.5 / 2, abs=1e-4), "the standard deviation of 20 and 22, and of none"
    assert row["largest_range"] == 2
    assert row["images"]["a"]["psnr"] == [20.0, 22.0]


@scripts("benchmarks/quality.py")
def test_a_second_run_goes_on_with_the_first(
    script: ModuleType, bench: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(words(bench, "--limit", "1")) == 0
    first = capsys.readouterr()
    assert script.main(words(bench)) == 0
    second = capsys.readouterr()
    assert first.err.count("one restored") == 4, "two seeds, degraded and clean"
    assert second.err.count("one skipped") == 4
    assert second.err.count("two restored") == 4
    monkeypatch.setattr(script, "code", lambda: "another version")
    assert script.main(words(bench)) == 0
    assert capsys.readouterr().err.count("one restored") == 4, "what other code made does not count"


@scripts("benchmarks/quality.py")
def test_what_is_not_there_is_said_and_left_out(
    script: ModuleType, bench: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words(bench)
    given.insert(6, "no_such_config")
    assert script.main(given) == 1
    assert "skipped: --config no_such_config: there is no such file." in capsys.readouterr().err
    assert len(measured(bench)["sets"]["noise-kodak256"]["rows"]) == 5
    assert script.main(words(bench, "noise-kodak")) == 2
    assert "Did you mean 'noise-kodak256'?" in capsys.readouterr().err
    assert script.main(["--sets", str(bench / "nowhere")]) == 2
    assert "nowhere: no folder" in capsys.readouterr().err


@scripts("benchmarks/quality.py")
def test_a_folder_of_something_else_is_left_alone(
    script: ModuleType, bench: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = script.folder_of(bench.parent / "out", "noise-kodak256", "task+quick", 0)
    save_toy(folder / "mine.png")
    assert script.main(words(bench)) == 2
    assert "was not made by this script" in capsys.readouterr().err
    assert (folder / "mine.png").is_file()


@scripts("benchmarks/quality.py")
def test_the_examples_are_sets_too(script: ModuleType) -> None:
    found = {photos.name: photos for photos in script.sets.find(None)}
    assert list(found["haze-examples"].degraded) == ["haze_workshop"]
    assert list(found["lowlight-examples-real"].degraded) == ["dark_shore", "dark_sunset"]
    assert all(photos.clean.keys() == photos.degraded.keys() for photos in found.values() if photos.clean)
    assert {photos.kind for photos in found.values()} == {"haze", "lowlight", "noise"}
    assert script.sets.PhotoSet("underwater-x", {}).kind == "underwater"
    assert script.sets.PhotoSet("clean-haze-x", {}).kind == "haze"
    assert script.sets.PhotoSet("rain-x", {}).kind == "rain"
    assert script.layers(script.sets.PhotoSet("snow", {}), "task") is None


@scripts("benchmarks/quality.py")
def test_every_kind_of_set_has_a_row_of_its_input(script: ModuleType, bench: Path) -> None:
    (noisy,) = script.sets.find(bench, ["noise-kodak256"])
    for kind in (*script.sets.PRESETS, "other"):
        rows = script.plain(replace(noisy, name=f"{kind}-1"))
        assert [each.name for each in rows["input"]] == ["one", "two"]


@scripts("benchmarks/floors.py")
def test_floors_undo_what_they_are_made_for(script: ModuleType) -> None:
    clean = np.ascontiguousarray(toy_photo(64, 64)[0].permute(1, 2, 0).numpy())
    noise = np.random.default_rng(0).normal(size=clean.shape).astype(np.float32)

    def error(image: Any) -> float:
        return float(np.sqrt(np.mean((image - clean) ** 2)))

    for floor in script.FLOORS["noise"].values():
        assert error(floor(clean + 0.1 * noise)) < 0.06
    assert script.noise_level(clean + 0.1 * noise) == pytest.approx(0.1, rel=0.1)
    hazy = 0.5 * clean + 0.5 * 0.9
    for name, floor in script.FLOORS["haze"].items():
        assert error(floor(hazy)) < 0.9 * error(hazy), name
    for floor in script.FLOORS["lowlight"].values():
        assert float(floor((clean * 0.2).astype(np.float32)).mean()) == pytest.approx(0.5, abs=0.02)
    cast = clean * np.array([0.6, 1.0, 0.9], np.float32)
    means = script.gray_world(cast).mean((0, 1))
    assert float(np.ptp(means)) < 1e-3
    for kind in script.FLOORS.values():
        for floor in kind.values():
            assert floor(clean).shape == clean.shape
            assert np.isfinite(floor(np.zeros_like(clean))).all(), "black has no statistics"
