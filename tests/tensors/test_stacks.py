"""Alike networks of several images computed as one: what each learns, in which order, and who gets it back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from helpers.stacking import METHODS, OPEN, adam, equal, images, members, mixed, together, train, weights
from zeroair_pl.degradations import Auto, Haze
from zeroair_pl.tensors.per_image import PerImage, build_per_image

NAMES = ["a.png", "b/c.png", "b/d.jpg"]


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.LeakyReLU(0.01), nn.Conv2d(8, 3, 1))


# ---- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [net, Haze], ids=["network", "haze"])
def test_training_a_stack_is_training_each(kind: Any) -> None:
    """Twenty steps of Adam, whose first ones know no size of a gradient: rounding may not grow."""
    x = images()

    def made(i: list[int]) -> PerImage:
        whole = members(x, Haze) if kind is Haze else build_per_image(net, NAMES, 7, "net")
        return PerImage([whole.each[k] for k in i])

    stack, separate = together(made([0, 1, 2]), x), [made([i]) for i in range(3)]
    assert stack.whole is not None
    train(stack, x, adam(stack))
    for i, one in enumerate(separate):
        before = weights(one)
        train(one, x[i : i + 1], adam(one), finished=OPEN[:1])
        assert not equal(before, weights(one))
        for mine, own in zip(stack.each[i].parameters(), one.parameters(), strict=True):
            torch.testing.assert_close(mine, own, atol=2e-6, rtol=0)


# ---- order, and what modules get back --------------------------------------------------------------------------------


@pytest.mark.parametrize("alike", [True, False])
def test_images_stay_in_order_in_a_stack_and_apart(alike: bool) -> None:
    """Families that ``Auto`` chose."""
    y = mixed()[[0, 2]] if alike else mixed()
    apart, group = members(y, Auto), members(y, Auto)
    together(group, y, METHODS)
    assert (group.whole is not None) == alike
    kinds = ["Haze", "Haze"] if alike else ["Haze", "LowLight", "Haze", "Noise", "LowLight"]
    assert [phi.kind for phi in group] == kinds
    assert len(group) == len(y)
    for method in ("forward", "invert", "first_estimate"):
        torch.testing.assert_close(group.call(method, y), apart.call(method, y), atol=1e-6, rtol=1e-5)
    for method in ("noise_level", "penalty"):
        found = group.call(method)
        assert found.shape == (len(y),)
        torch.testing.assert_close(found, apart.call(method))
    twice = torch.cat([y, y.flip(-1)])
    torch.testing.assert_close(group(twice), apart(twice), atol=1e-6, rtol=1e-5)
    for mine, own in zip(group.dicts("diagnostics"), apart.dicts("diagnostics"), strict=True):
        assert mine.keys() == own.keys()
        assert all(torch.allclose(mine[name], own[name], atol=1e-6) for name in mine)


def test_modules_get_back_what_they_have_learned() -> None:
    x = images()
    group = together(build_per_image(net, NAMES, 7, "net"), x)
    modules = group.each
    train(group, x, adam(group), 5)
    learned = group(x).detach()
    assert [id(each) for each in group.each] == [id(each) for each in modules]
    for i, one in enumerate(group):
        torch.testing.assert_close(one(x[i : i + 1]), learned[i : i + 1], atol=1e-6, rtol=1e-5)
    group.apart()
    assert group.whole is None
    torch.testing.assert_close(group(x), learned, atol=1e-6, rtol=1e-5)
    assert {id(p) for p in group.parameters()} == {id(p) for one in modules for p in one.parameters()}


def test_one_noise_level_by_two_names_stays_one() -> None:
    y = mixed()[[0, 2]]
    group, apart = together(members(y, Auto), y, METHODS), members(y, Auto)
    assert group.whole is not None
    names = [name for name, _ in group.whole.named_parameters()]
    assert [name for name in names if "log_sigma" in name] == ["noise/log_sigma"]
    for each in (group, apart):
        optimizer = adam(each)
        for _ in range(5):
            optimizer.zero_grad()
            (each.call("noise_level") + each.call("penalty") + each(y).mean((1, 2, 3))).sum().backward()
            optimizer.step()
    torch.testing.assert_close(group.call("penalty"), apart.call("penalty"), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(group.call("noise_level"), apart.call("noise_level"))
    group.apart()
    for mine, own in zip(group, apart, strict=True):
        assert mine.noise.log_sigma is mine.chosen.noise.log_sigma
        torch.testing.assert_close(mine.noise.log_sigma, own.noise.log_sigma)
        torch.testing.assert_close(mine.chosen.noise_level(), own.noise_level())
