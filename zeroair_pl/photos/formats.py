"""Which kinds of files are read, by their suffixes."""

from __future__ import annotations

# A file whose own suffix is not one of its format's gets the first one.
SUFFIXES: dict[str, tuple[str, ...]] = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
}
_READ_ONLY = (".avif",)  # written in another format, see ``heif``
SUPPORTED = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes) | {*_READ_ONLY}
