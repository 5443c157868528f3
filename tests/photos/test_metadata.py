"""The metadata of a file is in the restored file too, field by field and format by format, or named."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from helpers import tiff_files
from helpers.command import TOY, run
from helpers.hostile import chunk
from helpers.photo_files import EXIF_IFD, EXPOSURE, MAKER, noise, round_trip, smooth
from zeroair_pl.photos.metadata import without_thumbnails
from zeroair_pl.photos.reading import load_photo

# A panorama's XMP, without which it is a flat picture to every viewer.
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><GPano:ProjectionType>equirectangular</GPano:ProjectionType></x:xmpmeta>"
XMP_HEAD, MORE_HEAD = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
GPS_IFD, LATITUDE, CITY = 34853, 2, b"\x1c\x02\x5a\x00\x06Aachen"
LATITUDE_IS = (50.0, 46.0, 31.5)


def resource(number: int, data: bytes) -> bytes:
    """One of Photoshop's image resources, without a name."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)


IPTC = resource(1028, CITY)
THUMBNAIL = resource(1036, b"old thumbnail")


def png(path: Path, *chunks: bytes, depth: int = 8, channels: int = 3) -> None:
    pixels = noise(channels, f"uint{depth}")
    rows = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in pixels)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, kind, 0, 0, 0)
    parts = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def chunks_of(path: Path) -> list[tuple[bytes, bytes]]:
    data, at, found = path.read_bytes(), 8, []
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(kind + body)
        found.append((kind, body))
        at += 12 + length
    return found


PNG_CHUNKS = {
    "gAMA": struct.pack(">I", 100_000),
    "cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    "sRGB": b"\1",
    "cICP": bytes([9, 16, 0, 1]),
    "mDCV": bytes(range(24)),
    "cLLI": struct.pack(">II", 1000, 400),
    "tEXt": b"parameters\0a prompt, 20 steps",
    "zTXt": b"Comment\0\0" + zlib.compress(b"long " * 100),
    "iTXt": b"Title\0\0\0de\0Titel\0" + "Grüße".encode(),
    "XMP": b"XML:com.adobe.xmp\0\0\0\0\0" + XMP,
}


@pytest.mark.parametrize("depth, channels", [(8, 1), (8, 3), (8, 4), (16, 2), (16, 3)])
@pytest.mark.parametrize("name", PNG_CHUNKS)
def test_chunks_of_a_png(tmp_path: Path, name: str, depth: int, channels: int) -> None:
    kind, body = b"iTXt" if name == "XMP" else name.encode(), PNG_CHUNKS[name]
    png(tmp_path / "x.png", chunk(kind, body), depth=depth, channels=channels)
    after = chunks_of(round_trip(tmp_path / "x.png"))
    assert [each for each in after if each[0] == kind] == [(kind, body)]
    kinds = [each for each, _ in after]
    assert kinds.index(kind) < kinds.index(b"IDAT")  # where the standard wants those about color
    assert load_photo(tmp_path / "x.png").metadata.lost == ()


def test_all_chunks_of_a_png_together_and_what_is_stale_is_not_kept(tmp_path: Path) -> None:
    kept = [chunk(b"iTXt" if name == "XMP" else name.encode(), body) for name, body in PNG_CHUNKS.items()]
    stale = [chunk(b"bKGD", bytes(6)), chunk(b"tIME", bytes([7, 230, 1, 1, 0, 0, 0])), chunk(b"caBX", b"signed")]
    png(tmp_path / "x.png", *kept, *stale)
    after = chunks_of(round_trip(tmp_path / "x.png"))
    assert sorted(after[1:-2]) == sorted((part[4:8], part[8:-4]) for part in kept)
    assert load_photo(tmp_path / "x.png").metadata.lost == ("content credentials (C2PA)",)


def test_exif_that_imagemagick_puts_into_a_text_is_written_once(tmp_path: Path) -> None:
    block = Image.Exif()
    block[MAKER] = "Maker"
    raw = b"Exif\0\0" + block.tobytes().removeprefix(b"Exif\0\0")
    text = b"\nexif\n%8d\n" % len(raw) + raw.hex().encode() + b"\n"
    png(tmp_path / "x.png", chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)))
    after = round_trip(tmp_path / "x.png")
    assert [kind for kind, _ in chunks_of(after)].count(b"zTXt") == 0
    with Image.open(after) as image:
        assert image.getexif()[MAKER] == "Maker"


