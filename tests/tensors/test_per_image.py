"""Independent networks and random numbers for each image of a group."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zeroair_pl.tensors.per_image import PerImage, build_per_image, image_generator, image_seed, randn

NAMES = ["a.png", "b/c.png", "b/d.jpg"]


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1))


def train(modules: PerImage, x: Tensor, steps: int = 20) -> Tensor:
    optimizer = torch.optim.Adam(modules.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        (modules(x) - x.flip(-1)).square().flatten(1).mean(1).sum().backward()
        optimizer.step()
    return modules(x).detach()


def images(count: int) -> Tensor:
    return torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def test_training_together_is_training_alone_to_the_bit() -> None:
    x = images(3)
    together = train(build_per_image(net, NAMES, 7, "net"), x)
    for i, name in enumerate(NAMES):
        assert torch.equal(train(build_per_image(net, [name], 7, "net"), x[i : i + 1]), together[i : i + 1])


def test_a_second_map_of_an_image_goes_through_its_own_network() -> None:
    modules, x = build_per_image(net, NAMES, 7, "net"), images(6)
    both = modules(x)
    assert torch.equal(both[:3], modules(x[:3]))
    assert torch.equal(both[3:], modules(x[3:]))
    with pytest.raises(ValueError, match="4 images for 3 per-image modules"):
        modules(x[:4])


def test_a_network_depends_on_seed_name_and_stream_and_not_on_order_or_the_global_state() -> None:
    def weights(names: list[str], seed: int = 7, stream: str = "net") -> list[Tensor]:
        return [next(m.parameters()).detach() for m in build_per_image(net, names, seed, stream)]

    torch.manual_seed(4)
    before = torch.get_rng_state()
    a, b, c = weights(NAMES)
    assert torch.equal(torch.get_rng_state(), before), "the caller's random numbers were used"
    torch.manual_seed(99)
    assert all(torch.equal(p, q) for p, q in zip(weights(NAMES[::-1]), (c, b, a), strict=True))
    for other in (weights(NAMES[:1], seed=8), weights(NAMES[:1], stream="other"), [b]):
        assert not torch.equal(other[0], a)


def test_seeds_are_stable_between_machines_and_versions() -> None:
    """Written down: a change here changes every published number."""
    assert image_seed(0, "photo.png") == 4652982189711145065
    assert image_seed(10, "b/ü 1.png") == 8512286055215918602


def test_draws_of_an_image_are_its_own() -> None:
    def draws(names: list[str]) -> Tensor:
        return randn((3, 4, 4), [image_generator(3, name, "sampling") for name in names], torch.device("cpu"))

    a, b, c = draws(NAMES)
    assert torch.equal(draws(NAMES[2:]), c[None])
    assert torch.equal(draws([NAMES[1], NAMES[0]]), torch.stack([b, a]))
    assert not torch.equal(a, b)
