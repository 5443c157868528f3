"""From what ``prior.path`` says to a denoiser of another make, where it says one."""

from __future__ import annotations

from zeroair_pl.paths import at_home
from zeroair_pl.priors.denoisers.base import Denoiser
from zeroair_pl.priors.denoisers.functions import from_function, names_function
from zeroair_pl.priors.hub.locating import bundled_priors


def is_denoiser(path: str) -> bool:
    """Whether ``path`` names something else than a folder, a name or a hub id of a variance-preserving model."""
    if path in bundled_priors():
        return False
    place = at_home(path)
    if place.is_dir():
        from zeroair_pl.priors.denoisers.folders import kind_of

        return bool(kind_of(place))
    return place.is_file() or names_function(path)


def find_denoiser(path: str) -> Denoiser:
    """The denoiser that ``path`` names, for which ``is_denoiser`` holds.

    Raises:
        ConfigError: it cannot be used; the message says what is missing.
    """
    place = at_home(path)
    if place.is_dir():
        from zeroair_pl.priors.denoisers.folders import from_folder

        return from_folder(place)
    if place.is_file():
        from zeroair_pl.priors.denoisers.files import from_file

        return from_file(place)
    return from_function(path)
