"""What is no file is refused in one line that names it; every failed write leaves nothing behind.

Damaged and odd files are in ``helpers.hostile``, which ``jobs/test_hostile.py`` restores.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from zeroair_pl.errors import DivergenceError, InputError
from zeroair_pl.photos import atomic
from zeroair_pl.photos import photo as photo_module
from zeroair_pl.photos.atomic import write_atomically
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.writing import save_photo

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 48, 3)).astype(np.uint8)


def refused(path: Path, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        load_photo(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message


def test_missing(tmp_path: Path) -> None:
    (tmp_path / "harbour.png").touch()
    refused(tmp_path / "harbor.png", r"does not exist. Did you mean 'harbour.png'\?")
    refused(Path("https://example.com/x.png"), "is an address, not a file. Download the photo first")
    refused(tmp_path / "no folder" / "x.png", "because there is no '.*no folder'")
    refused(tmp_path / ("x" * 300 + ".png"), "cannot be reached|does not exist")


def test_not_a_file(tmp_path: Path) -> None:
    refused(tmp_path, "a folder; expected an image file")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "not a regular file")
    os.symlink(tmp_path / "loop.png", tmp_path / "loop.png")
    refused(tmp_path / "loop.png", "cannot be reached")
    refused(tmp_path / "harbour.png" / "x.png", "does not exist")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(PIXELS).save(path)

    def deny(*_: Any) -> None:  # a mode of 000 would not stop a test that runs as root
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    refused(path, "no permission to read it")


def test_the_limit_is_on_pixels_and_inclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "x.jpg")
    monkeypatch.setattr(photo_module, "MAX_PIXELS", 40 * 48)
    load_photo(tmp_path / "x.jpg")
    monkeypatch.setattr(photo_module, "MAX_PIXELS", 40 * 48 - 1)
    refused(tmp_path / "x.jpg", "48x40 px")


@pytest.fixture
def photo(tmp_path: Path) -> photo_module.Photo:
    Image.fromarray(PIXELS).save(tmp_path / "input.png")
    return load_photo(tmp_path / "input.png")


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_divergence_is_never_written(tmp_path: Path, photo: photo_module.Photo, value: float) -> None:
    pixels = photo.pixels.clone()
    pixels[1, 2, 3] = value
    with pytest.raises(DivergenceError, match=r"out\.png"):
        save_photo(tmp_path / "out.png", pixels, photo)
    assert listing(tmp_path) == ["input.png"]


def test_a_failing_encoder_leaves_the_old_file(
    tmp_path: Path, photo: photo_module.Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.png").write_bytes(b"old")

    def fail(self: Image.Image, out: Any, *_: Any, **__: Any) -> None:
        out.write(b"half")
        raise OSError("encoder error -2")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(InputError, match=r"out.png: cannot be encoded as PNG \(encoder error -2\)"):
        save_photo(tmp_path / "out.png", photo.pixels, photo)
    assert listing(tmp_path) == ["input.png", "out.png"]
    assert (tmp_path / "out.png").read_bytes() == b"old"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_neither_target_nor_temporary_file(
    tmp_path: Path, photo: photo_module.Photo, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: Any) -> None:
        assert len(listing(tmp_path)) == 2  # the temporary file is there by now
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, step, fail)
    with pytest.raises(InputError, match=r"out.png: cannot be written \(No space left on device\)"):
        save_photo(tmp_path / "out.png", photo.pixels, photo)
    assert listing(tmp_path) == ["input.png"]


def test_an_interrupt_while_writing_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "x.csv", b"data")
    assert listing(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path: Path, photo: photo_module.Photo) -> None:
    for target in (tmp_path / "input.png" / "out.png", tmp_path / "folder.png"):
        (tmp_path / "folder.png").mkdir(exist_ok=True)
        with pytest.raises(InputError, match=f"{target.name}: cannot be written"):
            save_photo(target, photo.pixels, photo)
    assert listing(tmp_path) == ["folder.png", "input.png"]


def test_written_files_are_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "new" / "x.csv", b"data")
    assert (tmp_path / "new" / "x.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_misuse_by_code_is_not_blamed_on_the_file(tmp_path: Path, photo: photo_module.Photo) -> None:
    with pytest.raises(ValueError, match=r"\(1, 40, 48\), expected \(3, H, W\)"):
        save_photo(tmp_path / "out.png", torch.zeros(1, 40, 48), photo)
    with pytest.raises(ValueError, match="a suffix of PNG was expected"):
        save_photo(tmp_path / "out.jpg", photo.pixels, photo)
    assert listing(tmp_path) == ["input.png"]
