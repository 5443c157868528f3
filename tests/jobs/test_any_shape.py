"""The contract of a degradation through the whole program: masks, kernels, larger results, chains; from a config to a
written file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from PIL import Image
from torch import Tensor

from helpers.command import run
from helpers.outputs import rows
from helpers.scenes import crop, noisy, psnr
from zeroair_pl import Method
from zeroair_pl.photos.photo import build
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.photos.writing import save_photo

FAMILIES = Path(__file__).parents[1] / "toy_families"
KERNEL = np.outer(k := np.exp(-0.5 * (np.arange(-3, 4) / 1.2) ** 2), k) / k.sum() ** 2


def blurred_by_kernel(x: Tensor) -> Tensor:
    weight = torch.from_numpy(KERNEL).float()[None, None].repeat(3, 1, 1, 1)
    return F.conv2d(F.pad(x, [3] * 4, mode="replicate"), weight, groups=3)


def holes() -> Tensor:
    mask = torch.zeros(1, 1, 96, 96)
    mask[..., 20:24, 10:80] = mask[..., 40:80, 50:53] = mask[..., 70:78, 8:16] = 1
    return mask


def written(x: Tensor, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((x[0].permute(1, 2, 0) * 255).round().byte().numpy().squeeze()).save(path)
    return path


def haze(x: Tensor) -> Tensor:
    return 0.55 * x + 0.45 * 0.85


CASES: dict[str, tuple[Any, Any, float]] = {
    "Masked": (lambda x: x * (1 - holes()) + holes(), "Masked", 4.0),
    "Halved": (lambda x: F.avg_pool2d(x, 2), "Halved", 0.2),
    "KnownBlur": (blurred_by_kernel, "KnownBlur", 1.5),
    "chain": (lambda x: blurred_by_kernel(haze(x)), ["Haze", "KnownBlur"], 1.5),
}


@pytest.mark.parametrize("case", CASES)
def test_from_a_config_to_a_written_file(case: str, tmp_path: Path) -> None:
    degrade, family, gain = CASES[case]
    clean = crop("haze_workshop", 96)
    photo = written(noisy(degrade(clean), 0.006), tmp_path / "photos" / "one.png")
    reference = written(clean, tmp_path / "clean" / "one.png")
    (tmp_path / "list.csv").write_text(f"image,reference\n{photo},{reference}\n")
    config = {"images": str(tmp_path / "list.csv"), "out": str(tmp_path / "out"), "degradation": family,
              "plugins": str(FAMILIES), "save_maps": True}  # fmt: skip
    if case == "Masked":
        written(holes(), tmp_path / "masks" / "one.png")
        config["missing"] = str(tmp_path / "masks")
    if "Blur" in str(family):
        np.save(tmp_path / "kernel.npy", KERNEL)
        config["kernel"] = str(tmp_path / "kernel.npy")
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    outcome = run("restore", "--config", tmp_path / "run.yaml")
    assert outcome.status == 0, outcome.err
    (row,) = rows(tmp_path / "out").values()
    assert row["kind"] == ("Haze + KnownBlur" if case == "chain" else case)
    restored = load_photo(tmp_path / "out" / row["output"]).pixels[None]
    assert restored.shape == clean.shape
    assert float(row["psnr"]) == pytest.approx(psnr(restored, clean), abs=0.01)
    assert float(row["psnr"]) > float(row["psnr_input"]) + gain
    assert (tmp_path / "out" / "strips" / row["output"]).is_file()
    again = run("restore", "--config", tmp_path / "run.yaml")
    assert "1 skipped" in again.out


def test_another_mask_is_another_result(tmp_path: Path) -> None:
    photo = written(crop("haze_workshop", 96) * (1 - holes()), tmp_path / "one.png")
    mask = written(holes(), tmp_path / "mask.png")
    words: list[str | Path] = ["restore", "--images", photo, "--plugins", FAMILIES, "--out", tmp_path / "out",
             "--degradation", "Masked", "--missing", mask,
             "--sampling.steps", "2", "--strips", "false", "--tensorboard", "false"]  # fmt: skip
    assert "1 restored" in run(*words).out
    written(holes().flip(-1), mask)
    assert "1 restored" in run(*words).out
    assert "1 skipped" in run(*words).out


@pytest.mark.parametrize("kernel", [np.zeros((3, 3)), np.ones(3), -np.ones((3, 3)), np.full((3, 3), np.nan)])
def test_what_is_no_kernel_is_one_clear_line(kernel: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", kernel)
    photo = written(crop("haze_workshop", 96), tmp_path / "one.png")
    outcome = run("restore", "--images", photo, "--out", tmp_path / "out", "--degradation", "KnownBlur", "--plugins",
                  FAMILIES, "--kernel", tmp_path / "k.npy", "--tensorboard", "false")  # fmt: skip
    assert outcome.status == 1
    assert "k.npy: a kernel" in outcome.err


def test_a_larger_result_from_python_is_blended_with_the_enlarged_photo() -> None:
    import sys

    sys.path.insert(0, str(FAMILIES))
    try:
        from halved import Halved
    finally:
        sys.path.remove(str(FAMILIES))
    y = F.avg_pool2d(crop("haze_workshop", 96), 2)
    restored = Method.from_config("denoise", degradation=Halved).restore(y)
    assert restored.image.shape == (1, 3, 96, 96)
    half = restored.blend(0.5).image
    enlarged = restored.blend(0).image
    assert half.shape == (1, 3, 96, 96)
    whole, part = ((image - enlarged).abs().mean() for image in (restored.image, half))
    assert 0.2 < float(part / whole) < 0.55, (
        "between a quarter and half of it: the photo's own texture comes back first"
    )
    assert psnr(restored.image, crop("haze_workshop", 96)) > psnr(enlarged, crop("haze_workshop", 96))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_transparency_grows_with_the_photo(dtype: str, tmp_path: Path) -> None:
    white = np.iinfo(dtype).max
    alpha = np.zeros((24, 32), dtype)
    alpha[:, 16:] = white
    like = build(np.full((24, 32, 3), white // 2, dtype), alpha, format="PNG", space="rgb", orientation=1)
    save_photo(tmp_path / "large.png", torch.full((3, 48, 64), 0.25), like)
    found = load_photo(tmp_path / "large.png")
    assert found.size == (48, 64)
    assert found.alpha is not None
    assert found.alpha.dtype == dtype
    assert (found.alpha[:, :30] == 0).all()
    assert (found.alpha[:, 34:] == white).all()
