"""Files that need an extra to be read, and what a search says of files that cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

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
    return f"pip install 'zeroair-pl[{extra}]'"


def suffixes_of_installed() -> frozenset[str]:
    """What the extras that are there read beside ``formats.SUPPORTED``."""
    return frozenset(suffix for extra, (_, suffixes) in EXTRAS.items() if installed(extra) for suffix in suffixes)


def is_known(name: str) -> bool:
    """Whether a file's suffix is that of a picture or a video, of any kind."""
    return Path(name).suffix.lower() in _why()


def left_out(names: Iterable[str]) -> str:
    """One line on what a search skipped: ``"3 files are left out: 2 .nef (pip install …), 1 .mov (a video)"``."""
    counts, why = Counter(Path(name).suffix.lower() for name in names), _why()
    total = sum(counts.values())
    parts = ", ".join(f"{count} {suffix} ({why[suffix]})" for suffix, count in sorted(counts.items()))
    return f"{total} file{'s are' if total > 1 else ' is'} left out: {parts}"


def _why() -> dict[str, str]:
    why = {suffix: reason for reason, suffixes in _OTHERS.items() for suffix in suffixes}
    return why | {suffix: how_to_install(extra) for extra, (_, suffixes) in EXTRAS.items() for suffix in suffixes}
