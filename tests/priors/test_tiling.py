"""Any size through tiles: nothing is lost or doubled, no seam is seen, and no more pixels are held than was said."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.fitting import hazy, matched
from helpers.moments import names, photos
from helpers.networks import prior_folder
from zeroair_pl.degradations import Haze
from zeroair_pl.errors import ConfigError
from zeroair_pl.method.fit import fit
from zeroair_pl.priors import Prior, UNetPrior
from zeroair_pl.priors.tiling import LEAST_PIXELS, Tiling

T = torch.tensor([200.0])


def tiling(tile: int | None = 32, overlap: int | None = None, pixels: int = LEAST_PIXELS, multiple: int = 8) -> Tiling:
    return Tiling(tile, overlap, pixels, multiple)


class Grouped(Tiling):
    """As on a device where some tiles go together."""

    def at_once(self, device: torch.device) -> int:
        return 3


# ---- where tiles lie -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trained", [None, 32])
@pytest.mark.parametrize("overlap", [0, 4, 8, 20, 31])
@pytest.mark.parametrize("length", [1, 7, 31, 32, 33, 40, 41, 63, 64, 65, 200, 1001])
def test_tiles_of_one_size_cover_each_pixel_with_weights_that_sum_to_one(
    length: int, overlap: int, trained: int | None
) -> None:
    total, spans, sizes = torch.zeros(length, dtype=torch.float64), [], set()
    for pixels, weight in Tiling(32, overlap, LEAST_PIXELS, 8, trained).windows(length):
        assert bool((weight > 0).all())
        assert pixels.start % 8 == 0
        total[pixels] += weight
        spans.append(pixels)
        sizes.add(-(-(pixels.stop - pixels.start) // 8) * 8)  # as the network sees it
    torch.testing.assert_close(total, torch.ones_like(total))
    assert (spans[0].start, spans[-1].stop) == (0, length)
    assert all(before.start < after.start <= before.stop - min(overlap, 24) for before, after in pairwise(spans))
    assert len(sizes) == 1
    assert max(sizes) == 32 if trained and length > 24 else max(sizes) <= 32


def test_cost_is_linear_in_pixels_with_the_overlap_as_the_only_surcharge() -> None:
    for length in (897, 1000, 1633, 4000, 20000):
        spans = Tiling(None, None, 2**20, 8).spans(length)
        through_the_network = sum(span.stop - span.start for span in spans)
        assert through_the_network <= length + (len(spans) - 1) * 64 + len(spans) * 8
        assert len(spans) <= 1 + length / 832


@pytest.mark.parametrize("kind", [Tiling, Grouped])
@pytest.mark.parametrize(
    "size", [(32, 32), (33, 32), (31, 33), (16, 100), (1, 500), (97, 64), (65, 131)], ids=lambda s: f"{s[0]}x{s[1]}"
)
def test_a_network_that_changes_nothing_gives_the_image_back(kind: type[Tiling], size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    same, variance = kind(32, 8, LEAST_PIXELS, 8).predict(lambda tile, t: [tile, -2 * tile], x, T.repeat(2))
    torch.testing.assert_close(same, x, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(variance, -2 * x, atol=1e-6, rtol=1e-6)


def test_each_image_keeps_its_timestep_in_any_grouping() -> None:
    x, t = torch.randn(3, 3, 50, 70, generator=torch.Generator().manual_seed(0)), torch.tensor([1.0, 2.0, 3.0])

    def network(tile: Tensor, t: Tensor) -> list[Tensor]:
        return [F.avg_pool2d(tile, 5, 1, 2) * t[:, None, None, None]]

    (alone,) = tiling(overlap=8).predict(network, x, t)
    (grouped,) = Grouped(32, 8, LEAST_PIXELS, 8).predict(network, x, t)
    torch.testing.assert_close(grouped, alone)
    assert torch.equal(tiling(overlap=8).predict(network, x[1:2], t[1:2])[0], alone[1:2])


def test_no_more_pixels_at_once_than_allowed() -> None:
    """On another device than a CPU; ``meta`` computes nothing, and shapes are all that is asked for."""
    seen: list[tuple[int, ...]] = []

    def network(tile: Tensor, t: Tensor) -> list[Tensor]:
        seen.append(tuple(tile.shape))
        return [tile]

    x = torch.empty(2, 3, 300, 500, device="meta")
    (out,) = tiling(32, 8, pixels=5000).predict(network, x, T.repeat(2))
    assert out.shape == x.shape
    assert max(b * h * w for b, _, h, w in seen) <= 5000 < sum(b * h * w for b, _, h, w in seen)
    assert max(b for b, *_ in seen) == 4


# ---- seams -----------------------------------------------------------------------------------------------------------


def small_network(x: Tensor, t: Tensor) -> list[Tensor]:
    """Fully convolutional and smooth, with zero padding, which is what makes a tile's edge differ from its inside."""
    with torch.no_grad():
        for i in range(3):
            x = F.conv2d(x, torch.full((3, 1, 5, 5), 1 / 25), padding=2, groups=3)
            x = x + 0.1 * torch.tanh(x) if i < 2 else x
    return [x]


