"""TIFF: what samples mean is read right, and what cannot be read right is refused by name."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile

from helpers import tiff_files
from helpers.tiff_content import DEPTHS, HEIGHT, WIDTH, close, content, pixels, shown, smooth, write
from helpers.tiff_files import CODECS
from zeroair_pl.errors import InputError
from zeroair_pl.photos.reading import load_photo


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("codec", ["none", "lzw", "deflate", "packbits", "zstd"])
@pytest.mark.parametrize("bits", [1, 8, 12, 16])
def test_bits_from_the_lowest(tmp_path: Path, codec: str, bits: int, order: str) -> None:
    """FillOrder 2 turns the bits of each stored byte around."""
    samples = content(1 if bits == 1 else 3, bits, DEPTHS[bits])
    write(tmp_path / "x.tif", samples, bits, codec=codec, order=order, fill=2)
    close(load_photo(tmp_path / "x.tif"), samples, bits)
    if bits in (1, 8):
        np.testing.assert_array_equal(pixels(tmp_path / "x.tif"), shown(tmp_path / "x.tif"))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
@pytest.mark.parametrize("codec", ["none", "lzw"])
def test_white_is_zero(tmp_path: Path, codec: str, bits: int) -> None:
    samples = content(1, bits, DEPTHS[bits])
    write(tmp_path / "x.tif", samples, bits, codec=codec, photometric=0)
    close(load_photo(tmp_path / "x.tif"), (2**bits - 1 - samples).astype(samples.dtype), bits)
    if bits <= 8:
        np.testing.assert_array_equal(pixels(tmp_path / "x.tif"), shown(tmp_path / "x.tif"))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("old", [False, True])
def test_palette(tmp_path: Path, bits: int, order: str, old: bool) -> None:
    samples = content(1, bits, "u1")
    table = np.random.default_rng(0).integers(0, 256, (3, 2**bits))
    values = (table if old else table * 257).ravel().tolist()  # some programs write 8-bit values
    write(tmp_path / "x.tif", samples, bits, codec="lzw", order=order, photometric=3, tags={320: ("H", values)})
    np.testing.assert_array_equal(pixels(tmp_path / "x.tif"), table.T[samples[..., 0]])
    if not old and bits != 2:
        np.testing.assert_array_equal(pixels(tmp_path / "x.tif"), shown(tmp_path / "x.tif"))
    write(tmp_path / "x.tif", samples, bits, photometric=3, tags={320: ("H", values[:-3])})
    with pytest.raises(InputError, match="palette is missing or of another size"):
        load_photo(tmp_path / "x.tif")


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("codec", ["none", "lzw", "deflate"])
def test_cmyk(tmp_path: Path, codec: str, planar: bool) -> None:
    write(tmp_path / "x.tif", content(4, 8, "u1"), codec=codec, planar=planar, photometric=5)
    np.testing.assert_array_equal(pixels(tmp_path / "x.tif"), shown(tmp_path / "x.tif"))
    write(tmp_path / "x.tif", content(4, 8, "u1"), photometric=5, tags={332: ("H", 2)})  # inks with names of their own
    with pytest.raises(InputError, match="photometric 5 are not supported"):
        load_photo(tmp_path / "x.tif")


@pytest.mark.parametrize("order", ["<", ">"])
def test_bigtiff(tmp_path: Path, order: str) -> None:
    write(tmp_path / "x.tif", content(3, 16, "u2"), 16, codec="lzw", planar=True, order=order, big=True)
    close(load_photo(tmp_path / "x.tif"), content(3, 16, "u2"), 16)


def test_a_predictor_that_the_compression_does_not_have_is_ignored(tmp_path: Path) -> None:
    """As libtiff does: programs leave the tag behind when they change the compression."""
    for codec in ("none", "packbits"):
        write(tmp_path / "x.tif", content(3, 8, "u1"), codec=codec, tags={317: ("H", 2)})
        close(load_photo(tmp_path / "x.tif"), content(3, 8, "u1"), 8)
        np.testing.assert_array_equal(pixels(tmp_path / "x.tif"), shown(tmp_path / "x.tif"))


def test_what_the_file_does_not_say_is_guessed_as_libtiff_guesses(tmp_path: Path) -> None:
    for channels in (1, 3):
        samples = content(channels, 8, "u1")
        data = bytearray(tiff_files.write(samples, 8))
        at = data.index(b"\x06\x01\x03\0")
        data[at : at + 2] = b"\x05\x01"  # PhotometricInterpretation becomes a tag that nobody knows
        (tmp_path / "x.tif").write_bytes(data)
        close(load_photo(tmp_path / "x.tif"), samples, 8)


@pytest.mark.parametrize("codec", [name for name in CODECS if name != "none"])
@pytest.mark.parametrize("bits", [1, 8, 12, 16])
@pytest.mark.parametrize("planar", [False, True])
def test_a_short_strip_is_refused(tmp_path: Path, codec: str, bits: int, planar: bool) -> None:
    """Never filled with what memory held: strips of one row less, and of half of their bytes."""
    path = tmp_path / "x.tif"
    samples = content(3, bits, DEPTHS[bits])
    good = tiff_files.write(samples, bits, codec=codec, planar=planar, rows=HEIGHT)
    path.write_bytes(good)
    close(load_photo(path), samples, bits)
    longer = {257: ("H", HEIGHT + 1), 278: ("H", HEIGHT + 1)}
    path.write_bytes(tiff_files.write(samples, bits, codec=codec, planar=planar, rows=HEIGHT, tags=longer))
    with pytest.raises(InputError, match=r"x\.tif: damaged or truncated"):
        load_photo(path)
    with tifffile.TiffFile(io.BytesIO(good)) as tiff:
        start, count = tiff.pages.first.dataoffsets[0], tiff.pages.first.databytecounts[0]
    broken = bytearray(good)
    broken[start + count // 2 : start + count] = bytes(count - count // 2)
    path.write_bytes(broken)
    if codec not in ("packbits", "lzw", "zstd"):  # which have nothing that could tell
        with pytest.raises(InputError, match=r"x\.tif: damaged or truncated"):
            load_photo(path)


def test_strips_that_are_not_listed_or_empty_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    fields = {256: 21, 257: 18, 258: 8, 259: 1, 262: 1, 277: 1, 278: 5}
    tags: dict[int, tuple[str, Any]] = {tag: ("H", value) for tag, value in fields.items()}
    strip = bytes(21 * 5)
    path.write_bytes(tiff_files.assemble(tags, [strip] * 3, "<", tiled=False, big=False))
    with pytest.raises(InputError, match="3 of 4 strips or tiles"):
        load_photo(path)
    path.write_bytes(tiff_files.assemble(tags, [strip, b"", strip, strip], "<", tiled=False, big=False))
    with pytest.raises(InputError, match="a strip or tile has no data"):
        load_photo(path)


@pytest.mark.parametrize(
    ("samples", "options", "expected"),
    [
        (content(3, 8, "u1"), {"tags": {259: ("H", 34661)}}, r"TIFF compression 34661 \(JBIG\) is not supp"),
        (content(3, 8, "u1"), {"tags": {259: ("H", 777)}}, "TIFF compression 777 is not supported; save it"),
        (content(3, 12, "u2"), {"codec": "lzw", "tags": {317: ("H", 2)}}, "predictor 2 with 12-bit samples"),
        (content(3, 8, "u1"), {"codec": "lzw", "tags": {317: ("H", 3)}}, "predictor 3 with 8-bit samples"),
        (content(3, 8, "u1"), {"codec": "lzw", "tags": {317: ("H", 9)}}, "predictor 9 with 8-bit samples"),
        (content(3, 8, "u1"), {"tags": {258: ("H", [5, 6, 5])}}, "-bit samples are not supported"),
        (content(3, 8, "u1"), {"codec": "lzw", "photometric": 6}, "pixels of the kind 'YCbCr' are not supported"),
        (content(1, 8, "u1"), {"photometric": 32844}, "photometric 32844 are not supported"),
    ],
)
def test_what_is_refused(tmp_path: Path, samples: np.ndarray, options: dict[str, Any], expected: str) -> None:
    bits = 12 if samples.dtype == np.uint16 else 8
    write(tmp_path / "x.tif", samples, bits, **options)
    with pytest.raises(InputError, match=expected) as caught:
        load_photo(tmp_path / "x.tif")
    assert str(caught.value).startswith(f"{tmp_path / 'x.tif'}: ")


def test_samples_that_are_not_what_the_tags_say_are_refused(tmp_path: Path) -> None:
    """JPEG 2000 of 8 bits in a TIFF of 16: as they are, the numbers would be a nearly black photo."""
    inside = imagecodecs.jpeg2k_encode(smooth(3), codecformat="j2k", level=0)
    fields = {256: WIDTH, 257: HEIGHT, 259: 34712, 262: 2, 277: 3, 278: HEIGHT}
    tags: dict[int, tuple[str, Any]] = {tag: ("H", value) for tag, value in fields.items()}
    tags[258] = ("H", [16, 16, 16])
    (tmp_path / "x.tif").write_bytes(tiff_files.assemble(tags, [bytes(inside)], "<", tiled=False, big=False))
    with pytest.raises(InputError, match="JPEG 2000 data hold uint8 samples where the tags say uint16"):
        load_photo(tmp_path / "x.tif")


def test_an_installation_without_the_codec_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise imagecodecs.DelayedImportError("lzw_decode")

    write(tmp_path / "x.tif", content(3, 16, "u2"), 16, codec="lzw", planar=True)
    monkeypatch.setitem(vars(tifffile.TIFF.DECOMPRESSORS)["_codecs"], 5, missing)
    with pytest.raises(InputError, match=r"cannot decode TIFF compression LZW; save it uncompressed"):
        load_photo(tmp_path / "x.tif")


@pytest.mark.parametrize("codec", CODECS)
def test_damage_never_shows_what_memory_held(tmp_path: Path, codec: str) -> None:
    """Bytes overwritten at random, in directories most of all: refused, or read the same twice."""
    generator = np.random.default_rng(len(codec))
    path = tmp_path / "x.tif"
    read = 0
    for bits, dtype, planar, tile in [
        (1, "u1", 0, 0),
        (8, "u1", 1, 16),
        (12, "u2", 1, 0),
        (16, "u2", 1, 0),
        (32, "f4", 0, 16),
    ]:
        whole = tiff_files.write(content(4, bits, dtype), bits, codec=codec, planar=bool(planar), tile=tile, extra=(2,))
        for _ in range(15):
            data = bytearray(whole)
            for _ in range(generator.integers(1, 4)):
                first = 0 if generator.random() < 0.3 else len(data) - 260
                data[generator.integers(first, len(data))] = generator.integers(256)
            path.write_bytes(data)
            try:
                once = load_photo(path)
            except InputError:
                continue
            held = [np.full(size, 77, np.uint8) for size in (1000, 20_000, 300_000)]  # for the next read to find
            del held
            again = load_photo(path)
            np.testing.assert_array_equal(once.pixels, again.pixels)
            np.testing.assert_array_equal(once.alpha, again.alpha) if once.alpha is not None else None
            read += 1
    assert 0 < read < 75
