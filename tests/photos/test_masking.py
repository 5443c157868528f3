"""The view of a masked photo: a window, filled from inside the mask, that no value from outside can reach."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.toys import toy_photo
from zeroair_pl.errors import InputError
from zeroair_pl.photos.masking import ALIGNED, LEAST, view_of, weights
from zeroair_pl.photos.photo import Photo
from zeroair_pl.photos.side import checked_mask


def photo(height: int = 160, width: int = 200, mask: Tensor | None = None, seed: int = 0) -> Photo:
    found = Photo(toy_photo(height, width, seed)[0], "PNG", "rgb")
    return found if mask is None else replace(found, side={"mask": mask[None, None]})


def disk(height: int = 160, width: int = 200, middle: tuple[int, int] = (90, 120), radius: int = 30) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    distance = ((rows - middle[0]).square() + (columns - middle[1]).square()).float().sqrt()
    return ((radius - distance) / 8 + 0.5).clamp(0, 1)


def test_without_a_mask_there_is_no_view() -> None:
    assert view_of(photo()) is None
    assert view_of(photo(mask=torch.ones(160, 200))) is None
    opaque = replace(photo(), alpha=np.full((160, 200), 255, np.uint8))
    assert view_of(opaque) is None


@pytest.mark.parametrize("radius", [2, 30, 70, 200])
def test_no_value_from_outside_is_seen(radius: int) -> None:
    mask = disk(radius=radius)
    mask[:3] = 0
    view = view_of(photo(mask=mask))
    assert view is not None
    other = photo(mask=mask)
    other = replace(other, pixels=torch.where(mask > 0, other.pixels, torch.rand(3, 160, 200)))
    again = view_of(other)
    assert again is not None
    assert torch.equal(view.photo.pixels, again.photo.pixels)
    inside = (mask > 0)[view.rows, view.columns]
    assert torch.equal(view.photo.pixels[:, inside], photo().pixels[:, view.rows, view.columns][:, inside])
    assert view.rows.start % ALIGNED == view.columns.start % ALIGNED == 0, "blocks of a JPEG stay in place"
    assert min(view.photo.size) >= LEAST
    assert bool((mask > 0).sum() == inside.sum()), "the window has all of it"


def test_what_is_filled_has_the_texture_of_what_is_there() -> None:
    """Mirrored, not smeared: noise keeps its strength, or every statistic of the photo would change."""
    noise = Photo((0.5 + 0.1 * torch.randn(3, 96, 96, generator=torch.Generator().manual_seed(0))), "PNG", "rgb")
    mask = torch.zeros(96, 96)
    mask[:, :40] = 1
    mask[20:40, 10:20] = 0
    view = view_of(replace(noise, side={"mask": mask[None, None]}))
    assert view is not None
    hidden = (mask == 0)[view.rows, view.columns]
    assert float(view.photo.pixels[:, hidden].std()) == pytest.approx(0.1, rel=0.1)
    differences = view.photo.pixels.diff(dim=-1)[:, hidden[:, 1:]]
    assert float(differences.std()) == pytest.approx(0.1 * 2**0.5, rel=0.1)


def test_a_result_goes_over_the_photo_by_the_weight() -> None:
    mask, whole = disk(), photo(mask=disk())
    view = view_of(whole)
    assert view is not None
    out = view.over(view.photo.pixels[None] * 0.5)[0]
    assert torch.equal(out[:, mask == 0], whole.pixels[:, mask == 0])
    assert torch.equal(out[:, mask == 1], whole.pixels[:, mask == 1] * 0.5)
    soft = (mask > 0) & (mask < 1)
    assert torch.allclose(out[:, soft], (whole.pixels * (1 - mask / 2))[:, soft], atol=1e-6)
    twice = view.over(view.photo.pixels[None].repeat_interleave(2, -1).repeat_interleave(2, -2))
    assert twice.shape == (1, 3, 320, 400)
    with pytest.raises(InputError, match="mask: goes with results of the photo's size, or of a multiple"):
        view.over(torch.zeros(1, 3, 100, 101))
    maps = view.maps({"map": torch.ones(1, 1, *view.photo.size), "number": torch.ones(1, 3, 1, 1)})
    assert maps["map"].shape == (1, 1, 160, 200)
    assert maps["number"].shape == (1, 3, 1, 1)


def test_maps_that_come_with_the_photo_are_of_the_window() -> None:
    whole = photo(mask=disk())
    whole = replace(whole, side={**whole.side, "missing": disk()[None, None], "kernel": torch.ones(3, 3)})
    view = view_of(whole)
    assert view is not None
    assert view.photo.side["missing"].shape[-2:] == view.photo.size
    assert view.photo.side["kernel"].shape == (3, 3)
    assert "mask" not in view.photo.side


def test_transparent_pixels_are_masked() -> None:
    alpha = np.full((160, 200), 255, np.uint8)
    alpha[:100], alpha[:, :50] = 0, 7
    weight = weights(replace(photo(), alpha=alpha))
    assert weight is not None
    assert torch.equal(weight[0] == 0, torch.from_numpy(alpha == 0)), "faint is not hidden"
    both = weights(replace(photo(mask=disk()), alpha=alpha))
    assert both is not None
    assert torch.equal(both[0] > 0, (disk() > 0) & torch.from_numpy(alpha > 0))
    hidden = np.zeros((160, 200), np.uint8)
    with pytest.raises(InputError, match="nothing is left to work on"):
        view_of(replace(photo(mask=disk()), alpha=hidden))
    view = view_of(replace(photo(), alpha=hidden))
    assert view is not None
    assert view.photo.pixels.unique().tolist() == [0.5], "nothing of a photo that nobody can see"
    assert torch.equal(view.over(view.photo.pixels[None] * 0)[0], photo().pixels)


@pytest.mark.parametrize(
    "mask, said",
    [
        (np.zeros((160, 200)), "mask: the mask is black everywhere"),
        (np.ones((160, 100)), r"mask: of shape \(160, 100\); expected \(160, 200\)"),
        (np.full((160, 200), 2.0), r"mask: numbers from 2 to 2; expected \[0, 1\]"),
        ("absent.png", "absent.png does not exist"),
    ],
)
def test_what_is_no_mask_is_said(mask: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        checked_mask(mask, photo())


def test_masks_come_in_many_forms() -> None:
    truth = disk() > 0.5
    for form in (truth, truth.numpy(), truth.numpy().astype(np.uint8) * 255, truth[None].float(), truth * 0.985):
        assert torch.equal(checked_mask(form, photo())[0, 0], truth.float())
