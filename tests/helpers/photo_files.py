"""Photo files for the tests: contents, metadata, and writers that share no code with the package."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms

from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.source import Source
from zeroair_pl.photos.writing import output_path, save_photo

HEIGHT, WIDTH = 18, 27
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION, EXIF_IFD, EXPOSURE, MAKER = 0x0112, 0x8769, 0x829A, 0x010F
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}
LOSSLESS = {"PNG": ".png", "TIFF": ".tif", "BMP": ".bmp", "WEBP": ".webp"}


def noise(channels: int, dtype: str = "uint8") -> np.ndarray:
    """Random samples, the hardest content to keep by chance: (H, W) or (H, W, channels)."""
    top = np.iinfo(dtype).max if dtype.startswith("u") else 1
    values = np.random.default_rng(channels).random((HEIGHT, WIDTH, channels)) * top
    return values.astype(dtype)[..., 0] if channels == 1 else values.astype(dtype)


def smooth(channels: int) -> np.ndarray:
    """8-bit waves, which lossy formats keep nearly: (H, W) or (H, W, channels)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [127 + 90 * np.sin(x / (9 + c) + y / (7 + c)) for c in range(channels)]
    return np.squeeze(np.stack(waves, -1).astype(np.uint8))


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[ORIENTATION], block[MAKER] = orientation, "Maker"
    block.get_ifd(EXIF_IFD)[EXPOSURE] = (1, 50)
    return block.tobytes()


def round_trip(path: Path) -> Path:
    photo = load_photo(path)
    target = output_path(path.parent / "out", Source(path, path.stem), photo)
    save_photo(target, photo.pixels, photo)
    assert [file.name for file in target.parent.iterdir()] == [target.name]
    return target


def make_png(array: np.ndarray, exif_block: bytes) -> bytes:
    """A 16-bit PNG without row filters, written independently of the code under test."""
    height, width, channels = np.atleast_3d(array).shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    profile = b"p\0\0" + zlib.compress(SRGB)
    for kind, body in (
        (b"IHDR", header),
        (b"iCCP", profile),
        (b"eXIf", exif_block[6:]),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ):
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out


def write_tiff(path: Path, array: np.ndarray, orientation: int = 1, **options: Any) -> None:
    tags = [(274, "H", 1, orientation, True), (271, "s", 6, "Maker", True)]
    channels = array.shape[2] if array.ndim == 3 else 1
    options = {"photometric": "rgb" if channels > 2 else "minisblack", "iccprofile": SRGB, "metadata": None, **options}
    if channels in (2, 4):
        options = {"planarconfig": "contig", "extrasamples": ["unassalpha"], **options}
    tifffile.imwrite(path, array, extratags=tags, **options)


def ink_profile() -> bytes:
    """A small CMYK profile (ICC.1:2001, lut8 tables, Lab) of inks that print at three quarters of their strength."""
    lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    rgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")

    def convert(transform: Any, mode: str, table: np.ndarray) -> np.ndarray:
        return np.asarray(transform.apply(Image.fromarray(table[None].astype(np.uint8), mode)))[0]

    def lut8(inputs: int, outputs: int, grid: int, table: np.ndarray) -> bytes:
        curve = bytes(range(256))
        matrix = struct.pack(">9i", *(65536 * np.eye(3, dtype=int)).ravel())
        return (
            b"mft1"
            + struct.pack(">IBBBB", 0, inputs, outputs, grid, 0)
            + matrix
            + curve * inputs
            + table.tobytes()
            + curve * outputs
        )

    cmyk = np.stack(np.meshgrid(*[np.linspace(0, 1, 5)] * 4, indexing="ij"), -1).reshape(-1, 4)
    printed = 255 * (1 - 0.75 * cmyk[:, :3]) * (1 - 0.75 * cmyk[:, 3:])
    a2b = convert(lab, "RGB", printed.round()) ^ np.array([0, 128, 128], np.uint8)  # Pillow's a and b are signed
    grid = np.stack(np.meshgrid(*[np.linspace(0, 255, 33).round()] * 3, indexing="ij"), -1).reshape(-1, 3)
    wanted = convert(rgb, "LAB", grid.astype(np.uint8) ^ np.array([0, 128, 128], np.uint8)) / 255
    b2a = np.zeros((len(grid), 4), np.uint8)
    b2a[:, :3] = (np.clip((1 - wanted) / 0.75, 0, 1) * 255).round()
    text = b"ink"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(1 + 8 + 3 + 67),
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061),
        b"A2B0": lut8(4, 3, 5, a2b),
        b"B2A0": lut8(3, 4, 33, b2a),
    }
    offset, directory, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        directory += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    header = b"lcms\x02\x10\0\0prtrCMYKLab " + bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    header += bytes(128 - 4 - len(header))
    return struct.pack(">I", offset + len(body)) + header + directory + body
