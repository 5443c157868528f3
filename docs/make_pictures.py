"""Draws the pictures of docs/kinds.md: each kind of degradation, before and after.

    python docs/make_pictures.py [KIND ...]

The photos are those of examples/photos, as they are, or of examples/clean, degraded here with known numbers. The
restoration sees the degraded photo, and a mask where the kind needs one, nothing else. Prints the PSNR before and after
where there is a clean original. Takes a few minutes on a CPU.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from zeroair_pl import Method
from zeroair_pl.degradations.blur import kernel_of

EXAMPLES = Path(__file__).parents[1] / "examples"
OUT = Path(__file__).parent / "images" / "kinds"
WIDTH = 400  # of each half of a picture, in pixels
LIMIT = 100_000  # bytes of a picture
Array = NDArray[Any]  # a photo, (H, W, 3): float64 in [0, 1] while it is degraded, uint8 as a file holds it


def clean(name: str, box: tuple[int, int, int, int]) -> Array:
    """A part of a clean photo: left, top, right, bottom, in pixels."""
    return np.asarray(Image.open(EXAMPLES / "clean" / name).convert("RGB").crop(box)) / 255


def photographed(x: Array, sigma: float = 2 / 255) -> Array:
    """With white noise, clipped and rounded to 8 bits."""
    y = x + sigma * np.random.default_rng(0).standard_normal(x.shape)
    return (255 * y.clip(0, 1) + 0.5).astype("uint8")


def blurred(x: Array, kernel: torch.Tensor) -> Array:
    """Where the kernel lies inside the photo."""
    planes = torch.from_numpy(x).permute(2, 0, 1)[:, None]
    return F.conv2d(planes, kernel.flip(0, 1)[None, None].double())[:, 0].permute(1, 2, 0).numpy()


def haze() -> tuple[Any, ...]:
    return EXAMPLES / "photos" / "haze_mountain.jpg", None, "dehaze", {}, {}


def low_light() -> tuple[Any, ...]:
    return EXAMPLES / "photos" / "dark_shore.png", None, "low_light", {}, {}


def water() -> tuple[Any, ...]:
    """y = g·x + v for each channel, more of the veil v at the top."""
    x = clean("dark_tulips.png", (0, 0, 500, 375))
    far = np.linspace(1, 0.5, len(x))[:, None, None]
    y = np.array([0.35, 0.75, 0.7]) * x + far * np.array([0.02, 0.16, 0.2])
    return photographed(y), x, "underwater", {}, {}


def noise() -> tuple[Any, ...]:
    x = clean("noise_blossom.png", (60, 120, 460, 420))
    return photographed(x, 30 / 255), x, "denoise", {}, {}


def blur() -> tuple[Any, ...]:
    x = clean("haze_workshop.png", (150, 90, 560, 400))
    kernel = kernel_of("disc", 4.0)
    edge = len(kernel) // 2
    return photographed(blurred(x, kernel)), x[edge:-edge, edge:-edge], "deblur", {}, {}


def shake() -> tuple[Any, ...]:
    x = clean("haze_workshop.png", (150, 90, 560, 400))
    kernel = torch.zeros(15, 15)
    for i in range(15):
        kernel[i, round(7 + 3 * np.sin(i / 2.5))] = 1.0
    kernel = kernel / kernel.sum()
    return photographed(blurred(x, kernel)), x[7:-7, 7:-7], "deblur_free", {}, {}


def jpeg() -> tuple[Any, ...]:
    x = clean("noise_blossom.png", (100, 140, 340, 320))
    Image.fromarray(photographed(x, 0)).save(path := Path(tempfile.mkdtemp()) / "degraded.jpg", quality=10)
    return path, x, "dejpeg", {}, {}


def fringes() -> tuple[Any, ...]:
    """Red and blue of another size than green, around the middle."""
    x = clean("noise_blossom.png", (0, 0, 500, 375))
    planes = torch.from_numpy(x.astype("float32")).permute(2, 0, 1)[:, None]
    sizes = torch.tensor([1.01, 1, 0.993])[:, None, None]
    grid = F.affine_grid(torch.eye(2, 3)[None] / sizes, list(planes.shape), align_corners=False)
    drawn = F.grid_sample(planes, grid, "bicubic", "border", align_corners=False)
    return photographed(drawn[:, 0].permute(1, 2, 0).numpy(), 1 / 255), x, "defringe", {}, {}


def banding() -> tuple[Any, ...]:
    x = clean("noise_blossom.png", (60, 120, 460, 420))
    return photographed((x * 7).round() / 7, 0), x, "deband", {}, {}


def low_resolution() -> tuple[Any, ...]:
    x = clean("haze_workshop.png", (200, 110, 600, 410))
    small = x.reshape(len(x) // 4, 4, -1, 4, 3).mean((1, 3))
    return photographed(small, 0), x, "upscale", {"degradation": {"init_args": {"factor": 4}}}, {}


def holes() -> tuple[Any, ...]:
    x = clean("dark_tulips.png", (60, 60, 460, 360))
    mask = Image.new("L", (x.shape[1], x.shape[0]))
    draw = ImageDraw.Draw(mask)
    draw.text((24, 120), "Sample text across it", 255, ImageFont.load_default(36))
    draw.line((10, 250, 180, 215, 390, 270), 255, 4)
    draw.line((330, 5, 300, 110, 340, 290), 255, 3)
    draw.ellipse((60, 30, 84, 54), 255)
    missing = np.asarray(mask) > 127
    y = np.where(missing[..., None], 1.0, x)
    return photographed(y, 0), x, "inpaint", {}, {"missing": missing.astype("float32")}


def specks() -> tuple[Any, ...]:
    x = clean("noise_blossom.png", (60, 120, 460, 420))
    rng = np.random.default_rng(0)
    y = x.copy()
    y[rng.random(x.shape[:2]) < 0.03] = 1.0
    y[rng.random(x.shape[:2]) < 0.03] = 0.0
    y[:, 133] = 0.9
    return photographed(y), x, "despeckle", {}, {}


def rain() -> tuple[Any, ...]:
    """Bright lines of 14 to 30 pixels, in about one direction."""
    x = clean("haze_workshop.png", (150, 90, 550, 390))
    rng = np.random.default_rng(0)
    sheet = Image.new("L", (2 * x.shape[1], 2 * x.shape[0]))
    draw = ImageDraw.Draw(sheet)
    for _ in range(420):
        left, top, length = rng.uniform((0, -40, 28), (sheet.width, sheet.height, 60))
        lean = length * np.tan(rng.normal(0.2, 0.02))
        draw.line((left, top, left - lean, top + length), int(rng.uniform(60, 160)), 2)
    light = np.asarray(sheet.resize((x.shape[1], x.shape[0]), Image.Resampling.BOX))[..., None] / 255
    return photographed(x + light), x, "derain", {}, {}


def vignette() -> tuple[Any, ...]:
    """The light falls with the fourth power of the cosine of the angle to the axis; the corners have 40 % of it."""
    x = clean("dark_tulips.png", (0, 0, 500, 375))
    down, across = np.linspace(-0.6, 0.6, len(x)), np.linspace(-0.8, 0.8, x.shape[1])
    squares = down[:, None, None] ** 2 + across[None, :, None] ** 2
    return photographed(x / (1 + 0.58 * squares) ** 2), x, "devignette", {}, {}


def faded() -> tuple[Any, ...]:
    """Black became 0.25, white 0.8, as on an old print."""
    x = clean("dark_tulips.png", (0, 0, 500, 375))
    return photographed(0.25 + 0.55 * x), x, "unfade", {}, {}


def chain() -> tuple[Any, ...]:
    x = clean("haze_workshop.png", (0, 0, 740, 496))
    x = np.asarray(Image.fromarray(photographed(x, 0)).resize((400, 268), Image.Resampling.LANCZOS)) / 255
    t = np.linspace(0.4, 0.8, len(x))[:, None, None]
    dusk = 0.35 * (t * x + 0.85 * (1 - t))
    return photographed(dusk**1.1), x, "auto", {"degradation": ["Haze", "LowLight"]}, {}


KINDS: dict[str, Callable[[], tuple[Any, ...]]] = {
    each.__name__: each
    for each in (
        haze,
        low_light,
        water,
        noise,
        blur,
        shake,
        jpeg,
        low_resolution,
        holes,
        specks,
        banding,
        fringes,
        rain,
        vignette,
        faded,
        chain,
    )
}


def main(names: Sequence[str] = (), out: Path = OUT) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in names or KINDS:
        y, x, config, settings, side = KINDS[name]()
        restored = Method.from_config(config, **settings).restore(y, side=side)
        after = (255 * restored.pixels.permute(1, 2, 0).numpy() + 0.5).astype("uint8")
        before = np.asarray(Image.open(y).convert("RGB")) if isinstance(y, Path) else y
        size = (after.shape[1], after.shape[0])
        before = np.asarray(Image.fromarray(before).resize(size, Image.Resampling.BICUBIC))
        drawn = picture(before, after)
        (out / f"{name}.jpg").write_bytes(drawn)
        scores = "" if x is None else f"  {psnr(before, x):.1f} → {psnr(after, x):.1f} dB"
        print(f"{name:16} {len(drawn) / 1000:4.0f} kB{scores}", flush=True)


def picture(before: Array, after: Array) -> bytes:
    """Both side by side as a JPEG of at most ``LIMIT`` bytes."""
    height = round(WIDTH * before.shape[0] / before.shape[1])
    sheet = Image.new("RGB", (2 * WIDTH + 8, height), "white")
    for i, half in enumerate((before, after)):
        sheet.paste(Image.fromarray(half).resize((WIDTH, height), Image.Resampling.LANCZOS), (i * (WIDTH + 8), 0))
    for quality in (90, 85, 80, 70, 60, 50):
        sheet.save(file := io.BytesIO(), "JPEG", quality=quality, optimize=True)
        if file.tell() <= LIMIT:
            break
    return file.getvalue()


def psnr(image: Array, x: Array) -> float:
    return float(-10 * np.log10(np.mean((image / 255 - x) ** 2)))


if __name__ == "__main__":
    main(sys.argv[1:])