def jpeg(path: Path, *segments: tuple[int, bytes], behind: bytes = b"") -> None:
    out = io.BytesIO()
    Image.fromarray(smooth(3)).save(out, "JPEG", quality=95)
    data = out.getvalue()
    parts = b"".join(b"\xff" + bytes([kind]) + struct.pack(">H", len(body) + 2) + body for kind, body in segments)
    path.write_bytes(data[:2] + parts + data[2:] + behind)


SEGMENTS = {
    "XMP": (0xE1, XMP_HEAD + XMP),
    "extended XMP": (0xE1, MORE_HEAD + bytes(40) + b"more"),
    "IPTC": (0xED, b"Photoshop 3.0\0" + IPTC),
    "comment": (0xFE, b"made by hand"),
}


@pytest.mark.parametrize("names", [[name] for name in SEGMENTS] + [list(SEGMENTS)])
def test_segments_of_a_jpeg(tmp_path: Path, names: list[str]) -> None:
    jpeg(tmp_path / "x.jpg", *(SEGMENTS[name] for name in names))
    after = round_trip(tmp_path / "x.jpg").read_bytes()
    for name in names:
        kind, body = SEGMENTS[name]
        assert after.count(b"\xff" + bytes([kind]) + struct.pack(">H", len(body) + 2) + body) == 1
    with Image.open(io.BytesIO(after)) as image:
        image.load()
        assert image.info.get("xmp") == (XMP if "XMP" in names else None)
        assert image.info.get("comment") == (b"made by hand" if "comment" in names else None)
    assert load_photo(tmp_path / "x.jpg").metadata.lost == ()


def test_long_image_resources_of_a_jpeg_are_joined_and_lose_their_thumbnail(tmp_path: Path) -> None:
    long = resource(1060, bytes(range(256)) * 300)
    whole = THUMBNAIL + long + IPTC
    parts = [(0xED, b"Photoshop 3.0\0" + whole[at : at + 60_000]) for at in range(0, len(whole), 60_000)]
    jpeg(tmp_path / "x.jpg", *parts)
    after = load_photo(round_trip(tmp_path / "x.jpg"))
    assert after.metadata.photoshop == long + IPTC
    assert without_thumbnails(b"8BIM\x04") == b"8BIM\x04"  # damaged: as it is


@pytest.mark.parametrize(
    ("segment", "lost"),
    [
        ((0xE2, b"MPF\0II*\0" + bytes(20)), "the further pictures of the file"),
        ((0xEB, b"JP" + bytes(20)), "content credentials"),
        ((0xE4, b"QVCI\0"), "a segment APP4"),
        ((0xE1, XMP_HEAD + b"<x GCamera:MotionPhoto='1'/>"), "the video of a motion photo"),
    ],
)
def test_what_a_jpeg_loses_is_named(tmp_path: Path, segment: tuple[int, bytes], lost: str) -> None:
    jpeg(tmp_path / "x.jpg", segment)
    (named,) = load_photo(tmp_path / "x.jpg").metadata.lost
    assert named.startswith(lost)


def test_xmp_of_a_webp(tmp_path: Path) -> None:
    Image.fromarray(smooth(3)).save(tmp_path / "x.webp", xmp=XMP)
    with Image.open(round_trip(tmp_path / "x.webp")) as image:
        assert image.info["xmp"] == XMP


