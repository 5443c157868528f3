"""The suffixes of files that can be read, and what a search says about other files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

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

# By extra: the module that it installs, and the suffixes of what that reads.
EXTRAS: dict[str, tuple[str, tuple[str, ...]]] = {
    "raw": (
        "rawpy",
        (".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef", ".mos",
         ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    ),
    "heic": ("pi_heif", (".heic", ".heif", ".hif")),
    "jxl": ("pillow_jxl", (".jxl",)),
}  # fmt: skip
_OTHERS = {
    "a picture, but of a kind that is not read": (
        ".exr", ".gif", ".hdr", ".ico", ".j2k", ".jp2", ".jxr", ".pbm", ".pgm", ".pnm", ".ppm", ".psb", ".psd", ".svg",
        ".tga", ".xcf",
    ),
    "a video": (".3gp", ".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mts", ".webm", ".wmv"),
}  # fmt: skip


def installed(extra: str) -> bool:
    """Whether the module of an extra can be imported."""
    try:
        return find_spec(EXTRAS[extra][0]) is not None
    except ValueError:  # as for a module that was removed
        return False


def how_to_install(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install 'zeroair-pl[{extra}]'"


@lru_cache(maxsize=1)
def searched() -> frozenset[str]:
    """The suffixes of what can be read here."""
    return SUPPORTED | {suffix for extra, (_, suffixes) in EXTRAS.items() if installed(extra) for suffix in suffixes}


_WHY = {suffix: reason for reason, suffixes in _OTHERS.items() for suffix in suffixes}
_WHY |= {suffix: how_to_install(extra) for extra, (_, suffixes) in EXTRAS.items() for suffix in suffixes}


def is_image(name: str) -> bool:
    """Whether a search takes a file of that name."""
    return not name.startswith(".") and Path(name).suffix.lower() in searched()


def is_passed_by(name: str) -> bool:
    """Whether a file of that name is a picture or video that cannot be read; searches mention such files."""
    return not name.startswith(".") and Path(name).suffix.lower() in _WHY


def left_out(names: Iterable[str]) -> str:
    """One line on what a search has left out: ``"3 files are left out: 2 .nef (pip install …), 1 .mov (a video)"``."""
    counts = Counter(Path(name).suffix.lower() for name in names)
    total = sum(counts.values())
    parts = ", ".join(f"{count} {suffix} ({_WHY[suffix]})" for suffix, count in sorted(counts.items()))
    return f"{total} file{'s are' if total > 1 else ' is'} left out: {parts}"
