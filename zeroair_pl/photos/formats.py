"""Which kinds of files are read, by their suffixes."""

from __future__ import annotations

# The first suffix of a format is the one a file gets whose own suffix is none of them.
SUFFIXES: dict[str, tuple[str, ...]] = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
}
_READ_ONLY = (".avif",)  # written in another format, see ``heif``
SUPPORTED = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes) | {*_READ_ONLY}
