"""HEIC, AVIF and JPEG XL are read, and come back as JPEG or PNG with all that these can hold."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from helpers import heif_files
from helpers.heif_files import HEIGHT, WIDTH, waves
from helpers.photo_files import EXIF_IFD, EXPOSURE, MAKER, ORIENTATION, SRGB, exif, round_trip
from zeroair_pl.errors import InputError
from zeroair_pl.photos import heif
from zeroair_pl.photos.reading import load_photo

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


def encoded(fmt: str, image: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, fmt, **options)
    return out.getvalue()


def near(path: Path, expected: np.ndarray, atol: float) -> None:
    found = load_photo(path).pixels.permute(1, 2, 0).numpy() * 255
    np.testing.assert_allclose(found, expected, atol=atol)


def test_a_phones_heic_becomes_an_upright_jpeg(tmp_path: Path) -> None:
    pytest.importorskip("pi_heif")
    (tmp_path / "IMG_1.HEIC").write_bytes(heif_files.TURNED)
    near(tmp_path / "IMG_1.HEIC", np.rot90(waves(), -1), 8)
    after = round_trip(tmp_path / "IMG_1.HEIC")
    assert after.name == "IMG_1.jpg"
    near(after, np.rot90(waves(), -1), 10)
    with Image.open(after) as image:
        assert (image.format, image.size) == ("JPEG", (HEIGHT, WIDTH))
        assert image.getexif().get(ORIENTATION, 1) == 1  # else a viewer would turn it twice
        assert image.getexif()[MAKER] == "Maker"
        assert image.info["xmp"].startswith(b"<x:xmpmeta")


def test_a_heic_of_10_bits_becomes_a_png_of_16_that_says_what_its_colors_mean(tmp_path: Path) -> None:
    pytest.importorskip("pi_heif")
    (tmp_path / "x.heic").write_bytes(heif_files.DEEP)
    photo = load_photo(tmp_path / "x.heic")
    assert (photo.format, photo.dtype) == ("PNG", "uint16")
    near(tmp_path / "x.heic", waves(), 6)
    after = round_trip(tmp_path / "x.heic")
    assert after.name == "x.png"
    assert b"cICP" + bytes([9, 16, 0, 1]) in after.read_bytes()  # BT.2020 and PQ
    assert cv2.imread(str(after), -1).dtype == np.uint16  # type: ignore[union-attr]


def test_alpha_of_a_heic_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("pi_heif")
    (tmp_path / "x.heic").write_bytes(heif_files.ALPHA)
    with Image.open(round_trip(tmp_path / "x.heic")) as image:
        assert (image.format, image.mode) == ("PNG", "RGBA")
        np.testing.assert_allclose(
            np.asarray(image)[..., 3], np.arange(WIDTH)[None] * 5 + np.zeros((HEIGHT, 1)), atol=6
        )


@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_avif_becomes_a_jpeg_with_its_orientation(tmp_path: Path, orientation: int) -> None:
    options = {"quality": 95, "subsampling": "4:4:4", "exif": exif(orientation), "icc_profile": SRGB, "xmp": XMP}
    (tmp_path / "x.avif").write_bytes(encoded("AVIF", waves().astype(np.uint8), **options))
    assert load_photo(tmp_path / "x.avif").size == ((HEIGHT, WIDTH) if orientation == 1 else (WIDTH, HEIGHT))
    with Image.open(round_trip(tmp_path / "x.avif")) as image:
        assert (image.format, image.size) == ("JPEG", (WIDTH, HEIGHT))
        assert (image.getexif().get(ORIENTATION, 1), image.info["icc_profile"], image.info["xmp"]) == (
            orientation,
            SRGB,
            XMP,
        )
        assert image.getexif().get_ifd(EXIF_IFD)[EXPOSURE] == (1, 50)
        np.testing.assert_allclose(np.asarray(image, float), waves(), atol=8)


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_of_more_bits_becomes_a_png_of_16(tmp_path: Path, bits: int) -> None:
    deep = (waves() / 255 * (2**bits - 1)).astype(np.uint16)
    (tmp_path / "x.avif").write_bytes(imagecodecs.avif_encode(deep, bitspersample=bits, level=95))
    photo = load_photo(tmp_path / "x.avif")
    assert (photo.format, photo.dtype) == ("PNG", "uint16")
    near(tmp_path / "x.avif", waves(), 4)


def test_avif_with_alpha_and_animated(tmp_path: Path) -> None:
    rgba = np.dstack([waves(), np.full((HEIGHT, WIDTH), 128)]).astype(np.uint8)
    (tmp_path / "x.avif").write_bytes(encoded("AVIF", rgba, quality=95))
    assert round_trip(tmp_path / "x.avif").suffix == ".png"
    frames = [Image.fromarray(np.roll(rgba, 9 * i, 1)) for i in range(3)]
    frames[0].save(tmp_path / "y.avif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"an animation \(3 frames\)"):
        load_photo(tmp_path / "y.avif")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_jpeg_xl_becomes_a_png_of_the_same_pixels(tmp_path: Path, channels: int) -> None:
    pytest.importorskip("pillow_jxl")
    pixels = np.random.default_rng(channels).integers(0, 256, (HEIGHT, WIDTH, channels)).astype(np.uint8)
    pixels = pixels[..., 0] if channels == 1 else pixels
    import pillow_jxl  # noqa: F401

    (tmp_path / "x.jxl").write_bytes(encoded("JXL", pixels, lossless=True, exif=exif(1)))
    with Image.open(round_trip(tmp_path / "x.jxl")) as image:
        assert image.format == "PNG"
        assert image.getexif()[MAKER] == "Maker"
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_jpeg_xl_of_more_than_8_bits_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pillow_jxl")
    (tmp_path / "x.jxl").write_bytes(imagecodecs.jpegxl_encode(waves().astype(np.uint16) * 257, lossless=True))
    with pytest.raises(InputError, match="JPEG XL of more than 8 bits is not supported"):
        load_photo(tmp_path / "x.jxl")


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("x.heic", heif_files.TURNED, "HEIC is read with the extra 'heic': pip install 'zeroair-pl[heic]'."),
        ("x.jpg", heif_files.TURNED, "HEIC is read with the extra 'heic': pip install 'zeroair-pl[heic]'."),
        ("x.jxl", b"\xff\x0a" + bytes(40), "JPEG XL is read with the extra 'jxl': pip install 'zeroair-pl[jxl]'."),
    ],
)
def test_without_the_extra_one_line_names_it(
    tmp_path: Path, name: str, data: bytes, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heif, "installed", lambda extra: False)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        load_photo(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {line}"


def test_what_is_cut_or_no_picture_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pi_heif")
    pytest.importorskip("pillow_jxl")
    avif = encoded("AVIF", waves().astype(np.uint8))
    for name, data in (
        ("x.heic", heif_files.TURNED),
        ("x.avif", avif),
        ("x.jxl", imagecodecs.jpegxl_encode(waves().astype(np.uint8))),
    ):
        for share in (0.1, 0.5, 0.9):
            (tmp_path / name).write_bytes(data[: int(len(data) * share)])
            with pytest.raises(InputError, match=f"{name}: "):
                load_photo(tmp_path / name)


def test_a_file_that_crashes_its_decoder_fails_alone(tmp_path: Path) -> None:
    """A byte of a media type that is no UTF-8: pi-heif 1.4 ends the process."""
    pytest.importorskip("pi_heif")
    data = bytearray(heif_files.TURNED)
    data[220] = 0xCC
    (tmp_path / "a{0}b{}.heic").write_bytes(data)  # a name that no format string may stumble over
    with pytest.raises(InputError, match=r"a\{0\}b\{\}.heic: damaged or truncated \(.+\)"):
        load_photo(tmp_path / "a{0}b{}.heic")


def test_a_size_beyond_the_limit_is_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pi_heif")
    monkeypatch.setattr("zeroair_pl.photos.isolated.MAX_PIXELS", HEIGHT * WIDTH - 1)
    monkeypatch.setattr("zeroair_pl.photos.photo.MAX_PIXELS", HEIGHT * WIDTH - 1)
    (tmp_path / "x.heic").write_bytes(heif_files.TURNED)
    with pytest.raises(InputError, match=f"{HEIGHT}x{WIDTH} px are 0 megapixels; the limit is"):
        load_photo(tmp_path / "x.heic")


def test_a_picture_that_is_too_small_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.avif").write_bytes(encoded("AVIF", waves().astype(np.uint8)[:10]))
    with pytest.raises(InputError, match="48x10 px is too small"):
        load_photo(tmp_path / "x.avif")
