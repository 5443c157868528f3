"""Views of an image: the sixteen ways in which the prior sees it, and back."""

import pytest
import torch

from zeroair_pl.tensors.views import View


def test_the_eight_rotations_and_flips_differ_and_are_undone_exactly() -> None:
    x = torch.arange(2 * 3 * 5 * 4.0).view(2, 3, 5, 4)
    seen = [View(k).of(x) for k in range(8)]
    assert len({(view.shape, tuple(view.flatten().tolist())) for view in seen}) == 8
    assert all(torch.equal(View(k).back(view, x), x) for k, view in enumerate(seen))
    assert torch.equal(View(11).of(x), seen[3])  # after the eighth comes the first


@pytest.mark.parametrize("k", range(8))
def test_a_view_of_half_the_size_comes_back_at_the_size_of_the_image(k: int) -> None:
    x = torch.linspace(0, 1, 7).expand(1, 3, 10, 7).contiguous()  # 7 becomes 4
    view = View(k, halved=True)
    assert sorted(view.of(x).shape[-2:]) == [4, 5]
    assert view.back(view.of(x), x).shape == x.shape
    assert torch.allclose(view.back(view.of(x), x), x, atol=0.1)  # a ramp stays a ramp, the right way round
