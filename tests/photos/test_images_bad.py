"""Every file that cannot be restored is refused in one line that names it; every failed write leaves nothing behind."""

from __future__ import annotations

import errno
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
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


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp", "x.tif", "x.bmp"])
def test_empty_or_not_an_image(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    refused(tmp_path / name, r"empty \(0 bytes\)")
    (tmp_path / name).write_bytes(b"<html>not found</html>" * 20)
    refused(tmp_path / name, "not a PNG, JPEG, WebP, TIFF or BMP image")


def test_other_image_formats_are_not_read(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "x.gif")
    refused(tmp_path / "x.gif", "not a PNG, JPEG, WebP, TIFF or BMP image")


FILES: dict[str, Any] = {
    "x.png": {},
    "x.jpg": {"quality": 90},
    "progressive.jpg": {"progressive": True},
    "x.webp": {"quality": 90},
    "lossless.webp": {"lossless": True},
    "x.bmp": {},
    "x.tif": {},
    "lzw.tif": {"compression": "tiff_lzw"},
}


@pytest.mark.parametrize("name", [*FILES, "deep.png", "deep.tif", "deflate.tif", "float.tif"])
def test_truncated(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    deep = PIXELS.astype(np.uint16) * 257
    if name in FILES:
        Image.fromarray(PIXELS).save(path, **FILES[name])
    elif name == "deep.png":
        Image.fromarray(deep[..., 0]).save(path)
    elif name == "float.tif":
        tifffile.imwrite(path, (PIXELS / 255).astype(np.float32), photometric="rgb")
    else:
        tifffile.imwrite(path, deep, photometric="rgb", compression="zlib" if name == "deflate.tif" else None)
    load_photo(path)
    data = path.read_bytes()
    for share in (0.02, 0.4, 0.9):
        path.write_bytes(data[: int(share * len(data))])
        refused(path, "truncated|damaged")


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_damaged_inside(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(PIXELS).save(path, **({"compression": "tiff_adobe_deflate"} if name == "x.tif" else {}))
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 40] = bytes(40)
    path.write_bytes(data)
    refused(path, "damaged or truncated")


def test_absurdly_large_is_refused_before_decoding(tmp_path: Path) -> None:
    width = height = 60_000
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    framed = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(framed))
    refused(tmp_path / "bomb.png", "60000x60000 px are 3600 megapixels; the limit is 200")
    tifffile.imwrite(tmp_path / "bomb.tif", np.zeros((16, 16), np.uint16))
    data = bytearray((tmp_path / "bomb.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "bomb.tif") as tiff:
        for tag in (256, 257):
            start = tiff.pages.first.tags[tag].valueoffset
            data[start : start + 2] = struct.pack("<H", width)
    (tmp_path / "bomb.tif").write_bytes(data)
    refused(tmp_path / "bomb.tif", "60000x60000 px are 3600 megapixels; the limit is 200")


def test_the_limit_is_on_pixels_and_inclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "x.jpg")
    monkeypatch.setattr(photo_module, "MAX_PIXELS", 40 * 48)
    load_photo(tmp_path / "x.jpg")
    monkeypatch.setattr(photo_module, "MAX_PIXELS", 40 * 48 - 1)
    refused(tmp_path / "x.jpg", "48x40 px")


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_too_small(tmp_path: Path, name: str) -> None:
    Image.fromarray(PIXELS[:16, :16]).save(tmp_path / name)
    assert load_photo(tmp_path / name).size == (16, 16)
    Image.fromarray(PIXELS[:15, :20]).save(tmp_path / name)
    refused(tmp_path / name, "20x15 px is too small; each side needs at least 16 px")


@pytest.mark.parametrize("name", ["x.png", "x.webp", "x.tif"])
def test_animations_and_documents(tmp_path: Path, name: str) -> None:
    frames = [Image.fromarray(np.roll(PIXELS, shift, 0)) for shift in (0, 5)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    refused(tmp_path / name, r"an animation \(2 frames\)|2 pages; only single photos")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_float_that_is_not_finite(tmp_path: Path, value: float) -> None:
    array = np.full((20, 20, 3), 0.5, np.float32)
    array[3, 4, 1] = value
    tifffile.imwrite(tmp_path / "x.tif", array, photometric="rgb")
    refused(tmp_path / "x.tif", "holds NaN or infinite values")


@pytest.mark.parametrize(
    ("array", "options", "expected"),
    [
        (np.zeros((20, 20), np.int16), {}, "signed samples are not supported"),
        (np.zeros((20, 20), np.uint32), {}, "32-bit samples are not supported"),
        (np.zeros((20, 20, 4), np.uint16), {"photometric": "separated"}, "4 channels of 16 bits .* save it as RGB"),
        (np.zeros((20, 20, 3), np.uint8), {"photometric": "cielab"}, "pixels of the kind 'LAB' are not supported"),
    ],
)
def test_unusual_tiffs(tmp_path: Path, array: np.ndarray, options: dict[str, Any], expected: str) -> None:
    tifffile.imwrite(tmp_path / "x.tif", array, planarconfig="contig" if array.ndim == 3 else None, **options)
    refused(tmp_path / "x.tif", expected)


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
