"""The starts of several photos: the same one after the other and in threads; a failure is that of its photo alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from helpers.moments import names, photos
from helpers.toys import ToyPrior
from zeroair_pl.degradations import Auto, Degradation, Haze, LowLight, Noise
from zeroair_pl.errors import DivergenceError
from zeroair_pl.method.first_look import FirstLook
from zeroair_pl.method.starts import side_by_side, start_all


def started(
    kind: type[Degradation], y: Tensor, at_once: bool
) -> tuple[list[Degradation], list[Tensor], dict[int, str]]:
    each = [kind() for _ in y]
    explained, lost = start_all(each, y, [], [FirstLook(ToyPrior()) for _ in y], at_once)
    return each, explained, lost


@pytest.mark.parametrize("kind", [Haze, LowLight, Noise, Auto])
def test_threads_change_no_bit(kind: type[Degradation]) -> None:
    y = photos(6, 64)
    one, explained, _ = started(kind, y, at_once=False)
    for _ in range(3):
        other, again, _ = started(kind, y, at_once=True)
        for a, b in zip(one, other, strict=True):
            assert a.state_dict().keys() == b.state_dict().keys()
            for name, value in a.state_dict().items():
                assert torch.equal(value, b.state_dict()[name]), name
        assert all(torch.equal(a, b) for a, b in zip(explained, again, strict=True))


@pytest.mark.parametrize("at_once", [False, True])
def test_a_start_that_fails_fails_its_own_photo_alone(at_once: bool) -> None:
    class Picky(Noise):
        def initialize(self, y: Tensor, side: object, look: object) -> None:
            if float(y.mean()) > 0.9:
                raise DivergenceError("too bright")

    y = photos(len(names(3)), 32)
    y[1] = 0.95
    _, explained, lost = started(Picky, y, at_once)
    assert lost == {1: "too bright"}
    assert all(torch.equal(image[0], photo) for image, photo in zip(explained, y, strict=True))


def test_cores_are_shared_where_the_prior_does_not_need_them() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert side_by_side("cuda")
        assert not side_by_side("cpu")
        torch.set_num_threads(2)
        assert not side_by_side("cuda")
    finally:
        torch.set_num_threads(before)
