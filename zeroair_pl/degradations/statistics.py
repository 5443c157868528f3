"""Statistics that describe how a photo looks, computed from its thumbnail (``picture.looked_at``).

All of them are smooth functions of the photo, or quantiles and correlations of many values, so that a small change of
the photo changes them little. Names have the form ``what_where``; an ending of digits is a percentile.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 0.06  # side of the window around a pixel, as a share of the photo's short side
BLOCKS = 5  # along each side
CELLS, BANDS = 12, 10  # blocks along each side, and bands of rows, for how the darkest values change
TEXTURE = 0.03  # standard deviation of the brightness around a pixel, above which it counts as texture
LIFTED = 0.15  # in photos without a veil, the first percentile of the darkest channel is hardly ever above this
_LUMINANCE = (0.299, 0.587, 0.114)


def statistics(small: Tensor) -> dict[str, float]:
    """The statistics of a thumbnail (1, 3, h, w) in [0, 1]. Each family asks for them, so the last ones are kept."""
    global _last
    asked, last = (small.stride(), small.numpy().tobytes()), _last
    if last[0] != asked:
        last = _last = asked, _statistics(small)
    return dict(last[1])  # not of _last, which another thread may have replaced by those of its photo


_last: tuple[object, dict[str, float]] = None, {}


def _statistics(small: Tensor) -> dict[str, float]:
    red, green, blue = small[0]
    luminance = (small[0] * small.new_tensor(_LUMINANCE)[:, None, None]).sum(0)
    low, high = small[0].amin(0), small[0].amax(0)
    side = max(3, int(WINDOW * min(luminance.shape)) // 2 * 2 + 1)
    dark = -_largest(-low, side)
    mean = _mean(luminance, side)
    contrast = (_mean(luminance.square(), side) - mean.square()).clamp(min=0).sqrt()
    relative = contrast / (mean + 0.05)
    saturation = (high - low) / high.clamp(min=0.05)
    cold = torch.maximum(green, blue)
    maps = {
        "luminance": luminance, "low": low, "dark": dark, "contrast": contrast, "relative": relative,
        "saturation": saturation, "warm": red - torch.minimum(green, blue), "red": red / cold.clamp(min=0.05),
        "cold": cold,
    }  # fmt: skip
    found = {}
    for name, percents in _PERCENTILES.items():
        for percent, value in zip(percents, _quantiles(maps[name], percents), strict=True):
            found[f"{name}_{percent:02d}"] = value
    found |= _by_height(maps) | _by_block(luminance, low, high) | _of_colors(small[0], maps)
    found |= _by_veil(maps, high) | _of_depth(low, luminance)
    for other in ("luminance", "saturation"):
        found[f"dark_with_{other}"] = _correlation(dark, maps[other])
    found["dark_textured_10"] = _quantiles(dark[_textured(contrast)], (10,))[0]
    lifted = F.softplus((small.new_tensor(found.pop("low_01")) - LIFTED) / 0.03)  # no channel is black
    found["lifted_range"] = float(lifted) * (found["luminance_99"] - found["luminance_01"])
    spread = luminance.std(correction=0).clamp(min=1e-3)
    found["skew"] = float((luminance - luminance.mean()).pow(3).mean() / spread.pow(3))
    found["bright_95"], found["bright_999"] = (float(high.flatten().quantile(q)) for q in (0.95, 0.999))
    found["white"], found["in_shadow"] = _share(high, 0.97, 0.01), _share(-mean, -0.15, 0.02)
    return found


_PERCENTILES = {
    "luminance": (1, 75, 99), "low": (1,), "contrast": (25, 50, 99), "relative": (25, 75), "warm": (5,), "red": (50,),
    "cold": (1, 99),
}  # fmt: skip


def _by_height(maps: dict[str, Tensor]) -> dict[str, float]:
    """Statistics of the upper, middle and lower third, and correlations of maps with the height in the photo."""
    rows, columns = maps["dark"].shape
    height = torch.linspace(1, 0, rows)[:, None].expand(rows, columns)
    found = {f"{name}_upwards": _correlation(maps[name], height) for name in _UPWARDS}
    for where, third in zip(("top", "middle", "bottom"), torch.arange(rows).chunk(3), strict=True):
        found[f"darkest_{where}"] = float(maps["luminance"][third].amin(1).mean())
        found[f"dark_{where}"] = _quantiles(maps["dark"][third], (25,))[0]
    found["lights_top"] = _quantiles(maps["luminance"][: -(-rows // 3)], (90,))[0]
    return found


_UPWARDS = ("dark", "contrast")


def _by_block(luminance: Tensor, low: Tensor, high: Tensor) -> dict[str, float]:
    """Statistics of 5×5 blocks: the range of brightness in each, and its darkest value divided by its brightest."""
    shades, veils = torch.zeros(BLOCKS, BLOCKS), torch.zeros(BLOCKS, BLOCKS)
    for i, rows in enumerate(torch.arange(low.shape[0]).tensor_split(BLOCKS)):
        for j, columns in enumerate(torch.arange(low.shape[1]).tensor_split(BLOCKS)):
            here = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
            least, most = _quantiles(luminance[here], (3, 97))
            shades[i, j] = most - least
            veils[i, j] = _quantiles(low[here], (3,))[0] / (_quantiles(high[here], (97,))[0] + 0.05)
    return {"range_25": _quantiles(shades, (25,))[0], "veil_middle": float(veils[1:4].mean())}


def _by_veil(maps: dict[str, Tensor], high: Tensor) -> dict[str, float]:
    """Statistics of the parts where the dark channel is a fifth, two and three fifths of the lights.

    Haze takes color and contrast in proportion to its dark channel; a bright wall has a dark channel, too, but keeps
    its contrast. Where a photo has few pixels of such a kind, the value approaches the usual one.
    """
    veil = maps["dark"] / _quantiles(high, (99,))[0] if float(high.max()) > 0 else maps["dark"]
    found = {}
    for name, of, q, (least, most), usual in _VEILED:
        weights = torch.sigmoid((veil - least) / 0.02) * torch.sigmoid((most - veil) / 0.02)
        share = float(weights.mean())
        trust = share / (share + 0.005)
        found[name] = trust * _weighted_quantile(maps[of], weights, q) + (1 - trust) * usual
    found["veiled"] = share  # of the last of them
    return found


_VEILED = (  # name, map, quantile, interval, and the median of the value in ordinary photos
    ("saturation_near", "saturation", 0.5, (-1.0, 0.2), 0.39),
    ("saturation_beyond", "saturation", 0.5, (0.2, 0.4), 0.29),
    ("contrast_beyond", "contrast", 0.9, (0.4, 0.6), 0.10),
)


def _of_depth(low: Tensor, luminance: Tensor) -> dict[str, float]:
    """Statistics of how the darkest values change over the photo: with the depth in haze, with objects without it."""
    bands = torch.stack([band.flatten().quantile(0.05) for band in low.tensor_split(min(BANDS, len(low)))])
    dark = -F.adaptive_max_pool2d(-low[None, None], CELLS)[0, 0]
    varies = dark.diff(dim=0).abs().mean() + dark.diff(dim=1).abs().mean()
    soft = _mean(luminance, 3)
    steps = (soft[3:] - soft[:-3])[: len(soft) // 2].abs().amax(1)  # between rows of the upper half
    return {
        "darkest_bands": float(bands.sort().values[-3]),
        "dark_uneven": float(varies / (dark.std() + 0.03)),
        "edges_top": float(steps.median()),
    }


def _weighted_quantile(values: Tensor, weights: Tensor, q: float) -> float:
    """The quantile ``q`` of values with weights."""
    order = values.flatten().argsort()
    total = weights.flatten()[order].cumsum(0)
    place = int(torch.searchsorted(total, q * total[-1]).clamp(max=len(total) - 1))
    return float(values.flatten()[order[place]])


def _of_colors(small: Tensor, maps: dict[str, Tensor]) -> dict[str, float]:
    """Statistics of color: color casts, the color of distant parts, and whether the photo is a toned monochrome one."""
    red, green, blue = small
    means = small.mean((1, 2))
    edges = small.diff(dim=-1).abs().mean((1, 2)) + small.diff(dim=-2).abs().mean((1, 2)) + 1e-3
    top = maps["dark"].flatten().topk(max(1, maps["dark"].numel() // 50)).indices
    far = small.flatten(1)[:, top].mean(1)
    u, v = red - (green + blue) / 2, (green - blue) * 3**0.5 / 2
    strength = (u.square() + v.square()).sqrt().mean() + 1e-2
    return {
        "red_of_mean": float(means[0] / means[1:].max().clamp(min=0.02)),
        "green_of_edges": float((edges[1] - edges[2]) / (edges[1] + edges[2])),
        "far_saturation": float((far.max() - far.min()) / far.max().clamp(min=0.05)),
        "one_hue": float((u.mean().square() + v.mean().square()).sqrt() / strength),
        "blue": float((torch.sigmoid((blue - 1.15 * red) / 0.03) * torch.sigmoid((blue - green) / 0.02)).mean()),
        "blue_top": float((blue - red)[: max(1, len(red) // 3)].mean()),
        "color": float(((red - green).square() + (blue - green).square()).mean().sqrt()),
        "tones": _tones(red - green, blue - green, maps["luminance"]),
    }


def _tones(one: Tensor, other: Tensor, luminance: Tensor, steps: int = 16) -> float:
    """Root-mean-square difference of colors from the mean color of equal brightness; 0 for gray and toned photos."""
    place = (luminance.clamp(0, 1) * (steps - 1)).flatten()
    left = place.floor().clamp(max=steps - 2)
    weights = torch.stack([1 - (place - left), place - left])  # each value counts for the two nearest steps
    index = torch.stack([left, left + 1]).long().flatten()
    total = torch.zeros(steps).index_add_(0, index, weights.flatten()).clamp(min=1e-3)
    power = torch.zeros(())
    for color in (one.flatten(), other.flatten()):
        curve = torch.zeros(steps).index_add_(0, index, (weights * color).flatten()) / total
        power = power + (color - (weights * curve[index.view(2, -1)]).sum(0)).square().mean()
    return float(power.sqrt())


def _textured(contrast: Tensor) -> Tensor:
    """A mask of the parts with texture, without open sky; in a plain photo, the parts with the most texture."""
    mask = contrast > TEXTURE
    return mask if int(mask.sum()) >= 50 else contrast >= _quantiles(contrast, (80,))[0]


def _share(values: Tensor, limit: float, width: float) -> float:
    """The share of values above a limit, with a soft step."""
    return float(torch.sigmoid((values - limit) / width).mean())


def _quantiles(values: Tensor, percents: tuple[int, ...]) -> list[float]:
    return [float(v) for v in values.flatten().quantile(torch.tensor([p / 100 for p in percents]))]


def _correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's correlation of two maps, near 0 if one of them is flat."""
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).mean() / ((a.square().mean() + 1e-5) * (b.square().mean() + 1e-5)).sqrt())


def _mean(x: Tensor, side: int) -> Tensor:
    return F.avg_pool2d(x[None, None], side, 1, side // 2, count_include_pad=False)[0, 0]


def _largest(x: Tensor, side: int) -> Tensor:
    return F.max_pool2d(x[None, None], side, 1, side // 2)[0, 0]
