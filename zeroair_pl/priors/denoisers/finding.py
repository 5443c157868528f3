"""Finds the denoiser that ``prior.path`` names, if it does not name a prior with a VP schedule."""

from __future__ import annotations

from zeroair_pl.paths import at_home
from zeroair_pl.priors.denoisers.base import Denoiser
from zeroair_pl.priors.denoisers.functions import from_function, names_function
from zeroair_pl.priors.hub.locating import bundled_priors


def is_denoiser(path: str) -> bool:
    """Whether ``path`` names a denoiser other than a folder, a name or a hub id of a variance-preserving model."""
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
        ConfigError: the denoiser cannot be used; the message states what is missing.
    """
    place = at_home(path)
    if place.is_dir():
        from zeroair_pl.priors.denoisers.folders import from_folder

        return from_folder(place)
    if place.is_file():
        from zeroair_pl.priors.denoisers.files import from_file

        return from_file(place)
    return from_function(path)
