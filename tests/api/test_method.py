"""Restores one photo in memory, in each form that is accepted, and checks the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import zeroair_pl
from helpers.command import save_toy
from helpers.toys import toy_photo
from zeroair_pl import Method
from zeroair_pl.degradations import Noise
from zeroair_pl.errors import ConfigError, InputError

TOY: dict[str, Any] = {"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}}
QUIET: dict[str, Any] = {"tensorboard": False, "strips": False}


@pytest.fixture(scope="module")
def method() -> Method:
    return Method.from_config("denoise", **TOY)


def bytes_of(height: int = 24, width: int = 32) -> Any:
    return (toy_photo(height, width)[0] * 255).round().byte().permute(1, 2, 0).numpy()


# --- one photo, in whatever form


@pytest.mark.parametrize(
    "array",
    [bytes_of(), bytes_of()[..., 0], bytes_of().astype(np.uint16) * 257, bytes_of().astype(">u2") * 257]
    + [(bytes_of() / 255).astype(kind) for kind in (np.float16, np.float32, np.float64)],
    ids=lambda array: f"{array.dtype} {array.ndim}",
)
def test_an_array_comes_back_as_one_of_its_shape_and_type(array: Any, method: Method) -> None:
    before = array.copy()
    image = method.restore(array).image
    assert (image.shape, image.dtype) == (array.shape, array.dtype)
    assert (array == before).all(), "the caller's array is left alone"
    same = np.testing.assert_allclose if array.dtype == np.float64 else np.testing.assert_array_equal
    same(method.restore(array).blend(0).image, array, err_msg="without correction it is the photo, to the bit")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 24, 32), (1, 3, 24, 32)])
def test_a_tensor_comes_back_as_one_of_its_shape_and_type(
    shape: tuple[int, ...], dtype: torch.dtype, method: Method
) -> None:
    tensor = toy_photo(24, 32).reshape(shape)
    tensor = (tensor * 255).byte() if dtype == torch.uint8 else tensor.to(dtype)
    image = method.restore(tensor).image
    assert (image.shape, image.dtype, image.device) == (tensor.shape, tensor.dtype, tensor.device)
    assert torch.equal(method.restore(tensor).blend(0).image, tensor)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "CMYK", "P", "1"])
def test_a_pillow_image_comes_back_as_one(mode: str, method: Method) -> None:
    picture = Image.fromarray(bytes_of()).convert(mode)
    picture.info["dpi"] = (300, 300)
    found = method.restore(picture).image
    assert isinstance(found, Image.Image)
    assert found.size == picture.size
    assert found.mode == {"P": "RGB", "1": "L"}.get(mode, mode), "a restored photo has more colors than a palette"
    assert found.info["dpi"] == (300, 300)
    if mode in ("RGBA", "LA"):
        assert found.getchannel("A").tobytes() == picture.getchannel("A").tobytes()


def test_a_pillow_image_that_lies_on_its_side_comes_back_lying(method: Method) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(bytes_of(24, 40))
    picture.info["exif"] = exif.tobytes()
    restored = method.restore(picture)
    assert restored.pixels.shape == (3, 40, 24), "upright"
    assert restored.image.size == (40, 24)
    assert restored.blend(0).image.tobytes() == picture.tobytes()


def test_all_forms_of_one_photo_have_one_result(method: Method) -> None:
    array = bytes_of()
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    found = [method.restore(each).pixels for each in (array, tensor, tensor[None], Image.fromarray(array))]
    found += [method.restore(tensor / 255).pixels, method.restore((array / 255).astype(np.float32)).pixels]
    assert all(torch.equal(each, found[0]) for each in found)


def test_a_file_gets_the_bytes_that_the_command_line_writes(tmp_path: Path, method: Method) -> None:
    for name in ("a.png", "b.jpg", "c.tif"):
        file = save_toy(tmp_path / "in" / name, 3, 24, 40)
        results = zeroair_pl.restore(file, "denoise", out=tmp_path / "out", **TOY, **QUIET)
        restored = method.restore(file)
        assert restored.save(tmp_path / "mine" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
        (row,) = results.rows
        assert (restored.kind, restored.nfe, restored.noise_level) == (row.kind, row.nfe, row.noise_level)
        assert restored.name == name
        assert restored.image.shape == (24, 40, 3)


def test_name_and_seed_decide_the_random_numbers() -> None:
    """From pure noise, where random numbers change the result most."""
    noisy: list[Any] = ["denoise", "ablations/proximal", "ablations/from_noise"]
    method, other = Method.from_config(noisy, **TOY), Method.from_config(noisy, **TOY, seed=1)
    array = bytes_of()
    first = method.restore(array).pixels
    assert torch.equal(method.restore(array, name="photo").pixels, first)
    assert not torch.equal(method.restore(array, name="another").pixels, first)
    assert not torch.equal(other.restore(array).pixels, first)


def test_strength_blends(method: Method) -> None:
    array = bytes_of()
    whole, half = method.restore(array), Method.from_config("denoise", **TOY, strength=0.5).restore(array)
    assert torch.equal(half.pixels, whole.blend(0.5).pixels)
    assert torch.equal(half.blend(1).pixels, whole.pixels)
    with pytest.raises(ConfigError, match=r"strength is 1\.5"):
        whole.blend(1.5)


def test_what_was_learned_comes_as_arrays() -> None:
    restored = Method.from_config("dehaze", **TOY).restore(bytes_of())
    assert restored.kind == "Haze"
    assert restored.diagnostics["transmission"].shape == (24, 32)
    assert restored.diagnostics["airlight"].shape == (3,)
    assert all(isinstance(each, np.ndarray) for each in restored.diagnostics.values())
    assert restored.seconds > 0
    assert restored._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_photo_from_memory_can_go_to_any_format(suffix: str, kind: Any, tmp_path: Path, method: Method) -> None:
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[kind]
    restored = method.restore((bytes_of().astype(np.float64) * scale).astype(kind))
    path = restored.save(tmp_path / f"new/photo{suffix}")
    again = zeroair_pl.Method.from_config("denoise", **TOY).restore(path).photo.pixels
    assert float((again - restored.pixels).abs().mean()) < 0.02


def test_a_file_keeps_its_format(tmp_path: Path, method: Method) -> None:
    restored = method.restore(save_toy(tmp_path / "a.jpg"))
    assert restored.save(tmp_path / "b.png").is_file()
    with pytest.raises(InputError, match=r"b\.tif: the photo can be saved with one of these suffixes: \.png, \.jpg"):
        restored.save(tmp_path / "b.tif")


@pytest.mark.parametrize(
    "photo, said",
    [
        (np.zeros((3, 24, 32), np.uint8), r"shape \(3, 24, 32\) and type uint8.*transpose\(1, 2, 0\)"),
        (np.zeros((24, 32, 4), np.uint8), r"array\[\.\.\., :3\]"),
        (np.zeros((24, 32, 2), np.uint8), r"expected \(H, W, 3\) or \(H, W\)"),
        (np.zeros((1, 24, 32, 3), np.uint8), r"expected \(H, W, 3\) or \(H, W\)"),
        (np.zeros((24, 32), np.int64), "type int64; expected uint8, uint16, or float"),
        (np.full((24, 32), 200.0), r"values from 200 to 200; expected \[0, 1\]. Divide it by 255"),
        (np.full((24, 32), np.nan), r"values from nan to nan; expected \[0, 1\]\.$"),
        (np.zeros((8, 32, 3), np.uint8), "32x8 px is too small"),
        (torch.zeros(24, 32, 3), r"permute\(2, 0, 1\)"),
        (torch.zeros(2, 3, 24, 32), "Restore them one by one"),
        (torch.zeros(3, 24, 32, dtype=torch.int64), "expected uint8, or float"),
        (torch.full((3, 24, 32), 2.0), r"values from 2 to 2"),
        (Image.new("I", (32, 24)), "kind 'I' are not supported; save it as RGB"),
        (3, "expected a path, a numpy array, a tensor or a Pillow image, but got a int"),
        ("absent.png", "does not exist"),
    ],
    ids=lambda given: given if isinstance(given, str) else type(given).__name__,
)
def test_what_is_no_photo_is_said_in_one_line(photo: Any, said: str, method: Method) -> None:
    with pytest.raises(InputError, match=said) as caught:
        method.restore(photo)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


def test_an_error_of_a_degradation_comes_with_its_traceback() -> None:
    class Raises(Noise):
        def forward(self, x: Tensor) -> Tensor:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        Method.from_config("denoise", **TOY, degradation=Raises).restore(bytes_of())
