"""Masks: where they are black a photo stays to the bit and has no influence, by every way to give them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zeroair_pl
from helpers.command import TOY, run, save_toy
from helpers.outputs import rows
from zeroair_pl import Method
from zeroair_pl.errors import ConfigError, InputError

HAZE = ("--degradation", "Haze", *TOY)
PIXELS: tuple[str, ...] = ("a.png", "c.tif")  # written without loss


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos in ``in/`` and for each of them a mask in ``masks/``: a soft disk."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("a.png", "b.jpg", "c.tif")):
        save_toy(tmp_path / "in" / name, seed, 80, 112)
    Path("masks").mkdir()
    for name, middle in (("a", (40, 50)), ("b", (30, 80)), ("c", (50, 30))):
        Image.fromarray(disk(middle)).save(f"masks/{name}.png")
    return tmp_path


def disk(middle: tuple[int, int] = (40, 50), radius: int = 22) -> Any:
    rows, columns = np.mgrid[0:80, 0:112]
    distance = np.hypot(rows - middle[0], columns - middle[1])
    return (((radius - distance) / 6 + 0.5).clip(0, 1) * 255).round().astype(np.uint8)


def pixels(path: str) -> Any:
    return np.asarray(Image.open(path)).astype(int)


def method(*configs: str, **more: Any) -> Method:
    settings = {"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}, **more}
    return Method.from_config(list(configs) or "dehaze", **settings)


def test_a_folder_of_masks(folder: Path) -> None:
    outcome = run("restore", "--images", "in", "--out", "out", "--mask", "masks", *HAZE, "--save_maps", "true")
    assert outcome.status == 0, outcome.err
    for name in PIXELS:
        before, after, mask = pixels(f"in/{name}"), pixels(f"out/{name}"), pixels(f"masks/{name[0]}.png")
        assert (after[mask == 0] == before[mask == 0]).all()
        assert np.abs(after - before)[mask == 255].mean() > 4
    assert np.abs(pixels("out/b.jpg") - pixels("in/b.jpg"))[pixels("masks/b.png") == 0].mean() < 3, "a JPEG's own error"
    assert Image.open("out/maps/a_transmission.png").size == (112, 80 + 20), "with its scale"
    assert "3 skipped" in run("restore", "--images", "in", "--out", "out", "--mask", "masks", *HAZE).out
    Image.fromarray(disk((20, 20))).save("masks/a.png")
    outcome = run("restore", "--images", "in", "--out", "out", "--mask", "masks", *HAZE)
    assert "1 restored, 2 skipped" in outcome.out, "a mask is part of what a result is made from"


@pytest.mark.parametrize("config", ["dehaze", "auto", "deblur", "inpaint", "denoise"])
def test_what_is_outside_has_no_influence(config: str) -> None:
    noise = np.random.default_rng(0)
    photo = noise.integers(60, 200, (80, 112, 3)).astype(np.uint8)
    other = np.where(disk()[..., None] > 5, photo, noise.integers(0, 255, photo.shape).astype(np.uint8))
    side = {"missing": np.pad(np.ones((6, 6)), ((34, 40), (46, 60)))} if config == "inpaint" else None
    first, second = (method(config).restore(each, mask=disk(), side=side) for each in (photo, other))
    inside = torch.from_numpy(disk() > 5)
    assert torch.equal(first.full[:, inside], second.full[:, inside])
    assert (second.image[~inside.numpy()] == other[~inside.numpy()]).all()
    half = second.blend(0.5)
    assert (half.image[~inside.numpy()] == other[~inside.numpy()]).all(), "at any strength"
    assert (first.kind, first.noise_level, first.reason) == (second.kind, second.noise_level, second.reason)


def test_in_a_large_photo_and_in_tiles() -> None:
    photo = np.random.default_rng(0).integers(60, 200, (80, 112, 3)).astype(np.uint8)
    found = method("dehaze", sampling={"steps": 2, "working_pixels": 1000}).restore(photo, mask=disk())
    assert (found.image[disk() < 5] == photo[disk() < 5]).all()
    assert found.diagnostics["transmission"].shape == (80, 112)


def test_a_transparent_background_has_no_influence_and_stays(folder: Path) -> None:
    alpha = np.where(disk() > 100, 255, 0).astype(np.uint8)
    hidden = [np.full((80, 112, 3), 0, np.uint8), np.random.default_rng(0).integers(0, 255, (80, 112, 3), np.uint8)]
    made = []
    for number, color in enumerate(hidden):
        photo = np.where(alpha[..., None] > 0, pixels("in/a.png"), color).astype(np.uint8)
        path = folder / f"alpha{number}/a.png"
        path.parent.mkdir()
        Image.fromarray(np.dstack([photo, alpha])).save(path)
        assert run("restore", "--images", path, "--out", f"out{number}", *HAZE).status == 0
        after = pixels(f"out{number}/a.png")
        assert (after[..., 3] == alpha).all()
        assert (after[alpha == 0][:, :3] == color[alpha == 0]).all()
        made.append(after[alpha > 0])
    assert (made[0] == made[1]).all()
    assert np.abs(made[0][:, :3] - pixels("in/a.png")[alpha > 0]).mean() > 4


def test_an_upscaled_photo_is_enlarged_outside() -> None:
    photo = np.random.default_rng(0).integers(60, 200, (80, 112, 3)).astype(np.uint8)
    found = method("upscale").restore(photo, mask=disk())
    assert found.full.shape == (3, 160, 224)
    outside = torch.from_numpy(np.repeat(np.repeat(disk() == 0, 2, 0), 2, 1))
    assert torch.equal(found.full[:, outside], found.blend(0).pixels[:, outside])


def test_redo_with_a_mask_of_its_own_that_lasts(folder: Path) -> None:
    assert run("restore", "--images", "in", "--out", "out", *HAZE).status == 0
    assert run("redo", "out", "a", "--mask", "masks/a.png").status == 0
    masked = Path("out/a.png").read_bytes()
    assert json.loads(Path("out/.zeroair/a.json").read_text())["choice"] == {"mask": str(folder / "masks/a.png")}
    again = run("restore", "--images", "in", "--out", "out", *HAZE)
    assert "3 skipped" in again.out
    assert "note: a keeps its own choice: mask " in again.err
    assert run("redo", "out", "a", "--strength", "0.5").status == 0
    assert run("redo", "out", "a", "--strength", "1").status == 0
    assert Path("out/a.png").read_bytes() == masked
    outside = pixels("masks/a.png") == 0
    assert (pixels("out/a.png")[outside] == pixels("in/a.png")[outside]).all()
    single = run("restore", "--images", "in/c.tif", "--out", "out", "--mask", "masks/c.png", *HAZE)
    assert single.status == 0, single.err
    assert json.loads(Path("out/.zeroair/c.json").read_text())["choice"] == {"mask": str(folder / "masks/c.png")}
    Path("masks/a.png").unlink()
    outcome = run("restore", "--images", "in", "--out", "out", *HAZE)
    assert outcome.status == 1
    assert [name for name, row in rows().items() if row["status"] == "failed"] == ["a"], "the others go on"


def test_python_and_batches_of_files(folder: Path) -> None:
    run("restore", "--images", "in/a.png", "--out", "out", "--mask", "masks/a.png", "--config", "dehaze", *TOY)
    forms: list[Any] = ["masks/a.png", Image.open("masks/a.png"), disk(), torch.from_numpy(disk() / 255).float()]
    for mask in forms:
        restored = method().restore("in/a.png", mask=mask)
        assert restored.save("mine/a.png").read_bytes() == Path("out/a.png").read_bytes()
    results = zeroair_pl.restore(
        "in/a.png", method().stated, out="again", mask="masks", strips=False, tensorboard=False
    )
    assert [row.status for row in results.rows] == ["restored"]
    assert Path("again/a.png").read_bytes() == Path("out/a.png").read_bytes()


def test_what_is_no_mask_fails_its_photo(folder: Path) -> None:
    Image.fromarray(np.zeros((80, 112), np.uint8)).save("masks/a.png")
    Image.fromarray(disk()[:40]).save("masks/b.png")
    Path("masks/c.png").unlink()
    outcome = run("restore", "--images", "in", "--out", "out", "--mask", "masks", *HAZE)
    assert outcome.status == 1
    reasons = {name: row["reason"] for name, row in rows().items()}
    assert "masks/a.png: the mask is black everywhere" in reasons["a"]
    assert "masks/b.png: the mask is 112x40 px, the photo 112x80 px; expected the same size" in reasons["b"]
    assert "masks: has no mask for c; expected c.png or the like" in reasons["c"]
    assert "mask: nowhere.png does not exist" in run("restore", "--images", "in", "--mask", "nowhere.png", *HAZE).error
    assert "mask: nowhere.png does not exist" in run("redo", "out", "a", "--mask", "nowhere.png").error


def test_missing_by_a_color_or_by_transparency(folder: Path) -> None:
    before = pixels("in/a.png")
    hole = np.zeros((80, 112), bool)
    hole[30:40, 50:70] = True
    for name, channels in (("color", [before]), ("erased", [before, np.where(hole, 0, 255)])):
        photo = np.dstack(channels).astype(np.uint8)
        photo[hole, :3] = (255, 0, 255)
        (folder / name).mkdir()
        Image.fromarray(photo).save(f"{name}/a.png")
    Image.new("RGB", (112, 80), (90, 90, 90)).save("color/b.png")
    words = ("--degradation", "Missing", *TOY)
    outcome = run("restore", "--images", "color", "--out", "out", "--missing", "#f0f", *words)
    assert outcome.status == 1
    assert "#f0f, but no pixel has this color; the nearest is #" in rows()["b"]["reason"]
    assert (pixels("out/a.png")[0] == before[0]).all()
    assert np.abs(pixels("out/a.png") - (255, 0, 255))[hole].mean() > 30
    assert "missing: '#f0f'" in Path("out/config.yaml").read_text()
    assert "1 skipped" in run("restore", "--config", "out/config.yaml").out
    assert run("restore", "--images", "erased", "--out", "erased-out", "--missing", "alpha", *words).status == 0
    assert (pixels("erased-out/a.png")[..., 3] == 255).all(), "what is filled can be seen"
    assert np.abs(pixels("erased-out/a.png")[..., :3] - (255, 0, 255))[hole].mean() > 30


def test_mistakes_with_masks_are_refused_before_any_work(folder: Path) -> None:
    for words, said in (
        (("--mask", "masks", "--upscale", "1.5"), "--upscale 1.5: with --mask, expected a whole number, such as 2."),
        (("--config", "inpaint", "--missing", "magenta"), "one per photo, or a color such as '#ff00ff', or alpha."),
    ):
        outcome = run("restore", "--images", "in", "--out", "out", *words, *TOY)
        assert (outcome.status, Path("out").exists()) == (2, False)
        assert said in outcome.err


@pytest.mark.parametrize("word,config,kind", [("missing", "inpaint", "Missing"), ("kernel", "deblur", "Blur")])
def test_what_a_kind_would_not_use_is_refused(folder: Path, word: str, config: str, kind: str) -> None:
    """A photo was denoised with its holes in it, as if there were no mask."""
    words = (f"--{word}", "masks", "--out", "out", "--images", "in", *TOY)
    assert run("restore", "--config", "denoise", *words).error == (
        f"--{word} masks: Noise does not use it; expected the config {config}, or a chain with {kind}."
    )
    assert not Path("out").exists()
    assert run("restore", "--degradation", f"[{kind}, Noise]", *words).status == 0
    for given, said in ((word, "Noise does not use it"), (word[:-1], f"no degradation uses it. Did you mean '{word}'")):
        with pytest.raises(ConfigError, match=f"side: {given}: {said}"):
            method("denoise").restore("in/a.png", side={given: disk()})


def test_a_hole_that_nobody_marked_is_refused(folder: Path) -> None:
    """It was taken for ``despeckle``: the photo came back with its hole, and with the exit status 0."""
    outcome = run("restore", "--config", "inpaint", "--images", "in", "--out", "out", *TOY)
    assert (outcome.status, Path("out").exists()) == (2, False)
    assert "--missing: nothing says what is to be filled; expected a mask" in outcome.error
    assert run("restore", "--config", "despeckle", "--images", "in/a.png", "--out", "out", *TOY).status == 0
    assert run("redo", "out", "a", "--kind", "inpaint").status == 1
    assert "missing: nothing says what is to be filled" in rows()["a"]["reason"]
    with pytest.raises(InputError, match=r"nothing says what is to be filled.*despeckle"):
        method("inpaint").restore("in/a.png")


@pytest.mark.parametrize("word,config", [("missing", "inpaint"), ("kernel", "deblur")])
def test_what_auto_would_not_use_is_refused(folder: Path, word: str, config: str) -> None:
    outcome = run("restore", "--images", "in", "--out", "out", f"--{word}", "masks", *TOY)
    assert outcome.status == 2
    assert f"--{word} masks: 'auto' does not use it; expected the config {config}, or a chain with" in outcome.err
    assert not Path("out").exists()
