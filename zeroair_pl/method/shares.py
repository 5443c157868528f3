"""A strength for each kind: how far each degradation of a photo, and its noise, is removed, after the fit.

A fit says that y = φₖ(… φ₁(x)) + n. Let u₀ = x, and let uᵢ = φᵢ(uᵢ₋₁) be the photo after the i-th degradation, so that
uₖ is the photo without its noise. Then

    v = y + s·(uₖ − y)                       the noise, with its own strength s
    v ← v + sᵢ·(uᵢ₋₁ + aᵢ·(v − uᵢ) − v)      for i = k, …, 1

aᵢ is the local slope of uᵢ₋₁ as a function of uᵢ in each window, by least squares: what is left of the noise, and of
later degradations, is amplified as the inverse of φᵢ amplifies it. So with s = 0 and sᵢ = 1, a dark photo becomes
bright, and keeps its grain. With all strengths 1 the result is x, with all 0 it is y.

A chain gives all uᵢ. For a single degradation, u₁ is the part of y that is linear in x in each window; see
``blending``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations.base import Degradation
from zeroair_pl.method.blending import BAND, RADIUS, explained, mixed, window_mean
from zeroair_pl.photos.masking import view_of, weight_of_size, weights
from zeroair_pl.photos.photo import Photo
from zeroair_pl.photos.reading import decode_photo
from zeroair_pl.photos.sizes import as_large_as
from zeroair_pl.photos.writing import encode_photo

NOISE = "Noise"
Strength = float | dict[str, float]
"""A share of the correction, 0 to 1: one number, or one for each kind by its class; a kind without one has 1."""

FLAT = 1e-5  # variance below which a window says little about its slope, and that of the whole image counts
STEEPEST = 20.0  # the largest slope


def kinds_in(kind: str) -> list[str]:
    """The kinds of a photo that have a strength: the links in ``"Haze + Blur"``, and the noise."""
    return list(dict.fromkeys([*filter(None, kind.split(" + ")), NOISE]))


def strength_for(strength: Strength, kind: str) -> Strength:
    """The strength for one photo: a number where that says it, else a number for each of its kinds.

    Args:
        strength: for any photo.
        kind: the kind of this photo, such as ``"Haze + Blur"``.
    """
    if not isinstance(strength, dict):
        return strength
    own = {name: strength.get(name, 1.0) for name in kinds_in(kind)}
    return next(iter(own.values())) if set(own.values()) in ({0.0}, {1.0}) else own


def strength_in_words(strength: Strength) -> str:
    """``0.6``, or ``Haze=0.6,Noise=0``, as ``--strength`` takes it."""
    if isinstance(strength, dict):
        return ",".join(f"{name}={value:g}" for name, value in strength.items())
    return f"{strength:g}"


def steps_of(phi: Degradation, restored: Tensor, photo: Photo) -> list[Tensor]:
    """u₁ … uₖ of a chain or a mixture, (3, H, W) in [0, 1] each; empty for a single degradation.

    Args:
        phi: the fitted degradation.
        restored: x, (3, H, W).
        photo: y. If only a part of it was fitted, the rest stays as it is; see ``masking``.
    """
    links = list(_links(phi))
    if len(links) < 2:
        return []
    image, view = restored[None], view_of(photo)
    if view is not None:
        times = restored.shape[-2] // view.whole.size[0]
        rows, columns = (slice(times * each.start, times * each.stop) for each in (view.rows, view.columns))
        image = image[..., rows, columns]
    size = (photo if view is None else view.photo).size
    scale = image.shape[-2] / size[0]
    with torch.no_grad():  # x has a border, which the result is without, where a link reaches beyond the photo
        height, width = phi.shape(image.new_empty(1, 3, *size))
        image = _centered(image, height, width)
        found = []
        for link in links:
            image, scale = link(image).clamp(0, 1), scale / link.factor
            inner = _centered(image, round(scale * size[0]), round(scale * size[1]))
            whole = inner if view is None or scale != round(scale) else view.over(inner)
            found.append(whole[0])
    return found


def _centered(image: Tensor, height: int, width: int) -> Tensor:
    """The middle of an image, (1, 3, H, W); its edges are repeated where it is smaller."""
    down, across = (height - image.shape[-2]) // 2, (width - image.shape[-1]) // 2
    return F.pad(image, (across, width - image.shape[-1] - across, down, height - image.shape[-2] - down), "replicate")


def _links(phi: Degradation) -> Iterator[Degradation]:
    links: Sequence[Degradation] | None = getattr(phi, "links", None)  # of ``Chain`` and ``Auto``
    if links is None:
        yield phi
    for link in links or ():
        yield from _links(link)


def mixed_for(
    photo: Tensor,
    restored: Tensor,
    strength: Strength,
    kind: str,
    steps: Sequence[Tensor] = (),
    weight: Tensor | None = None,
) -> Tensor:
    """The photo with a share of its correction, or of each correction, (3, H, W) in [0, 1].

    Args:
        photo, restored, weight: those of ``blending.mixed``.
        strength: for any photo.
        kind: the kinds of this photo, such as ``"Haze + Blur"``.
        steps: u₁ … uₖ of a chain, of any size.
    """
    strength = strength_for(strength, kind)
    if not isinstance(strength, dict):
        return mixed(photo, restored, strength, weight)
    size = (restored.shape[-2], restored.shape[-1])
    photo = as_large_as(photo, size)
    if not steps:
        steps = [restored - explained(restored - photo, restored)]
    images = [restored, *(as_large_as(step, size) for step in steps)]
    names = kind.split(" + ")
    if len(names) != len(steps):  # a single degradation, or what it is called is not known
        names = [kind] * len(steps)
    value = torch.lerp(photo, images[-1], strength.get(NOISE, 1.0))
    for name, before, after in reversed(list(zip(names, images[:-1], images[1:], strict=True))):
        if name != NOISE:
            undone = before + _slope(before, after) * (value - after)
            value = torch.lerp(value, undone, strength.get(name, 1.0))
    value = value.clamp(0, 1)
    if weight is not None:
        value = torch.where(weight_of_size(weight, size) > 0, value, photo)
    return value


def _slope(before: Tensor, after: Tensor) -> Tensor:
    """The local slope of ``before`` as a function of ``after``, (3, H, W) each, from 0 to ``STEEPEST``."""
    b, a = (np.ascontiguousarray(each.permute(1, 2, 0).numpy()) for each in (before, after))
    everywhere = ((a - a.mean((0, 1))) * (b - b.mean((0, 1)))).mean((0, 1)) / (a.var((0, 1)) + FLAT)
    found = np.empty_like(a)
    mean = window_mean(after.shape[-2], after.shape[-1])
    for top in range(0, len(a), BAND):
        first, bottom = max(0, top - RADIUS), min(top + BAND, len(a))
        near = slice(first, min(bottom + RADIUS, len(a)))
        m, n = mean(a[near]), mean(b[near])
        covariance, variance = mean(a[near] * b[near]) - m * n, mean(a[near] * a[near]) - m * m
        slope = (covariance + FLAT * everywhere) / (variance + FLAT)
        found[top:bottom] = slope[top - first : bottom - first]
    return torch.from_numpy(found.clip(0, STEEPEST)).permute(2, 0, 1)


def share_of(
    path: str | Path,
    full: bytes,
    photo: Photo,
    strength: Strength,
    own: bytes | None = None,
    kind: str = "",
    steps: Sequence[bytes] = (),
) -> bytes:
    """The bytes of a file with a share of the correction, computed from the file with the full correction.

    It uses the values in that file rather than those of the fit, so that a later change of the strength, when only the
    file is left, gives the same bytes.

    Args:
        path: of the file; its suffix states the format.
        full: the bytes of the file with the full correction.
        photo: the photo.
        strength: s, or one for each kind.
        own: the bytes of the photo's own file, if they may be copied. They are the result at strength 0, if the
            restoration has the size of the photo.
        kind: the kinds of the photo.
        steps: u₁ … uₖ of a chain, as files of the same format.
    """
    strength = strength_for(strength, kind)
    if strength == 1:
        return full
    restored, weight = decode_photo(full, Path(path)), weights(photo)
    if strength == 0 and own is not None and restored.size == photo.size:
        return own
    images = [_scaled(decode_photo(step, Path(path)), photo) for step in steps if isinstance(strength, dict)]
    return encode_photo(path, mixed_for(photo.pixels, _scaled(restored, photo), strength, kind, images, weight), photo)


def file_of(
    path: str | Path,
    restored: Tensor,
    photo: Photo,
    strength: Strength,
    own: bytes | None = None,
    kind: str = "",
    steps: Sequence[Tensor] = (),
    unchanged: bool = False,
) -> bytes:
    """The bytes of a file with a share of the correction, computed from the fit's results.

    Args:
        restored: x, (3, H, W).
        steps: u₁ … uₖ of a chain, (3, H, W) each.
        unchanged: the photo stays as it is: its file is ``own``, if that may be copied.
        path, photo, strength, own, kind: those of ``share_of``, which it agrees with.
    """
    if unchanged:
        return own or encode_photo(path, restored, photo)
    by_kind = isinstance(strength_for(strength, kind), dict)
    files = [encode_photo(path, step, photo) for step in steps if by_kind]
    return share_of(path, encode_photo(path, restored, photo), photo, strength, own, kind, files)


def _scaled(restored: Photo, photo: Photo) -> Tensor:
    """The pixels of ``restored`` in units of the white level of ``photo``."""
    if restored.white == photo.white:
        return restored.pixels
    return (restored.pixels * (_top(restored) / _top(photo))).clamp(0, 1)


def _top(photo: Photo) -> float:
    """The sample value that corresponds to 1."""
    kind = np.dtype(photo.dtype)
    return photo.white or (float(np.iinfo(kind).max) if kind.kind == "u" else 1.0)