def smooth(size: int) -> Tensor:
    down, across = torch.meshgrid(torch.linspace(-0.8, 0.8, size), torch.linspace(-0.5, 0.5, size), indexing="ij")
    return torch.stack([down, across, 0.5 * down - across])[None]


def texture(size: int) -> Tensor:
    noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(3)) * 2 - 1
    return F.avg_pool2d(F.pad(noise, [1] * 4, mode="reflect"), 3, 1) * 0.9 + 0.3 * smooth(size)


def seam(plan: Tiling, predicted: Tensor, whole: Tensor) -> float:
    """The mean jump across the tiles' borders beyond that of the whole image, over the mean jump elsewhere in it."""
    size = predicted.shape[-1]
    spans = plan.spans(size)
    assert len(spans) > 1
    borders = torch.tensor(sorted({*(s.start for s in spans[1:]), *(s.stop for s in spans[:-1])}))
    found = []
    for image, other in ((predicted, whole), (predicted.mT, whole.mT)):
        jump, usual = (im.diff(dim=-1).abs().mean((0, 1, 2)) for im in (image, other))
        found.append((jump[borders - 1] - usual[borders - 1]).mean() / usual.mean())
    return float(max(found))


@pytest.mark.parametrize("image", [smooth, texture])
def test_no_seam_where_tiles_meet_and_a_seam_without_overlap(image: Callable[[int], Tensor]) -> None:
    x = image(128)
    (whole,) = small_network(x, T)
    feathered, hard = tiling(overlap=12), tiling(overlap=0)
    without = seam(feathered, feathered.predict(small_network, x, T)[0], whole)
    assert without < 0.1 < 0.5 < seam(hard, hard.predict(small_network, x, T)[0], whole)


@pytest.mark.parametrize("image", [smooth, texture])
def test_the_bundled_prior_leaves_no_seam(image: Callable[[int], Tensor]) -> None:
    """At noise of half the range, and in tiles far smaller than those that it has by default."""
    prior = UNetPrior(precision="float32")
    t = prior.timestep(torch.tensor([0.5]))
    alpha_bar, noise = (
        prior.alpha_bar(t).float(),
        torch.randn(image(128).shape, generator=torch.Generator().manual_seed(0)),
    )
    x_t = alpha_bar.sqrt() * image(128) + (1 - alpha_bar).sqrt() * noise
    whole = prior.predict(x_t, t).x0

    def found(overlap: int) -> float:
        prior.tiling = tiling(64, overlap)
        return seam(prior.tiling, prior.predict(x_t, t).x0, whole)

    assert found(16) < 0.1 < 0.5 < found(0)


def test_tiles_begin_where_the_strides_of_the_network_do(tmp_path: Path) -> None:
    """Without normalization, a tile's inside is the whole image's, and not that of a shifted grid."""
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    from zeroair_pl.priors.network import DenoisingUNet

    torch.manual_seed(0)
    network = DenoisingUNet(widths=(8, 8), blocks=(1, 1), embedding=16)
    torch.nn.init.normal_(network.conv_out.weight, std=0.1)
    network.save_pretrained(tmp_path / "unet")
    DDPMScheduler(prediction_type="sample").save_pretrained(tmp_path / "scheduler")
    x = texture(175)
    whole = UNetPrior(str(tmp_path), precision="float32").predict(x, T).x0
    prior = UNetPrior(str(tmp_path), precision="float32", tile=64, overlap=8)
    tiled = prior.predict(x, T).x0
    spans = prior.tiling.spans(175)
    assert [span.start for span in spans] == [0, 56, 112]
    for rows in spans:
        for columns in spans:
            inside = (..., slice(rows.start + 28, rows.start + 36), slice(columns.start + 28, columns.start + 36))
            torch.testing.assert_close(tiled[inside], whole[inside], atol=1e-5, rtol=0)
    assert float((tiled - whole).abs().max()) > 1e-3, "or the receptive field is not worth a test"
    assert seam(prior.tiling, tiled, whole) < 0.1


# ---- a prior's own tiles ---------------------------------------------------------------------------------------------


def folder(path: Path, attention: bool, size: int | None = 32, stem: int = 1) -> str:
    return str(prior_folder(path, attention=attention, size=size, stem=stem))


