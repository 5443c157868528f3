"""A photo that is loaded and saved unchanged keeps format, size, orientation, bit depth, alpha, profile and pixels."""

from __future__ import annotations

import struct
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from helpers.photo_files import (
    CHANNELS,
    EXIF_IFD,
    EXPOSURE,
    HEIGHT,
    LOSSLESS,
    MAKER,
    ORIENTATION,
    SRGB,
    WIDTH,
    exif,
    make_png,
    noise,
    round_trip,
    smooth,
    write_tiff,
)
from zeroair_pl.errors import ConfigError
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.source import Source
from zeroair_pl.photos.writing import output_path, save_photo


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize(
    ("fmt", "mode"),
    [(fmt, mode) for fmt in ("PNG", "TIFF") for mode in ("L", "LA", "RGB", "RGBA")]
    + [("WEBP", "RGB"), ("WEBP", "RGBA"), ("BMP", "L"), ("BMP", "RGB")],
)
def test_lossless_8_bit(tmp_path: Path, fmt: str, mode: str, orientation: int) -> None:
    path = tmp_path / f"x{LOSSLESS[fmt]}"
    array = noise(CHANNELS[mode])
    extra: dict[str, Any] = {"lossless": True, "exact": True} if fmt == "WEBP" else {}
    Image.fromarray(array, mode).save(path, icc_profile=SRGB, exif=exif(orientation), dpi=(300, 300), **extra)
    target = round_trip(path)
    with Image.open(path) as before, Image.open(target) as after:
        assert (after.format, after.size, after.mode) == (fmt, before.size, mode)
        assert after.info.get("icc_profile") == before.info.get("icc_profile")
        assert after.getexif().get(ORIENTATION) == before.getexif().get(ORIENTATION)
        assert after.info.get("dpi") == pytest.approx(before.info.get("dpi"), abs=0.1)
        if fmt != "BMP":
            assert after.info["icc_profile"] == SRGB
            assert (after.getexif()[ORIENTATION], after.getexif()[MAKER]) == (orientation, "Maker")
        # Not by Pillow for TIFF, which applies the orientation or not as the case may be.
        stored = tifffile.imread(target) if fmt == "TIFF" else np.asarray(after)
        np.testing.assert_array_equal(stored, array)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_upright(tmp_path: Path, mode: str, orientation: int) -> None:
    stored = Image.fromarray(noise(CHANNELS[mode]), mode)
    block = Image.Exif()
    block[ORIENTATION] = orientation
    stored.save(tmp_path / "x.png", exif=block)
    stored.save(tmp_path / "raw.tif", exif=block)
    stored.save(tmp_path / "lzw.tif", exif=block, compression="tiff_lzw")
    if mode == "RGBA":
        stored.save(tmp_path / "x.webp", exif=block, lossless=True, exact=True)
    with Image.open(tmp_path / "x.png") as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    expected = np.stack([upright] * 3) if mode == "L" else upright[..., :3].transpose(2, 0, 1)
    for path in tmp_path.iterdir():
        photo = load_photo(path)
        assert photo.size == upright.shape[:2]
        np.testing.assert_array_equal((photo.pixels * 255).round().numpy(), expected)
        if mode == "RGBA":
            np.testing.assert_array_equal(photo.alpha, upright[..., 3])


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png(tmp_path: Path, channels: int, orientation: int) -> None:
    path = tmp_path / "x.png"
    array = noise(channels, "uint16")
    path.write_bytes(make_png(array, exif(orientation)))
    after = round_trip(path)
    data = after.read_bytes()
    assert data[24:26] == path.read_bytes()[24:26]  # bit depth and color type
    np.testing.assert_array_equal(cv2.imread(str(after), -1), cv2.imread(str(path), -1))
    with Image.open(after) as image:
        image.load()
        assert image.size == (WIDTH, HEIGHT)
        assert image.info["icc_profile"] == SRGB
        assert image.getexif()[ORIENTATION] == orientation
        assert image.getexif().get_ifd(EXIF_IFD)[EXPOSURE] == (1, 50)
    turned = np.rot90(array, -1) if orientation == 6 else array
    gray = turned if channels == 1 else turned[..., 0]
    expected = np.stack([gray] * 3) if channels < 3 else turned[..., :3].transpose(2, 0, 1)
    photo = load_photo(after)
    np.testing.assert_array_equal((photo.pixels.double() * 65535).round().numpy(), expected)
    assert (photo.alpha is not None) == (channels in (2, 4))


