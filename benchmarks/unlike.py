"""Pictures unlike the photographs that the prior was trained on, drawn by code: text, drawings, night, microscopy.

python benchmarks/unlike.py FOLDER [--count 3] [--size 192]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import machine
import numpy as np
from machine import option
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Random = np.random.Generator
KIND_SEED = 7
LARGER = 2  # drawings are made this many times as large, and shrunk, for soft edges
WORDS = ["river", "light", "stone", "paper", "winter", "garden", "signal", "number", "bridge", "window", "harbor"]


def text(random: Random, size: int) -> Image.Image:
    """A page of words in one or two sizes of letters, dark on light or light on dark."""
    paper, ink = random.uniform(0.75, 1, 3), random.uniform(0, 0.3, 3)
    if random.random() < 0.3:
        paper, ink = ink, paper
    image = Image.new("RGB", (size, size), _color(paper))
    draw, y = ImageDraw.Draw(image), 4
    letters = int(random.integers(9, 15))
    while y < size:
        height = letters * (2 if random.random() < 0.15 else 1)
        line = " ".join(random.choice(WORDS) for _ in range(12))
        draw.text((int(random.integers(2, 10)), y), line, fill=_color(ink), font=ImageFont.load_default(size=height))
        y += round(1.4 * height)
    return image


def drawing(random: Random, size: int) -> Image.Image:
    """Flat shapes with dark outlines, and hatching."""
    side = LARGER * size
    image = Image.new("RGB", (side, side), _color(random.uniform(0.8, 1, 3)))
    draw, ink = ImageDraw.Draw(image), _color(random.uniform(0, 0.2, 3))
    for _ in range(14):
        x, y, w, h = (int(v) for v in random.uniform(0.05, 0.5, 4) * side)
        x, y = 2 * x - side // 10, 2 * y - side // 10
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        fill, width = _color(random.uniform(0.2, 1, 3)), int(random.integers(2, 6))
        shape((x, y, x + w, y + h), fill=fill, outline=ink, width=width)
        if random.random() < 0.4:
            for k in range(0, w, int(random.integers(6, 14))):
                draw.line((x + k, y, x + k - h // 3, y + h), fill=ink, width=2)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def night(random: Random, size: int) -> Image.Image:
    """A dark street: buildings with a few lit windows, lamps with a glow, stars."""
    sky = np.linspace(0.02, 0.09, size)[:, None, None] * random.uniform(0.6, 1.2, 3)
    image = _image(np.broadcast_to(sky, (size, size, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(size // 3):
        x, y = (int(v) for v in random.uniform(0, 1, 2) * (size, size / 2))
        draw.point((x, y), fill=_color(np.full(3, random.uniform(0.2, 0.9))))
    left = 0
    while left < size:
        width, top = int(random.integers(25, 60)), int(random.uniform(0.2, 0.65) * size)
        draw.rectangle((left, top, left + width, size), fill=_color(random.uniform(0.03, 0.1, 3)))
        for x in range(left + 4, left + width - 6, 9):
            for y in range(top + 5, size - 12, 12):
                if random.random() < 0.3:
                    lit = _color(random.uniform(0.3, 1) * np.array([1, 0.85, 0.55]))
                    draw.rectangle((x, y, x + 4, y + 6), fill=lit)
        left += width + int(random.integers(0, 8))
    glow = Image.new("RGB", image.size)
    for _ in range(4):
        x, y = (int(v) for v in random.uniform(0, 1, 2) * (size, size))
        ImageDraw.Draw(glow).ellipse((x - 4, y - 4, x + 4, y + 4), fill=_color(random.uniform(0.6, 1, 3)))
    near, far = (np.asarray(glow.filter(ImageFilter.GaussianBlur(r)), np.float64) / 255 for r in (2, 12))
    return _image(np.asarray(image) / 255 + near + 2 * far)


def microscopy(random: Random, size: int) -> Image.Image:
    """Fluorescent cells: bright nuclei with texture, dimmer bodies, thin fibers, on black."""
    rows, columns = np.mgrid[:size, :size].astype(np.float64)
    light = np.zeros((size, size, 3))
    for _ in range(14):
        y, x = random.uniform(0, size, 2)
        long, ratio, turn = random.uniform(10, 22), random.uniform(0.5, 0.9), random.uniform(0, np.pi)
        u = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
        v = ((rows - y) * np.cos(turn) - (columns - x) * np.sin(turn)) / ratio
        distance = np.hypot(u, v) / long
        grain = _smooth(random, size, 1.2)
        light[..., 2] += random.uniform(0.5, 0.9) * np.clip(1.2 - 2.4 * distance, 0, 1) ** 0.5 * (0.75 + 0.25 * grain)
        light[..., 1] += random.uniform(0.15, 0.4) * np.exp(-2 * distance**2) * (0.8 + 0.3 * _smooth(random, size, 2.5))
    fibers = Image.new("L", (LARGER * size, LARGER * size))
    for _ in range(40):
        x, y = random.uniform(0, LARGER * size, 2)
        turn, points = random.uniform(0, 2 * np.pi), []
        for _ in range(20):
            points.append((x, y))
            turn += random.normal(0, 0.25)
            x, y = x + 14 * np.cos(turn), y + 14 * np.sin(turn)
        ImageDraw.Draw(fibers).line(points, fill=int(random.uniform(60, 200)), width=2)
    light[..., 0] += np.asarray(fibers.resize((size, size), Image.Resampling.LANCZOS)) / 255
    return _image(light + 0.02)


KINDS: dict[str, Callable[[Random, int], Image.Image]] = {
    "text": text,
    "drawing": drawing,
    "night": night,
    "microscopy": microscopy,
}


def composed(kind: str, number: int, size: int) -> NDArray[np.float64]:
    """The picture of that number of a kind, (size, size, 3) in [0, 1]; the same for every caller."""
    random = np.random.default_rng([KIND_SEED, list(KINDS).index(kind), number])
    return np.asarray(KINDS[kind](random, size), np.float64) / 255


def _smooth(random: Random, size: int, radius: float) -> NDArray[np.float64]:
    """Smooth noise of about unit variance, (size, size)."""
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None]
    kernel = np.exp(-0.5 * (rows**2 + columns**2) * (2 * np.pi * radius) ** 2)
    found = np.fft.ifft2(np.fft.fft2(random.normal(size=(size, size))) * kernel).real
    return found / found.std()


def _color(values: NDArray[np.float64]) -> tuple[int, int, int]:
    r, g, b = (int(v) for v in np.clip(255 * values, 0, 255).round())
    return r, g, b


def _image(values: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray((255 * np.clip(values, 0, 1)).round().astype(np.uint8))


def draw(options: argparse.Namespace) -> int:
    """Writes the pictures as PNG files."""
    options.folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        for number in range(options.count):
            picture = Image.fromarray((255 * composed(kind, number, options.size)).round().astype(np.uint8))
            picture.save(options.folder / f"{kind}-{number}.png")
    return 0


main = machine.Command(
    draw,
    __doc__,
    option("folder", type=Path),
    option("--count", type=int, default=3, help="pictures of each kind"),
    option("--size", type=int, default=192, help="of their sides, in pixels"),
)

if __name__ == "__main__":
    raise SystemExit(main())
