"""Gives the degradation model of each photo its start; side by side where the prior is on an accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from zeroair_pl.degradations.base import Degradation, Side
from zeroair_pl.errors import DivergenceError
from zeroair_pl.method.first_look import FirstLook


def start_all(
    each: Sequence[Degradation], y: Tensor, sides: Sequence[Side], looks: Sequence[FirstLook], at_once: bool
) -> tuple[list[Tensor], dict[int, str]]:
    """Initializes the model of each photo.

    Starts are computed on the CPU. One after the other, those of 16 photos took as long as the rest of their fit on an
    H200.

    Args:
        each: the models; they are changed.
        y: the photos, (B, 3, H, W).
        sides: the side information of each photo.
        looks: of each photo.
        at_once: in a thread for each core.

    Returns:
        What each model explains, (1, 3, H, W), and for photos whose start failed the reason, by their index.
    """

    def begin(i: int) -> tuple[Tensor, str]:
        photo = y[i : i + 1]
        try:
            each[i].initialize(photo, sides[i] if sides else {}, looks[i])
            return each[i].explained(photo), ""
        except DivergenceError as error:
            return photo, str(error)

    if at_once and len(each) > 1:
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(begin, range(len(each))))
    else:
        found = [begin(i) for i in range(len(each))]
    return [image for image, _ in found], {i: why for i, (_, why) in enumerate(found) if why}


def side_by_side(device: torch.device | str) -> bool:
    """Whether starts may share the cores: the prior does not need them, and each uses one (``one_thread``)."""
    return torch.device(device).type != "cpu" and torch.get_num_threads() == 1
