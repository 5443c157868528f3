"""The node keeps ComfyUI's contract, which is tested without ComfyUI: loaded as a folder of custom_nodes is."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.scenes import clean
from zeroair_pl import Method

FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"


@pytest.fixture(scope="module")
def node() -> Iterator[type[Any]]:
    spec = importlib.util.spec_from_file_location(
        "a_custom_node", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["a_custom_node"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.NODE_CLASS_MAPPINGS) == set(module.NODE_DISPLAY_NAME_MAPPINGS)
    (found,) = module.NODE_CLASS_MAPPINGS.values()
    yield found
    for name in ("a_custom_node", "a_custom_node.nodes"):
        del sys.modules[name]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two noise levels a fit."""
    real = Method.from_config
    monkeypatch.setattr(Method, "from_config", lambda *words, **more: real(*words, sampling={"steps": 2}, **more))


def batch(count: int = 2, side: int = 32) -> torch.Tensor:
    """(B, H, W, 3) noisy crops."""
    x = clean("haze_workshop", side)[..., :side, :side]
    noise = 0.1 * torch.randn((count, 3, side, side), generator=torch.Generator().manual_seed(0))
    return (x + noise).clamp(0, 1).permute(0, 2, 3, 1)


def test_the_contract(node: type[Any]) -> None:
    inputs = node.INPUT_TYPES()
    assert set(inputs) == {"required", "optional"}
    assert inputs["required"]["image"] == ("IMAGE",)
    assert inputs["optional"]["mask"] == ("MASK",)
    names, options = inputs["required"]["config"]
    assert options["default"] in names
    assert {"auto", "dehaze", "inpaint"} <= set(names)
    assert "fast" not in names, "a layer, which is nothing by itself"
    assert len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
    assert callable(getattr(node(), node.FUNCTION))
    assert isinstance(node.CATEGORY, str)


def test_images_in_and_out(node: type[Any]) -> None:
    y = batch()
    image, mask = node().restore(y, "denoise", 1.0, 3)
    assert image.shape == y.shape
    assert mask.shape == y.shape[:3]
    assert image.dtype == torch.float32
    assert 0 <= float(image.min()) <= float(image.max()) <= 1
    truth = clean("haze_workshop", 32)[..., :32, :32].permute(0, 2, 3, 1)
    assert (image - truth).square().mean() < 0.5 * (y - truth).square().mean()
    again, _ = node().restore(y, "denoise", 1.0, 3)
    assert torch.equal(image, again)
    unchanged, _ = node().restore(y, "denoise", 0.0, 3)
    assert torch.allclose(unchanged, y)


def test_a_mask_says_where(node: type[Any]) -> None:
    y, mask = batch(), torch.zeros(1, 32, 32)
    mask[:, :16] = 1
    image, out = node().restore(y, "denoise", 1.0, 0, mask)
    assert torch.equal(out[0], mask[0])
    assert torch.allclose(image[:, 16:], y[:, 16:])
    assert not torch.allclose(image[:, :16], y[:, :16], atol=0.01)


def test_the_empty_mask_of_an_image_without_one(node: type[Any]) -> None:
    y = batch()
    image, out = node().restore(y, "denoise", 1.0, 0, torch.zeros(1, 64, 64))
    assert torch.equal(image, y)
    assert out.shape == (2, 32, 32)


def test_a_mask_of_what_is_missing(node: type[Any]) -> None:
    y, mask = batch(1), torch.zeros(1, 32, 32)
    y[:, 10:14, 10:14] = 0
    mask[:, 10:14, 10:14] = 1
    image, _ = node().restore(y, "inpaint", 1.0, 0, mask)
    assert float(image[:, 11:13, 11:13].mean()) > 0.1


def test_other_images(node: type[Any]) -> None:
    gray = batch(1)[..., :1]
    assert node().restore(gray, "denoise", 1.0, 0)[0].shape == (1, 32, 32, 3)
    larger, mask = node().restore(batch(1), "upscale", 1.0, 0)
    assert larger.shape == (1, 64, 64, 3)
    assert mask.shape == (1, 64, 64)