@pytest.mark.parametrize("orientation", [1, 8])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(tmp_path: Path, mode: str, orientation: int) -> None:
    path = tmp_path / "x.jpeg"
    image = Image.fromarray(smooth(CHANNELS[mode]), mode)
    image.save(path, quality=90, exif=exif(orientation), icc_profile=SRGB, dpi=(240, 240))
    with Image.open(path) as before, Image.open(round_trip(path)) as after:
        assert (after.format, after.mode, after.size) == ("JPEG", mode, (WIDTH, HEIGHT))
        assert after.info["icc_profile"] == SRGB
        assert after.info["dpi"] == (240, 240)
        assert (after.getexif()[ORIENTATION], after.getexif()[MAKER]) == (orientation, "Maker")
        assert after.getexif().get_ifd(EXIF_IFD)[EXPOSURE] == (1, 50)
        if mode != "L":
            assert isinstance(after, JpegImageFile)
            assert {component[1:3] for component in after.layer} == {(1, 1)}  # no chroma subsampling
        np.testing.assert_allclose(
            np.asarray(after.convert("RGB"), float), np.asarray(before.convert("RGB"), float), atol=8
        )


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_thumbnail_of_the_unrestored_photo_is_unlinked(tmp_path: Path, order: str) -> None:
    thumbnail = BytesIO()
    Image.new("RGB", (16, 16)).save(thumbnail, "JPEG")
    start = b"Exif\0\0" + (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    first = struct.pack(order + "HHHI4s", 1, MAKER, 2, 4, b"Abc\0")
    second = struct.pack(order + "HHHIIHHIII", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, len(thumbnail.getvalue()), 0)
    block = start + first + struct.pack(order + "I", 26) + second + thumbnail.getvalue()
    Image.fromarray(smooth(3)).save(tmp_path / "x.jpg", exif=block)
    with Image.open(tmp_path / "x.jpg") as before, Image.open(round_trip(tmp_path / "x.jpg")) as after:
        assert before.info["exif"] == block
        assert after.info["exif"] == start + first + bytes(4) + second + thumbnail.getvalue()  # all else stays in place
        assert after.getexif()[MAKER] == "Abc"


@pytest.mark.parametrize(
    "block", [b"", b"II*\0\xff\xff\xff\x7f", b"nonsense", b"II*\0\x08\0\0\0\xff\xff", b"II*\0\x08\0\0\0"]
)
def test_only_broken_exif_is_dropped(tmp_path: Path, block: bytes) -> None:
    Image.fromarray(smooth(3)).save(tmp_path / "x.jpg", exif=b"Exif\0\0" + block)
    assert load_photo(tmp_path / "x.jpg").orientation == 1
    with Image.open(round_trip(tmp_path / "x.jpg")) as after:
        assert "exif" not in after.info


def test_exif_too_long_for_one_jpeg_segment_keeps_the_orientation(tmp_path: Path) -> None:
    Image.fromarray(smooth(3)).save(tmp_path / "x.jpg", exif=exif(6))
    photo = load_photo(tmp_path / "x.jpg")
    assert photo.exif is not None
    save_photo(tmp_path / "y.jpg", photo.pixels, replace(photo, exif=photo.exif + bytes(70_000)))
    assert load_photo(tmp_path / "y.jpg").orientation == 6


def test_lossy_webp_stays_near(tmp_path: Path) -> None:
    Image.fromarray(smooth(3)).save(tmp_path / "x.webp", quality=90)
    after = round_trip(tmp_path / "x.webp")
    assert b"VP8L" not in after.read_bytes()
    with Image.open(tmp_path / "x.webp") as a, Image.open(after) as b:
        np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), atol=12)


