"""What a degradation has learned, as numpy arrays."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def as_arrays(maps: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """The maps and numbers of ``Degradation.diagnostics``, each as a float32 array without dimensions of size 1.

        >>> import torch
        >>> found = as_arrays({"airlight": torch.ones(1, 3, 1, 1), "transmission": torch.ones(1, 1, 4, 5)})
        >>> {name: array.shape for name, array in found.items()}
        {'airlight': (3,), 'transmission': (4, 5)}

    Args:
        maps: (1, C, H, W) maps and (1, C, 1, 1) numbers.

    Returns:
        (H, W) or (H, W, C) for a map; (C,) or a scalar for numbers.
    """
    return {name: _array(values) for name, values in maps.items()}


def as_maps(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """The inverse of ``as_arrays``: (1, C, H, W) maps and (1, C, 1, 1) numbers."""
    found = {}
    for name, values in arrays.items():
        tensor = torch.from_numpy(np.asarray(values, dtype=np.float32))
        if tensor.ndim < 2:
            found[name] = tensor.view(1, -1, 1, 1)
        else:
            found[name] = (tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1))[None]
    return found


def encode_arrays(maps: Mapping[str, Tensor]) -> bytes:
    """The same as the bytes of an ``.npz`` file, which ``numpy.load`` reads."""
    data = io.BytesIO()
    np.savez_compressed(data, **as_arrays(maps))  # type: ignore[arg-type]
    return data.getvalue()


def _array(values: Tensor) -> NDArray[Any]:
    image = values.detach().float().cpu()[0]
    if image.shape[1:] == (1, 1):
        image = image[:, 0, 0]
    elif len(image) > 1:
        image = image.permute(1, 2, 0)
    return np.ascontiguousarray((image[0] if len(image) == 1 and image.ndim in (1, 3) else image).numpy())