def sizes_seen(prior: UNetPrior, height: int, width: int, images: int = 1) -> set[tuple[int, ...]]:
    """Batch, height and width of all that goes into the network for one prediction, before its stem."""
    seen: set[tuple[int, ...]] = set()

    def look(module: Any, inputs: tuple[Tensor, ...]) -> None:
        batch, _, rows, columns = inputs[0].shape
        seen.add((batch, rows * prior.stem, columns * prior.stem))

    hook = prior.unet.register_forward_pre_hook(look)
    x0 = prior.predict(torch.zeros(images, 3, height, width), T.repeat(images)).x0
    hook.remove()
    assert x0.shape == (images, 3, height, width)
    return seen


@pytest.mark.parametrize("stem", [1, 2])
def test_a_network_with_attention_sees_the_size_it_was_trained_on(tmp_path: Path, stem: int) -> None:
    prior = UNetPrior(folder(tmp_path, attention=True, stem=stem), precision="float32")
    side = 32 * stem
    for size in ((side, side), (16, 16), (side, side + 1), (20, 3 * side), (2 * side + 5, 2 * side)):
        assert {seen[1:] for seen in sizes_seen(prior, *size, images=2)} == {(side, side)}
    smaller = UNetPrior(folder(tmp_path, attention=True, stem=stem), precision="float32", tile=8 * stem)
    assert sizes_seen(smaller, 5, 40) == {(1, 8 * stem, 8 * stem)}


def test_a_network_without_attention_sees_an_image_whole_until_it_is_large(tmp_path: Path) -> None:
    path = folder(tmp_path, attention=False)
    prior = UNetPrior(path, precision="float32", pixels_at_once=5000)
    assert sizes_seen(prior, 50, 100) == {(1, 50, 100)}
    assert sizes_seen(prior, 50, 101) == {(1, 50, 60)}
    assert sizes_seen(prior, 31, 400) == {(1, 32, 66)}
    assert UNetPrior(path).tiling.side == 896
    assert sizes_seen(UNetPrior(path, precision="float32", tile=16), 16, 17) == {(1, 16, 12)}
    assert sizes_seen(UNetPrior(folder(tmp_path / "b", True, size=None)), 32, 40) == {(1, 32, 40)}, "it names no size"


def test_an_image_in_tiles_does_not_depend_on_its_batch() -> None:
    prior = UNetPrior(tile=32)
    x, t = photos(3, 40, 70) * 2 - 1, torch.tensor([100.0, 300.5, 400.0])
    together = prior.predict(x, t).x0
    assert torch.equal(prior.predict(x[1:2], t[1:2]).x0, together[1:2])
    assert torch.equal(prior.predict(x.flip(0), t.flip(0)).x0.flip(0), together)


def test_what_is_global_stays_global_in_tiles() -> None:
    y = hazy(1, 64, 96)

    def restored(prior: Prior) -> Any:
        return fit(y, names(1), matched(Haze, prior=prior, lr=1e-2, steps=5, sigma_max=0.8))

    whole, tiled = restored(UNetPrior()), restored(UNetPrior(tile=48))
    airlight = tiled.diagnostics[0]["airlight"]
    assert airlight.shape[-2:] == (1, 1)
    torch.testing.assert_close(airlight, whole.diagnostics[0]["airlight"], atol=0.01, rtol=0)
    assert float((tiled.diagnostics[0]["transmission"] - whole.diagnostics[0]["transmission"]).abs().mean()) < 0.01
    assert 0 < float((tiled.restored - whole.restored).abs().mean()) < 0.02


# ---- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"tile": 500}, "prior.tile is 500, expected a positive multiple of 16, such as 496 or 512"),
        ({"tile": 3}, "prior.tile is 3, expected a positive multiple of 16, such as 16$"),
        ({"tile": -16}, "UNetPrior.tile is -16, expected a number of at least 1"),
        ({"tile": 0}, "UNetPrior.tile is 0"),
        ({"tile": 64, "overlap": 64}, "prior.overlap is 64, expected 0 to 63"),
        ({"overlap": -1}, "UNetPrior.overlap is -1, expected a number of at least 0"),
        ({"pixels_at_once": 0}, "UNetPrior.pixels_at_once is 0, expected a number of at least 4096"),
    ],
)
def test_tiles_that_cannot_be_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        UNetPrior(**settings)  # type: ignore[arg-type]


def test_the_default_overlap_is_a_share_with_a_limit() -> None:
    assert [tiling(side).overlap for side in (32, 192, 256, 768)] == [8, 48, 64, 64]


@pytest.mark.parametrize("precision, tolerance", [("bfloat16", 0.01), ("float16", 0.002)])
def test_a_lower_precision_gives_nearly_the_same(precision: Any, tolerance: float) -> None:
    x = photos(1, 24, 32) * 2 - 1
    exact, rough = (UNetPrior(precision=p).predict(x, T).x0 for p in ("float32", precision))
    assert 0 < float((rough - exact).abs().mean()) < tolerance