@pytest.mark.parametrize("fmt", [".png", ".tif", ".bmp"])
def test_palette_and_bilevel_become_full_color_and_gray(tmp_path: Path, fmt: str) -> None:
    image = Image.fromarray(noise(3)).quantize(16)
    image.save(tmp_path / f"x{fmt}")
    with Image.open(round_trip(tmp_path / f"x{fmt}")) as after:
        assert after.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(after), np.asarray(image.convert("RGB")))
    image = Image.fromarray(noise(1) > 127)
    image.save(tmp_path / f"x{fmt}")
    with Image.open(round_trip(tmp_path / f"x{fmt}")) as after:
        assert after.mode == "L"
        np.testing.assert_array_equal(np.asarray(after), np.asarray(image.convert("L")))


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_png_transparency_entries_become_alpha(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(noise(3)).quantize(16) if mode == "P" else Image.fromarray(noise(CHANNELS[mode]))
    key = {"P": 3, "L": int(noise(1)[0, 0]), "RGB": tuple(int(v) for v in noise(3)[0, 0])}[mode]
    image.save(tmp_path / "x.png", transparency=key)
    with Image.open(tmp_path / "x.png") as before, Image.open(round_trip(tmp_path / "x.png")) as after:
        assert after.mode == ("LA" if mode == "L" else "RGBA")
        alpha = np.asarray(after)[..., -1]
        assert set(np.unique(alpha)) == {0, 255}
        np.testing.assert_array_equal(np.asarray(after), np.asarray(before.convert(after.mode)))


def test_bmp_with_alpha(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.bmp"), noise(4))
    after = round_trip(tmp_path / "x.bmp")
    assert after.suffix == ".bmp"
    with Image.open(after) as image:
        assert image.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(image)[..., [2, 1, 0, 3]], noise(4))


def test_values_are_rounded_clipped_and_gray_is_luma(tmp_path: Path) -> None:
    Image.fromarray(noise(3)).save(tmp_path / "rgb.png")
    Image.fromarray(noise(1)).save(tmp_path / "gray.png")
    pixels = torch.zeros(3, HEIGHT, WIDTH)
    pixels[0, 0, :4] = torch.tensor([0.4, 0.6, 300, -20]) / 255
    save_photo(tmp_path / "out.png", pixels, load_photo(tmp_path / "rgb.png"))
    with Image.open(tmp_path / "out.png") as image:
        assert np.asarray(image)[0, :4, 0].tolist() == [0, 1, 255, 0]
    pixels[:, 0, 0] = torch.tensor([1.0, 0.5, 0.0])
    save_photo(tmp_path / "out.png", pixels, load_photo(tmp_path / "gray.png"))
    with Image.open(tmp_path / "out.png") as image:
        assert image.mode == "L"
        assert image.getpixel((0, 0)) == round(255 * (0.299 + 0.5 * 0.587))


def test_anything_can_be_written_as_png(tmp_path: Path) -> None:
    write_tiff(tmp_path / "x.tif", noise(4, "float32"), orientation=6)
    photo = load_photo(tmp_path / "x.tif")
    save_photo(tmp_path / "float.png", photo.pixels, photo)
    again = load_photo(tmp_path / "float.png")
    assert (again.dtype, again.orientation, again.alpha is not None) == ("uint16", 6, True)
    assert (again.pixels - photo.pixels).abs().max() <= 0.5 / 65535 + 1e-7
    Image.fromarray(smooth(4), "CMYK").save(tmp_path / "x.jpg")
    photo = load_photo(tmp_path / "x.jpg")
    save_photo(tmp_path / "cmyk.png", photo.pixels, photo)
    assert torch.equal(load_photo(tmp_path / "cmyk.png").pixels, photo.pixels)


def test_phone_jpeg_with_several_pictures_counts_as_its_first(tmp_path: Path) -> None:
    first, second = (Image.fromarray(smooth(3)), Image.new("RGB", (20, 20)))
    first.save(tmp_path / "x.jpg", "MPO", save_all=True, append_images=[second])
    photo = load_photo(tmp_path / "x.jpg")
    assert (photo.format, photo.size) == ("JPEG", (HEIGHT, WIDTH))
    with Image.open(round_trip(tmp_path / "x.jpg")) as after:
        assert after.format == "JPEG"


def test_output_path(tmp_path: Path) -> None:
    Image.fromarray(noise(3)).save(tmp_path / "misnamed.jpg", "PNG")
    photo = load_photo(tmp_path / "misnamed.jpg")
    assert output_path("out", Source(tmp_path / "misnamed.jpg", "sub/a.b"), photo) == Path("out/sub/a.b.png")
    (tmp_path / "x.PNG").write_bytes((tmp_path / "misnamed.jpg").read_bytes())
    assert output_path("out", Source(tmp_path / "x.PNG", "x"), photo) == Path("out/x.PNG")
    with pytest.raises(ConfigError, match=r"x.PNG: the output would replace the input.*--out"):
        output_path(tmp_path, Source(tmp_path / "x.PNG", "x"), photo)
