"""Scores of images and of sets of images, for ``evaluate`` and the benchmarks.

An image has one score for each metric. A set of results has, for each metric, the mean and the spread over its images,
and the spread over the seeds if each image was restored with several.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from zeroair_pl.errors import InputError
from zeroair_pl.scores import metrics

DEGRADED = "degraded"  # the set of the degraded photos


@dataclass(frozen=True)
class Metric:
    """What a score means.

    Attributes:
        title: the heading of its column.
        meaning: one line.
        better: which values are better, ``higher`` or ``lower``; empty for neither.
        digits: after the decimal point, in tables.
    """

    title: str
    meaning: str
    better: str
    digits: int


METRICS = {
    "psnr": Metric("PSNR", "peak signal-to-noise ratio in dB, 8-bit RGB (the paper's)", "higher", 2),
    "gain": Metric("gain", "PSNR minus that of the degraded image, in dB", "higher", 2),
    "ssim": Metric("SSIM", "structural similarity of the luma, 8 bit, valid window (the paper's)", "higher", 4),
    "ssim_rgb": Metric("SSIM RGB", "structural similarity, mean over R, G and B of the whole image", "higher", 4),
    "lpips": Metric("LPIPS", "learned perceptual distance, AlexNet, version 0.1", "lower", 4),
    "noise": Metric("noise", "without reference: noise and fine texture in units of 1/255 (Immerkær 1996)", "", 2),
    "blur": Metric("blur", "without reference: 0 sharp or noisy, 1 blurred (Crete et al. 2007)", "", 3),
    "seconds": Metric("seconds", "of the fit", "lower", 2),
    "nfe": Metric("NFE", "images that the prior was shown", "lower", 1),
}


@dataclass(frozen=True)
class Scored:
    """The scores of one image in one set of results.

    Attributes:
        result: name of the set, such as ``restored`` or ``degraded``.
        name: of the image; the same in all sets.
        scores: by metric, those of ``METRICS`` that are known.
        seed: of the restoration, if known.
    """

    result: str
    name: str
    scores: dict[str, float]
    seed: int | None = None


@dataclass(frozen=True)
class Summary:
    """One metric over one set of results. An image counts with its mean over the seeds.

    Attributes:
        images: how many have the score.
        mean: over the images.
        spread: sample standard deviation over the images; None for a single image.
        seed_spread: sample standard deviation over the seeds of one image, averaged over the images; None if no image
            has several seeds.
    """

    images: int
    mean: float
    spread: float | None
    seed_spread: float | None


def score(image: Tensor, reference: Tensor | None = None, degraded: Tensor | None = None) -> dict[str, float]:
    """All scores of one image, (3, H, W) in [0, 1], by the names in ``METRICS``.

    Without a reference there are only ``noise`` and ``blur``. ``gain`` also needs the degraded image, ``lpips`` the
    weights of its network (``metrics.lpips_weights``) and sides of 32 px. Only scores see a reference, never a
    restoration.

    Raises:
        InputError: the sizes differ.
        ConfigError: the weights for LPIPS exist, but cannot be read.
    """
    x = image[None]
    found = {}
    if reference is not None:
        y = reference[None]
        found["psnr"] = float(metrics.psnr(x, y))
        if degraded is not None:
            found["gain"] = found["psnr"] - float(metrics.psnr(degraded[None], y))
        found["ssim"] = float(metrics.ssim_paper(x, y))
        found["ssim_rgb"] = float(metrics.ssim(x, y))
        if min(image.shape[-2:]) >= metrics.LPIPS_SIDE and metrics.lpips_weights().is_file():
            found["lpips"] = float(metrics.lpips(x, y))
    elif degraded is not None and degraded.shape != image.shape:
        raise InputError(f"the image is {_size(image)}, the degraded one {_size(degraded)}")
    return found | {"noise": float(metrics.noise(x)), "blur": float(metrics.blur(x))}


def over_seeds(scored: Iterable[Scored], result: str, metric: str) -> dict[str, list[float]]:
    """The scores in one metric and one set, by image: one for each seed, in the given order."""
    found: dict[str, list[float]] = {}
    for each in scored:
        if each.result == result and metric in each.scores:
            found.setdefault(each.name, []).append(each.scores[metric])
    return found


def summarize(scored: Sequence[Scored]) -> dict[str, dict[str, Summary]]:
    """The summaries by set of results and by metric; a metric that no image of the set has is left out."""
    found: dict[str, dict[str, Summary]] = {}
    for result in dict.fromkeys(each.result for each in scored):
        by_metric = {metric: over_seeds(scored, result, metric) for metric in METRICS}
        found[result] = {metric: _summary(values) for metric, values in by_metric.items() if values}
    return found


def worst(scored: Sequence[Scored], result: str, count: int = 3) -> list[tuple[str, str, float]]:
    """The images of a set with the worst scores: (name, metric, mean over seeds), the worst first.

    The metric is the gain if it is known, else PSNR; without either, the list is empty.
    """
    for metric in ("gain", "psnr"):
        values = {name: statistics.fmean(each) for name, each in over_seeds(scored, result, metric).items()}
        if values:
            return [(name, metric, values[name]) for name in sorted(values, key=lambda name: values[name])[:count]]
    return []


def _summary(values: dict[str, list[float]]) -> Summary:
    means = [statistics.fmean(each) for each in values.values()]
    spreads = [statistics.stdev(each) for each in values.values() if len(each) > 1]
    return Summary(
        len(means),
        statistics.fmean(means),
        statistics.stdev(means) if len(means) > 1 else None,
        statistics.fmean(spreads) if spreads else None,
    )


def _size(image: Tensor) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]} px"
