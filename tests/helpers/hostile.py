"""Bad and odd files: whatever a folder of ten thousand photos may hold by accident, mischief or age."""

from __future__ import annotations

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image

from helpers.photo_files import exif, ink_profile, make_png

HEIGHT, WIDTH = 20, 24
y, x = np.mgrid[:HEIGHT, :WIDTH]
PIXELS = np.stack([127 + 90 * np.sin(x / (5 + c) + y / (4 + c)) for c in range(3)], -1).astype(np.uint8)
ALPHA = (x * 10).astype(np.uint8)
DEEP = PIXELS.astype(np.uint16) * 257
FLOAT = (PIXELS / 255).astype(np.float32)

GOOD, EITHER = "good", "either"  # other expectations are a pattern of the reason


class Case(NamedTuple):
    """A file, by name: its content, or what makes it; and whether it is restored, or why it is not."""

    name: str
    content: bytes | Callable[[Path], Any]
    expected: str


def encoded(fmt: str, image: Any = PIXELS, **options: Any) -> bytes:
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, fmt, **options)
    return out.getvalue()


def tiff(array: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    rgb = array.ndim == 3 and array.shape[2] in (3, 4)
    tifffile.imwrite(out, array, **{"photometric": "rgb" if rgb else "minisblack", "metadata": None, **options})
    return out.getvalue()


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    return (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) if crc is None else crc)
    )


def png(width: int, height: int, *chunks: bytes, rows: bytes | None = None, end: bytes | None = None) -> bytes:
    """A PNG of 8-bit RGB, with further chunks before its pixels."""
    plain = b"".join(b"\0" + row.tobytes() for row in PIXELS) if rows is None else rows
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(plain))
    return b"\x89PNG\r\n\x1a\n" + body + (chunk(b"IEND", b"") if end is None else end)


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def jpeg_frame(data: bytes) -> int:
    """Where the height stands in a baseline JPEG."""
    return data.index(b"\xff\xc0") + 5


def jpeg_with(kind: bytes, body: bytes) -> bytes:
    """A JPEG with one more segment at its start."""
    return JPEG[:2] + b"\xff" + kind + struct.pack(">H", len(body) + 2) + body + JPEG[2:]


def tag_value(data: bytes, value: int, *tags: int, count: bool = False) -> bytes:
    """A little-endian TIFF with another number, or count of numbers, in entries of its directory."""
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    for at in (first + 2 + 12 * i for i in range(entries)):
        if struct.unpack_from("<H", data, at)[0] in tags:
            data = patched(data, at + (4 if count else 8), struct.pack("<I", value))
    return data


def directory_loop(data: bytes) -> bytes:
    """A TIFF whose only directory is followed by itself."""
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    return patched(data, first + 2 + 12 * entries, struct.pack("<I", first))


def directory_in_itself(data: bytes, where: int | None = None) -> bytes:
    """A TIFF whose entry of the software's name has become SubIFDs, with its own directory or a place ``where``."""
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    at = first + 2 + 12 * (entries - 1)
    return patched(data, at, struct.pack("<HHII", 330, 4, 1, first if where is None else where))


def bound(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def bomb_of_zeros(kind: bytes) -> bytes:
    """A PNG with 80 MB in a few kilobytes, in a chunk that is not of pixels."""
    return png(WIDTH, HEIGHT, chunk(kind, b"p\0\0" + zlib.compress(bytes(80_000_000), 1)))


def private(path: Path) -> None:
    path.write_bytes(PNG)
    path.chmod(0)


JPEG, PNG = encoded("JPEG", quality=92), encoded("PNG")
EXIF_LOOP = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8)  # a directory that is in itself
SIDE_BY_SIDE = {"save_all": True, "append_images": [Image.fromarray(PIXELS[::-1])]}
INKS = Image.fromarray(PIXELS).convert("CMYK")
WEBP_BOMB = b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0/" + struct.pack("<I", 16383 | 16383 << 14) + bytes(5)
NAN, INF, NEG = (np.where(FLOAT > 0.8, value, FLOAT).astype(np.float32) for value in (np.nan, np.inf, -np.inf))
PALETTE = Image.fromarray(PIXELS).quantize(32)
KINDS = {
    "png": PNG,
    "deep.png": make_png(DEEP, exif(6)),
    "jpg": JPEG,
    "progressive.jpg": encoded("JPEG", progressive=True, quality=92),
    "webp": encoded("WEBP", quality=90),
    "lossless.webp": encoded("WEBP", lossless=True),
    "tif": tiff(PIXELS),
    "deflated.tif": tiff(DEEP, compression="zlib"),
    "lzw.tif": encoded("TIFF", compression="tiff_lzw"),
    "float.tif": tiff(FLOAT),
    "bmp": encoded("BMP"),
}
NONE = "not a PNG, JPEG, WebP, TIFF or BMP image"
DAMAGED = "damaged|truncated"