def tiff(path: Path, order: str = "<", depth: int = 8, **tags: tuple[str, Any]) -> None:
    """With EXIF and GPS directories, texts, and more ``tags``, as in t700."""
    shift = 8  # the directories come first in the file
    body = bytearray()

    def directory(entries: list[tuple[int, int, int, bytes]]) -> int:
        start = shift + len(body)
        values = start + 2 + 12 * len(entries) + 4
        rows, data = b"", b""
        for tag, kind, count, value in entries:
            place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", values + len(data))
            data += value if len(value) > 4 else b""
            rows += struct.pack(order + "HHI", tag, kind, count) + place
        body.extend(struct.pack(order + "H", len(entries)) + rows + bytes(4) + data)
        return start

    exif = directory([(EXPOSURE, 5, 1, struct.pack(order + "II", 1, 50)), (37500, 7, 6, b"maker!")])
    gps = directory([(1, 2, 2, b"N\0"), (LATITUDE, 5, 3, struct.pack(order + "6I", 50, 1, 46, 1, 315, 10))])
    fields = {int(name[1:]): value for name, value in tags.items()}
    fields |= {34665: ("I", exif), GPS_IFD: ("I", gps), MAKER: ("s", b"Maker\0"), 33432: ("s", b"(c) me\0")}
    header = (b"II*\0" if order == "<" else b"MM\0*") + bytes(4)
    pixels = noise(3, f"uint{depth}")
    rest: dict[int, tuple[str, Any]] = {256: ("H", pixels.shape[1]), 257: ("H", pixels.shape[0]), 277: ("H", 3)}
    rest |= {258: ("H", [depth] * 3), 259: ("H", 1), 262: ("H", 2), 278: ("H", pixels.shape[0]), 284: ("H", 1)}
    data = pixels.astype(f"{order}u{depth // 8}").tobytes()
    whole = tiff_files.assemble({**rest, **fields}, [data], order, tiled=False, big=False, before=header + bytes(body))
    path.write_bytes(whole)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_keeps_exif_gps_xmp_iptc_and_texts(tmp_path: Path, order: str, depth: int) -> None:
    path = tmp_path / "x.tif"
    resources = ("B", list(THUMBNAIL + IPTC))
    position = ("s", b"Aachen|\0")
    tiff(path, order, depth, t700=("B", list(XMP)), t33723=("U", CITY), t34377=resources, t34737=position)
    after = round_trip(path)
    with tifffile.TiffFile(after) as file:
        page = file.pages.first
        np.testing.assert_array_equal(page.asarray(), noise(3, f"uint{depth}"))
        assert bytes(page.tags[700].value) == XMP
        assert bytes(page.tags[33723].value) == CITY
        assert bytes(page.tags[34377].value) == IPTC
        assert (page.tags[MAKER].value, page.tags[33432].value) == ("Maker", "(c) me")
        assert page.tags[34737].value == "Aachen|"
    with Image.open(after) as image:
        assert image.getexif().get_ifd(EXIF_IFD)[EXPOSURE] == 1 / 50
        assert image.getexif().get_ifd(EXIF_IFD)[37500] == b"maker!"
        assert image.getexif().get_ifd(GPS_IFD)[LATITUDE] == LATITUDE_IS
    assert load_photo(path).metadata.lost == ()
    second = round_trip(after)  # and once more, from what was written
    assert load_photo(second).exif == load_photo(after).exif


def test_what_a_tiff_loses_is_named(tmp_path: Path) -> None:
    tiff(tmp_path / "x.tif", t37724=("U", b"layers"), t65000=("H", 3), t65001=("H", 4))
    assert load_photo(tmp_path / "x.tif").metadata.lost == ("the layers of Photoshop", "the TIFF tags 65000, 65001")
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(noise(3), photometric="rgb", metadata=None)
        file.write(noise(3)[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    assert load_photo(tmp_path / "x.tif").metadata.lost == ("1 further page (thumbnails or masks)",)


@pytest.mark.parametrize("place", [0, 8, 2**32 - 2])
def test_only_a_damaged_exif_directory_of_a_tiff_is_dropped(tmp_path: Path, place: int) -> None:
    tiff(tmp_path / "x.tif")
    data = tmp_path.joinpath("x.tif").read_bytes()
    at = data.rindex(struct.pack("<HHI", 34665, 4, 1)) + 8
    (tmp_path / "x.tif").write_bytes(data[:at] + struct.pack("<I", place) + data[at + 4 :])
    with Image.open(round_trip(tmp_path / "x.tif")) as image:
        assert image.getexif()[MAKER] == "Maker"
        assert image.getexif().get_ifd(GPS_IFD)[LATITUDE] == LATITUDE_IS


def test_the_note_in_the_table_names_what_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    jpeg(tmp_path / "x.jpg", (0xEB, b"JP" + bytes(20)))
    jpeg(tmp_path / "y.jpg")
    run("restore", "--images", "x.jpg", "y.jpg", "--degradation", "Haze", "--out", "out", *TOY)
    _, x, y = Path("out/results.csv").read_text().splitlines()
    assert "not kept: content credentials (C2PA)" in x
    assert "not kept" not in y
