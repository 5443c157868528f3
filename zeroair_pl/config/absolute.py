"""Makes the paths in settings absolute for ``config.yaml``, so that a run can be repeated from any working folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zeroair_pl.paths import at_home
from zeroair_pl.photos.marked import is_mark
from zeroair_pl.plugins import PACKAGE
from zeroair_pl.resources import shipped

FILES = ("images", "out", "missing", "kernel", "mask", "plugins")  # settings of a run that name files or folders
INNER = ("default_root_dir", "save_dir", "photos")  # such options of classes; the kernel of a blur is another thing


def with_absolute_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a run with absolute paths, and with the folders of the plugins whose classes they name.

    The settings in ``FILES`` and the options in ``INNER`` are paths. Any other text counts as one if it has a slash or
    its key is ``path`` (as that of a prior), and if such a file or folder exists; of a prior ``file.py:name`` the file.
    Links are not followed.
    """
    found = {key: _absolute(key, value, FILES) for key, value in settings.items()}
    folders = found.get("plugins") or []
    folders = [folders] if isinstance(folders, str) else folders
    if own := [folder for folder in _folders_of_plugins(settings) if folder not in folders]:
        found["plugins"] = [*folders, *own]
    return found


def _absolute(key: str, value: Any, files: tuple[str, ...] = INNER) -> Any:
    if isinstance(value, Mapping):
        return {name: _absolute(name, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_absolute(key, item, files) for item in value]
    if not isinstance(value, str) or not value or "://" in value:
        return value
    if key == "missing" and files is FILES and is_mark(value):
        return value
    file, _, function = value.rpartition(":")
    if key == "path" and file.endswith(".py") and os.path.lexists(at_home(file)):  # a function as the prior
        return f"{os.path.join(os.getcwd(), at_home(file))}:{function}"
    if key in files or _is_path(key, value):
        return os.path.join(os.getcwd(), at_home(value))
    return value


def _is_path(key: str, value: str) -> bool:
    from zeroair_pl.priors.hub.locating import bundled_priors

    if key == "path" and value in bundled_priors():
        return False
    return (key == "path" or "/" in value or os.sep in value) and os.path.lexists(at_home(value))


def _folders_of_plugins(settings: Mapping[str, Any]) -> list[str]:
    """Folders of the plugin files that define a class named in the settings, without the folder in the package."""
    names, folders = set(_names(settings)), []
    for module, loaded in sys.modules.copy().items():  # another thread may import something meanwhile
        file = getattr(loaded, "__file__", None)
        if module.startswith(f"{PACKAGE}.") and file and names & set(vars(loaded)):
            folders.append(str(Path(file).parent))
    own = os.path.realpath(shipped("plugins"))
    return [folder for folder in sorted(set(folders)) if os.path.realpath(folder) != own]


def _names(settings: Any) -> Iterator[str]:
    """All texts that may name a class."""
    if isinstance(settings, Mapping):
        for value in settings.values():
            yield from _names(value)
    elif isinstance(settings, list):
        for item in settings:
            yield from _names(item)
    elif isinstance(settings, str):
        yield settings.rpartition(".")[2]