# fmt: off
CASES = [
    # Cut at every region; a decoder may do without the last bytes, which hold no pixels in some formats.
    *[Case(f"cut_at_{n}.{kind}", data[:n], f"{DAMAGED}|{NONE}") for kind, data in KINDS.items() for n in (2, 12)],
    *[Case(f"cut_in_the_middle.{kind}", data[: len(data) // 2], DAMAGED) for kind, data in KINDS.items()],
    *[Case(f"cut_near_the_end.{kind}", data[:-30], DAMAGED) for kind, data in KINDS.items()],
    *[Case(f"cut_by_a_byte.{kind}", data[:-1], EITHER) for kind, data in KINDS.items()],
    # No image at all
    *[Case(f"empty.{suffix}", b"", "empty") for suffix in ("png", "jpg", "webp", "tif", "bmp")],
    Case("nul.tif", bytes(4096), NONE),
    Case("text.png", "Grüße\n".encode() * 50, NONE),
    Case("page.jpg", b"<!DOCTYPE html><html>404</html>" * 20, NONE),
    Case("drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg' width='24' height='20'/>", NONE),
    Case("random.webp", np.random.default_rng(0).bytes(5000), NONE),
    Case("animation.gif.png", encoded("GIF"), NONE),
    Case("document.png", b"%PDF-1.7\n" + bytes(2000), NONE),
    Case("phone.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500), f"{DAMAGED}|HEIC is read with"),
    Case("archive.tif", b"PK\3\4" + bytes(500), NONE),
    Case("program.bmp", b"MZ" + bytes(2000), NONE),
    # Another name than the content has
    Case("png_called.jpg", PNG, GOOD),
    Case("jpeg_called.png", JPEG, GOOD),
    Case("tiff_called.bmp", tiff(PIXELS), GOOD),
    Case("webp_called.tif", encoded("WEBP"), GOOD),
    Case("LOUD.PNG", PNG, GOOD),
    Case("dots.in.the.name.jpeg", JPEG, GOOD),
    # Sizes that are claimed, and sizes that are
    Case("bomb.png", png(60_000, 60_000), "megapixels"),
    Case("largest.png", png(2**31 - 1, 2**31 - 1), "megapixels"),
    Case("bomb.tif", tag_value(tiff(DEEP), 60_000, 256, 257), "megapixels"),
    Case("bomb.jpg", patched(JPEG, jpeg_frame(JPEG), b"\xff\xdc\xff\xdc"), "megapixels"),
    Case("bomb.bmp", patched(encoded("BMP"), 18, struct.pack("<ii", 2**30, 2**30)), f"megapixels|{NONE}"),
    Case("bomb.webp", WEBP_BOMB, f"megapixels|damaged|{NONE}"),
    Case("bomb_of_text.png", bomb_of_zeros(b"zTXt"), EITHER),
    Case("bomb_of_profile.png", bomb_of_zeros(b"iCCP"), EITHER),
    Case("more_pixels_than_told.png", png(WIDTH, HEIGHT, rows=bytes(30_000_000)), EITHER),
    Case("fewer_pixels_than_told.png", png(WIDTH, HEIGHT + 9), DAMAGED),
    Case("no_width.png", png(0, HEIGHT), f"{DAMAGED}|{NONE}|too small"),
    Case("no_height.jpg", patched(JPEG, jpeg_frame(JPEG), b"\0\0"), f"{DAMAGED}|{NONE}|too small"),
    *[Case(f"{w}x{h}.png", encoded("PNG", np.zeros((h, w, 3), np.uint8)), "too small")
      for w, h in ((1, 1), (1, 10_000), (10_000, 1), (15, 400))],
    Case("16x16.png", encoded("PNG", PIXELS[:16, :16]), GOOD),
    Case("16x900.webp", encoded("WEBP", np.tile(PIXELS[:, :16], (45, 1, 1))), GOOD),
    # Damage inside
    Case("damaged.png", patched(PNG, len(PNG) // 2, bytes(20)), DAMAGED),
    Case("damaged.tif", patched(KINDS["deflated.tif"], len(KINDS["deflated.tif"]) // 2, bytes(40)), DAMAGED),
    Case("fewer_pixels.tif", tag_value(tiff(DEEP[:-9], compression="zlib"), HEIGHT, 257, 278), DAMAGED),
    Case("fewer_pixels_of_8_bits.tif", tag_value(tiff(PIXELS[:-9], compression="zlib"), HEIGHT, 257, 278), DAMAGED),
    Case("ends_early.jpg", JPEG[: -len(JPEG) // 3] + b"\xff\xd9", EITHER),  # its decoder fills in, and does not say so
    Case("damaged.jpg", patched(JPEG, len(JPEG) - 60, bytes(20)), EITHER),
    Case("checksum_of_a_text.png", png(WIDTH, HEIGHT, chunk(b"tEXt", b"a\0b", crc=7)), EITHER),
    Case("no_end.png", png(WIDTH, HEIGHT, end=b""), EITHER),
    Case("long_chunk.png", png(WIDTH, HEIGHT, struct.pack(">I", 2**31 - 1) + b"tEXt"), f"{DAMAGED}|{NONE}"),
    Case("no_tables.jpg", JPEG.replace(b"\xff\xc4", b"\xff\xe5"), EITHER),  # there are defaults
    Case("directory_loop.tif", directory_loop(tiff(PIXELS)), EITHER),
    Case("inner_directory_loop.tif", directory_in_itself(tiff(PIXELS)), EITHER),
    Case("inner_directory_far.tif", directory_in_itself(tiff(PIXELS), 2**32 - 2), EITHER),
    Case("far_directory.tif", patched(tiff(PIXELS), 4, struct.pack("<I", 2**32 - 2)), DAMAGED),
    Case("a_billion_strips.tif", tag_value(tiff(PIXELS), 10**9, 273, count=True), EITHER),
    Case("a_billion_bits.tif", tag_value(tiff(PIXELS), 10**9, 258, count=True), EITHER),
    # More than one picture
    Case("animation.png", encoded("PNG", **SIDE_BY_SIDE), "animation"),
    Case("animation.webp", encoded("WEBP", **SIDE_BY_SIDE), "animation"),
    Case("pages.tif", tiff(np.stack([PIXELS, PIXELS]), photometric="rgb"), "2 pages"),
    Case("several.jpg", encoded("MPO", **SIDE_BY_SIDE), GOOD),
    # Kinds of pixels
    Case("bits.png", encoded("PNG", Image.fromarray(PIXELS[..., 0] > 127)), GOOD),
    Case("gray.jpg", encoded("JPEG", PIXELS[..., 0]), GOOD),
    Case("gray_alpha.png", encoded("PNG", np.dstack([PIXELS[..., 0], ALPHA])), GOOD),
    Case("palette.png", encoded("PNG", PALETTE), GOOD),
    Case("palette_transparent.png", encoded("PNG", PALETTE, transparency=3), GOOD),
    Case("palette.bmp", encoded("BMP", PALETTE), GOOD),
    Case("color_key.png", encoded("PNG", transparency=(1, 2, 3)), GOOD),
    Case("invisible.png", encoded("PNG", np.dstack([PIXELS, 0 * ALPHA])), GOOD),
    Case("alpha.webp", encoded("WEBP", np.dstack([PIXELS, ALPHA])), GOOD),
    Case("alpha.bmp", encoded("BMP", np.dstack([PIXELS, ALPHA])), GOOD),
    Case("upside_down.bmp", patched(encoded("BMP"), 22, struct.pack("<i", -HEIGHT)), GOOD),
    Case("inks.jpg", encoded("JPEG", INKS), GOOD),
    Case("inks_profile.jpg", encoded("JPEG", INKS, icc_profile=ink_profile()), GOOD),
    Case("inks_broken_profile.jpg", encoded("JPEG", INKS, icc_profile=b"?" * 200), GOOD),
    Case("deep_gray.png", make_png(DEEP[..., :1], exif(1)), GOOD),
    Case("deep_alpha.tif", tiff(np.dstack([DEEP, DEEP[..., 0]]), extrasamples=["unassalpha"]), GOOD),
    Case("bigtiff.tif", tiff(DEEP, bigtiff=True), GOOD),
    Case("big_endian.tif", tiff(DEEP, byteorder=">"), GOOD),
    Case("tiles.tif", tiff(PIXELS, tile=(16, 16)), GOOD),
    Case("lzw.tif", encoded("TIFF", compression="tiff_lzw"), GOOD),
    Case("jpeg_inside.tif", encoded("TIFF", compression="jpeg"), GOOD),
    Case("white_is_zero.tif", tiff(DEEP[..., 0], photometric="miniswhite"), GOOD),
    Case("float.tif", tiff(FLOAT), GOOD),
    Case("bright_float.tif", tiff(FLOAT * 40), GOOD),
    Case("half_float.tif", tiff(FLOAT.astype(np.float16)), GOOD),
    Case("huge_float.tif", tiff(FLOAT.astype(np.float64) * 1e300), GOOD),
    Case("negative_float.tif", tiff(FLOAT - 2), EITHER),
    Case("nan.tif", tiff(NAN), "NaN or infinite"),
    Case("infinite.tif", tiff(INF), "NaN or infinite"),
    Case("minus_infinite.tif", tiff(NEG), "NaN or infinite"),
    Case("signed.tif", tiff(DEEP[..., 0].astype(np.int16)), "signed"),
    Case("whole_32.tif", tiff(DEEP[..., 0].astype(np.uint32)), "32-bit"),
    Case("complex.tif", tiff(FLOAT[..., 0].astype(np.complex64)), "not supported"),
    Case("deep_inks.tif", tiff(np.dstack([DEEP, DEEP[..., 0]]), photometric="separated"), "save it as RGB"),
    Case("lab.tif", tiff(PIXELS, photometric="cielab"), "'LAB' are not supported"),
    Case("six_channels.tif", tiff(np.dstack([DEEP, DEEP]), photometric="rgb", planarconfig="contig"), GOOD),
    # Metadata
    *[Case(f"turned_{turn}.jpg", encoded("JPEG", exif=exif(turn)), GOOD) for turn in (3, 6, 8, 9)],
    Case("exif_of_noise.jpg", jpeg_with(b"\xe1", b"Exif\0\0" + np.random.default_rng(1).bytes(300)), GOOD),
    Case("exif_cut.jpg", jpeg_with(b"\xe1", exif(6)[:30]), GOOD),
    Case("exif_loop.jpg", jpeg_with(b"\xe1", EXIF_LOOP), GOOD),
    Case("exif_long.png", png(WIDTH, HEIGHT, chunk(b"eXIf", EXIF_LOOP[6:] + bytes(200_000))), GOOD),
    Case("profile_of_noise.jpg", encoded("JPEG", icc_profile=np.random.default_rng(2).bytes(70_000)), GOOD),
    Case("profile_of_noise.png", encoded("PNG", icc_profile=b"no profile"), GOOD),
    Case("profile_second_half.jpg", jpeg_with(b"\xe2", b"ICC_PROFILE\0\2\2" + bytes(100)), GOOD),
    Case("no_resolution.png", png(WIDTH, HEIGHT, chunk(b"pHYs", bytes(9))), GOOD),
    Case("million_dpi.png", encoded("PNG", dpi=(10**6, 10**6)), GOOD),
    # Two formats in one file
    Case("with_archive.jpg", JPEG + b"PK\3\4" + bytes(300) + b"PK\5\6" + bytes(18), GOOD),
    Case("with_page.png", PNG + b"<script>alert(1)</script>", GOOD),
    Case("with_photo.jpg", JPEG + JPEG, GOOD),
    Case("behind_a_document.jpg", b"%PDF-1.4\n" + JPEG, NONE),
    # Nothing to restore, or nothing that a fit could take hold of
    *[Case(f"all_{value}.png", encoded("PNG", np.full_like(PIXELS, value)), GOOD) for value in (0, 128, 255)],
    Case("one_bright_pixel.png", encoded("PNG", np.where((x == 5) & (y == 7), 255, 0).astype(np.uint8)), GOOD),
    Case("checkerboard.png", encoded("PNG", ((x + y) % 2 * 255).astype(np.uint8)), GOOD),
    Case("noise.png", encoded("PNG", np.random.default_rng(3).integers(0, 256, PIXELS.shape, np.uint8)), GOOD),
    # No regular files
    Case("folder.png", Path.mkdir, "a folder"),
    Case("pipe.png", os.mkfifo, "not a regular file"),
    Case("socket.png", bound, "not a regular file"),
    Case("device.png", lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    Case("private.png", private, GOOD if os.geteuid() == 0 else "no permission"),
    Case("loop.png", lambda path: path.symlink_to(path.name), "cannot be reached"),
    Case("dangling.png", lambda path: path.symlink_to("gone.png"), "a link to 'gone.png', which does not exist"),
    Case("absent.png", lambda path: None, "does not exist"),
    Case("up/absent_too.png", lambda path: path.parent.symlink_to(".", target_is_directory=True), "does not exist"),
]
# fmt: on


def write(folder: Path) -> None:
    """The corpus, and a list of it: a search for images would pass some by."""
    folder.mkdir()
    for case in CASES:
        if isinstance(case.content, bytes):
            (folder / case.name).write_bytes(case.content)
        else:
            case.content(folder / case.name)
    (folder / "list.txt").write_text("".join(f"{case.name}\n" for case in CASES))
