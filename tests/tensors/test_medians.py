"""The median by a sorting network is that of torch."""

from __future__ import annotations

import pytest
import torch

from zeroair_pl.tensors.medians import median_of


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 24, 25, 33])
def test_the_median_of_images_is_the_lower_median_at_each_value(count: int) -> None:
    images = torch.randint(0, 9, (count, 2, 40, 50), generator=torch.Generator().manual_seed(count)).float()
    assert torch.equal(median_of(list(images)), images.median(0).values)
