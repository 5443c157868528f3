"""Photos without a visible degradation are copied byte for byte, and reported as unchanged, with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zeroair_pl
from helpers.command import TOY, run
from helpers.outputs import rows
from zeroair_pl.degradations import Auto, Haze
from zeroair_pl.degradations.auto import UNSEEN
from zeroair_pl.photos.reading import original


def soft(height: int = 96, width: int = 128) -> Any:
    """A picture in strong colors, black and white among them, and without noise or texture: (H, W, 3) uint8."""
    v, u = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    colors = [np.sin(6.28 * (u + c / 3) + c) * np.cos(6.28 * (v - c / 5)) for c in range(3)]
    return np.rint(127.5 + 127.5 * np.stack(colors, -1)).astype(np.uint8)


AUTO = ("--degradation", "Auto", *TOY)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Clean scenes as files of several formats, one with noise, and one in haze."""
    monkeypatch.chdir(tmp_path)
    clean = soft()
    noise = np.random.default_rng(0).normal(0, 40, clean.shape)
    Path("in").mkdir()
    picture = Image.fromarray(clean)
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "a camera", 6
    picture.save("in/a.jpg", quality=90, exif=exif, comment=b"hello")
    picture.save("in/b.png", compress_level=1, dpi=(72, 72))
    picture.save("in/c.tif", compression="tiff_lzw")
    Image.fromarray((clean + noise).clip(0, 255).astype(np.uint8)).save("in/noisy.png")
    return tmp_path


def test_clean_photos_are_copied_and_a_noisy_one_is_denoised(folder: Path) -> None:
    outcome = run("restore", "--images", "in", "--out", "out", *AUTO)
    assert outcome.status == 0, outcome.err
    found = rows()
    assert {name: row["status"] for name, row in found.items()} == {
        "a": "unchanged", "b": "unchanged", "c": "unchanged", "noisy": "restored"}  # fmt: skip
    for name in ("a.jpg", "b.png", "c.tif"):
        assert Path("out", name).read_bytes() == Path("in", name).read_bytes()
    assert Path("out/noisy.png").read_bytes() != Path("in/noisy.png").read_bytes()
    assert "1 restored, 3 unchanged" in outcome.out
    assert found["a"]["kind"] == "", "not noise, since nothing was done about any"
    assert found["noisy"]["kind"] == "Noise"
    assert "nothing but noise of 0." in found["c"]["found"]
    assert found["noisy"]["found"].startswith("noise of ")
    lines = [line for line in outcome.err.splitlines() if line.startswith("[")]
    assert any(" c unchanged in " in line and line.endswith("cannot be seen") for line in lines)
    assert float(found["noisy"]["noise_level"]) > UNSEEN > float(found["c"]["noise_level"])


def test_an_unchanged_photo_is_finished_at_any_strength(folder: Path) -> None:
    words = ("restore", "--images", "in/a.jpg", "in/b.png", "--out", "out", *AUTO)
    assert run(*words).status == 0
    assert {row["status"] for row in rows().values()} == {"unchanged"}
    assert "2 skipped" in run(*words).out
    assert "2 unchanged" in run(*words, "--strength", "0.5").out
    assert Path("out/a.jpg").read_bytes() == Path("in/a.jpg").read_bytes()
    assert not list(Path("out/.zeroair").glob("*.full"))
    assert run("redo", "out", "a", "--kind", "denoise").status == 0, "whoever asks for it gets it"
    assert rows()["a"]["status"] == "restored"
    assert "kind" in Path("out/results.csv").read_text()
    assert run("restore", "--images", "out/results.csv", "--out", "other", *AUTO).status == 0, "as a list"


def test_strength_0_is_a_copy(folder: Path) -> None:
    assert run("restore", "--images", "in/a.jpg", "--degradation", "Haze", *TOY, "--strength", "0").status == 0
    assert Path("restored/a.jpg").read_bytes() == Path("in/a.jpg").read_bytes()


def test_noise_that_can_be_seen_is_called_so(folder: Path) -> None:
    outcome = run("restore", "--images", "in/noisy.png", "--degradation", "Streaks", *TOY)
    assert outcome.status == 0, outcome.err
    row = next(iter(rows("restored").values()))
    assert row["status"] == "unchanged"
    assert row["found"].startswith("no Streaks found; noise of ")


def test_in_python(folder: Path) -> None:
    method = zeroair_pl.Method.from_config("auto", prior="helpers.toys.ToyPrior", sampling={"steps": 2})
    restored = method.restore("in/a.jpg")
    assert restored.unchanged
    assert restored.kind == ""
    assert "cannot be seen" in restored.reason
    assert restored.save("mine/a.jpg").read_bytes() == Path("in/a.jpg").read_bytes()
    assert restored.save("mine/a.png").read_bytes()[:4] == b"\x89PNG"
    array = np.asarray(Image.open("in/c.tif"))
    assert (method.restore(array).image == array).all()
    noisy = method.restore("in/noisy.png")
    assert not noisy.unchanged
    batch = zeroair_pl.Restorer(method.stated)({"path": ["a.jpg"], "bytes": [Path("in/a.jpg").read_bytes()]})
    assert (batch["status"][0], batch["bytes"][0]) == ("unchanged", Path("in/a.jpg").read_bytes())


def test_it_takes_no_pass_but_the_looks_at_its_noise(folder: Path) -> None:
    """The fit of a photo that stays as it is would be thrown away; a large photo is looked at in both sizes."""
    for pixels, looks in ((1_500_000, 1), (8000, 2)):
        sampling = {"steps": 2, "working_pixels": pixels}
        method = zeroair_pl.Method.from_config("auto", prior="helpers.toys.ToyPrior", sampling=sampling)
        restored = method.restore("in/a.jpg")
        assert restored.unchanged
        assert restored.nfe <= looks
        assert torch.equal(restored.full, restored.photo.pixels)


def test_a_format_that_is_only_read_is_no_copy(tmp_path: Path) -> None:
    Image.fromarray(soft(32, 32)).save(tmp_path / "a.avif")
    assert original(tmp_path / "a.avif") is None
    Image.fromarray(soft(32, 32)).save(tmp_path / "a.webp")
    assert original(tmp_path / "a.webp") == (tmp_path / "a.webp").read_bytes()
    assert original(tmp_path / "a.webp", "another") is None
    assert original(tmp_path / "absent.webp") is None


def test_an_avif_that_is_unchanged_says_that_it_is_no_copy(folder: Path) -> None:
    Image.open("in/c.tif").save("in/d.avif", quality=100)
    assert run("restore", "--images", "in/d.avif", "--out", "out", *AUTO).status == 0
    row = rows()["d"]
    if row["status"] == "unchanged":
        assert "no copy: written as" in row["note"]


def test_only_who_finds_out_may_leave_a_photo_alone() -> None:
    assert not Haze().untouched
    auto = Auto()
    auto.noise.start(0.5 / 255)
    auto.chosen.noise.start(0.5 / 255)
    assert auto.untouched
    auto.noise.start(3 / 255)
    auto.chosen.noise.start(3 / 255)
    assert not auto.untouched
    auto.chosen = Haze()
    auto.noise.start(0.5 / 255)
    assert not auto.untouched
