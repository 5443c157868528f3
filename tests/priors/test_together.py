"""How many images a network sees at once: on a CPU as many as do not notice each other, elsewhere as many as fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.moments import photos
from zeroair_pl.priors import UNetPrior
from zeroair_pl.priors.together import WORTH, Together

MANY = 2**30  # pixels


class Network:
    """Notes the shapes that it sees; from ``notices`` images on, each of them has a trace of all."""

    def __init__(self, notices: int = 1000) -> None:
        self.notices, self.seen = notices, list[tuple[int, ...]]()

    def __call__(self, x: Tensor, t: Tensor) -> list[Tensor]:
        self.seen.append(tuple(x.shape))
        assert x.shape[0] == t.shape[0]
        out = x * t.to(x)[:, None, None, None]
        if len(x) >= self.notices:
            out = out + 1e-6 * x.mean()
        return [out, 2 * x]


def images(count: int, height: int = 8, width: int = 8, device: str = "cpu") -> Tensor:
    return torch.zeros(count, 3, height, width, device=device)


@pytest.mark.parametrize("count, sizes", [(1, [1]), (2, [2]), (3, [2, 1]), (7, [4, 2, 1]), (8, [8]), (13, [8, 4, 1])])
def test_rows_that_notice_nothing_are_seen_in_powers_of_two(count: int, sizes: list[int]) -> None:
    assert Together(Network(), patience=0).split(images(count), MANY) == sizes


@pytest.mark.parametrize("notices, sizes", [(2, [1] * 7), (3, [2, 2, 2, 1]), (5, [4, 2, 1])])
def test_rows_that_notice_each_other_are_kept_apart(notices: int, sizes: list[int]) -> None:
    """Each size is tried by itself: two may go where four do not."""
    assert Together(Network(notices), patience=0).split(images(7), MANY) == sizes


def test_a_second_output_counts_too() -> None:
    class Variance(Network):
        def __call__(self, x: Tensor, t: Tensor) -> list[Tensor]:
            first, second = super().__call__(x, t)
            return [first, second + (len(x) > 1) * 1e-6]

    assert Together(Variance(), patience=0).split(images(4), MANY) == [1] * 4


def test_a_size_is_tried_once_for_each_padded_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network()
    together = Together(network, multiple=16, patience=0)
    for height in (16, 10, 1):
        together.split(images(2, height, 16), MANY)
    assert network.seen == [(1, 3, 16, 16)] * 2 + [(2, 3, 16, 16)]
    together.split(images(2, 17, 16), MANY)
    assert network.seen[3:] == [(1, 3, 32, 16)] * 2 + [(2, 3, 32, 16)]
    together.split(images(3, 16, 16), MANY)
    assert len(network.seen) == 6
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)  # kernels go by it
    together.split(images(2, 16, 16), MANY)
    assert len(network.seen) == 9


def test_more_are_tried_against_half_as_many() -> None:
    network = Network()
    Together(network, patience=0).split(images(4), MANY)
    assert [len_ for len_, *_ in network.seen] == [1, 1, 2, 2, 2, 4]


def test_a_size_that_is_seldom_asked_for_is_not_tried() -> None:
    network = Network()
    together = Together(network)
    for _ in range(2):
        assert together.split(images(4), MANY) == [1] * 4
    assert network.seen == []
    assert together.split(images(4), MANY) == [4]
    assert together.split(images(2), MANY) == [2]


def test_a_network_that_mixes_two_images_is_not_tried_again() -> None:
    network = Network(2)
    together = Together(network, patience=0)
    together.split(images(8), MANY)
    seen = len(network.seen)
    together.split(images(4, 9, 9), MANY)
    assert len(network.seen) == seen == 3


def test_a_trial_draws_no_random_numbers_and_one_image_needs_none() -> None:
    network = Network()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    Together(network, patience=0).split(images(1), MANY)
    assert network.seen == []
    Together(network, patience=0).split(images(4), MANY)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_more_pixels_at_once_than_allowed_nor_than_pay() -> None:
    together = Together(Network(), patience=0)
    assert together.split(images(5), 8 * 8 * 3) == [2, 2, 1]
    assert together.split(images(5), 8 * 8 - 1) == [1] * 5, "one is seen whatever its size"
    assert together.split(images(9, 256, 256), MANY) == [4, 4, 1] == [WORTH // 256**2] * 2 + [1]
    assert together.split(images(3, 700, 800), MANY) == [1, 1, 1]


def test_elsewhere_nothing_is_tried() -> None:
    """``meta`` computes nothing."""
    network = Network(2)
    together = Together(network)
    assert together.split(images(7, device="meta"), MANY) == [7]
    assert together.split(images(7, device="meta"), 8 * 8 * 3) == [3, 3, 1]
    assert together.split(images(9, 1024, 1024, "meta"), 2**22) == [4, 4, 1]
    assert together.split(images(2, 1024, 1024, "meta"), 2**10) == [1, 1]
    assert network.seen == []


# ---- the embedded prior ----------------------------------------------------------------------------------------------


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
@pytest.mark.parametrize("size", [(23, 37), (32, 32)], ids=["odd", "even"])
def test_a_photo_has_the_same_prediction_in_any_batch(threads: int, precision: Any, size: tuple[int, int]) -> None:
    """To the bit, however many the network sees at once on this machine."""
    prior = UNetPrior(precision=precision)
    prior.together._patience = 0
    generator = torch.Generator().manual_seed(1)
    x = photos(5, *size) * 2 - 1 + 0.3 * torch.randn(5, 3, *size, generator=generator)
    t = torch.tensor([30.0, 100.25, 300.5, 7.0, 480.0], dtype=torch.float64)
    together = prior.predict(x, t).x0
    for i in range(5):
        assert torch.equal(prior.predict(x[i : i + 1], t[i : i + 1]).x0, together[i : i + 1])
    assert torch.equal(prior.predict(x.flip(0), t.flip(0)).x0.flip(0), together)
