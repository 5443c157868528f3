"""Time and peak memory of each family on a large photo.

    python benchmarks/large.py [--only KIND ...] [--megapixels 12] [--levels N]

An example photo and its mirror images are tiled to a photo of 4:3, which is then degraded as the names of the kinds say
(``upscale`` gets a quarter of the pixels, and restores all of them). A process of its own restores it, from file to
file, since a peak never falls. Seconds are those of the clock and of the processor. Replaces the rows of these kinds in
benchmarks/results/large.json, or in the file that ``--name`` gives.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import machine
import sizes
from machine import option

SOURCE = Path(__file__).parents[1] / "examples" / "clean" / "haze_workshop.png"


class Kind(NamedTuple):
    """How a photo is degraded and restored.

    Attributes:
        degrade: maps the clean pixels (1, 3, H, W), a generator and a folder to the degraded ones; it may write a mask.
        settings: of ``zeroair_pl.restore``, such as the config.
        suffix: of the photo's file.
    """

    degrade: Callable[[Any, Any, Path], Any]
    settings: dict[str, Any]
    suffix: str = ".png"


def blurred(kind: str, size: float) -> Callable[[Any, Any, Path], Any]:
    def degrade(x: Any, generator: Any, folder: Path) -> Any:
        import numpy as np
        import torch
        import torch.nn.functional as F

        from zeroair_pl.degradations.blur import kernel_of

        h = kernel_of(kind, size, 0.5)
        np.save(folder / "kernel.npy", h.numpy())
        for channel in range(3):
            padded = F.pad(x[:, channel : channel + 1], [len(h) // 2] * 4, mode="reflect")
            x[:, channel : channel + 1] = F.conv2d(padded, h.flip(0, 1)[None, None])
        return x.add_(0.008 * torch.randn(x.shape, generator=generator))

    return degrade


def specked(x: Any, generator: Any, folder: Path) -> Any:
    import torch

    drawn = torch.rand(x.shape[-2:], generator=generator)
    x[..., drawn < 0.02] = 0
    x[..., drawn > 0.98] = 1
    return x


def torn(x: Any, generator: Any, folder: Path) -> Any:
    import numpy as np
    import torch
    from PIL import Image

    mask = np.zeros(x.shape[-2:], bool)
    mask[:, ::97] = mask[:, 1::97] = mask[::211] = mask[100:160, 100:220] = True
    Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "mask.png")
    x[..., torch.from_numpy(mask)] = 1
    return x


def rained_on(x: Any, generator: Any, folder: Path) -> Any:
    import torch

    height, width = x.shape[-2:]
    light = torch.zeros(height, width)
    wide = max(2, height // 300)  # in a larger photo, rain is as large a part of it
    for place in torch.rand(height * width // (500 * wide * wide), 2, generator=generator):
        top, left = int(place[0] * height), int(place[1] * width)
        light[top : top + 15 * wide, left : left + wide] = 0.4
    return x + light


def darkened(x: Any, generator: Any, folder: Path) -> Any:
    import torch

    from zeroair_pl.degradations.vignette import radius

    return x * torch.exp(-0.7 * radius(x.shape[-2], x.shape[-1]).square())


def noisy(x: Any, generator: Any, folder: Path) -> Any:
    import torch

    return x.add_(0.08 * torch.randn(x.shape, generator=generator))


def kept(x: Any, generator: Any, folder: Path) -> Any:
    return x


def smaller(x: Any, generator: Any, folder: Path) -> Any:
    import torch.nn.functional as F

    return F.avg_pool2d(x, 2)


KINDS = {
    "deblur": Kind(blurred("disc", 3.0), {"config": "deblur"}),
    "deblur, soft lens": Kind(blurred("gaussian", 1.5), {"config": "deblur"}),
    "deblur, known kernel": Kind(blurred("line", 15.0), {"config": "deblur", "kernel": "kernel.npy"}),
    "deblur_free": Kind(blurred("line", 15.0), {"config": "deblur_free"}),
    "dejpeg": Kind(kept, {"config": "dejpeg"}, ".jpg"),
    "upscale": Kind(smaller, {"config": "upscale"}),
    "inpaint": Kind(torn, {"config": "inpaint", "missing": "mask.png"}),
    "despeckle": Kind(specked, {"config": "despeckle"}),
    "derain": Kind(rained_on, {"config": "derain"}),
    "devignette": Kind(darkened, {"config": "devignette"}),
    "unfade": Kind(lambda x, *_: 0.25 + 0.5 * x, {"config": "unfade"}),
    "denoise": Kind(noisy, {"config": "denoise"}),
    "deband": Kind(lambda x, *_: (15 * x).round() / 15, {"config": "deband"}),
    "deblur, JPEG": Kind(
        blurred("gaussian", 1.5),
        {"config": "deblur", "degradation": [{"class_path": "Blur"}, {"class_path": "Jpeg"}]},
        ".jpg",
    ),
}


def measure(options: argparse.Namespace) -> int:
    """Prints a line for each kind, and writes the JSON file."""
    if options.part:
        task, kind, folder = options.part
        chosen = KINDS[kind]
        if options.levels:
            chosen = chosen._replace(settings={**chosen.settings, "sampling": {"steps": options.levels}})
        {"degrade": degraded, "restore": restored}[task](chosen, Path(folder))
        return 0
    path = machine.RESULTS / f"{options.name}.json"
    found = json.loads(path.read_text())["rows"] if path.is_file() else {}
    for kind in options.only or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            width, height = sizes.mosaic(SOURCE, options.megapixels, Path(folder) / "clean.png")
            for task in ("degrade", "restore"):
                words = [sys.executable, __file__, "--levels", str(options.levels), "--part", task, kind, folder]
                child = subprocess.run(words, capture_output=True, text=True)
                if child.returncode:
                    print(f"error: {kind}: {child.stderr.strip()}", file=sys.stderr)
                    return 1
            row = {"megapixels": round(width * height / 1e6, 1), **json.loads(child.stdout.splitlines()[-1])}
        line = "{:21}{:5.1f} Mpx{:8.1f} s{:8.1f} s CPU{:7.0f} MiB{:5.0f} passes"
        print(line.format(kind, *row.values()), flush=True)
        found[kind] = {**row, "levels": options.levels or "config"}
    print(f"all numbers: {machine.write(options.name, {'rows': found, **machine.described()})}")
    return 0


def degraded(kind: Kind, folder: Path) -> None:
    """Writes ``photo`` with the suffix of the kind, made of clean.png."""
    import torch
    from PIL import Image

    from zeroair_pl.photos.reading import load_photo

    x = load_photo(folder / "clean.png").pixels[None].clone()
    y = kind.degrade(x, torch.Generator().manual_seed(0), folder)
    pixels = (255 * y[0].clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
    settings: dict[str, Any] = {"quality": 25} if kind.suffix == ".jpg" else {"compress_level": 1}
    Image.fromarray(pixels).save(folder / f"photo{kind.suffix}", **settings)


def restored(kind: Kind, folder: Path) -> None:
    """Prints seconds, those of the processor, peak memory in MiB and passes of one restoration."""
    from zeroair_pl import restore

    settings = dict(kind.settings)
    settings.update({name: folder / settings[name] for name in ("missing", "kernel") if name in settings})
    began = time.perf_counter(), time.process_time()
    photo = folder / f"photo{kind.suffix}"
    results = restore(photo, **settings, out=folder / "restored", tensorboard=False, strips=False)
    (row,) = results.rows
    if row.status != "restored":
        raise SystemExit(row.reason)
    seconds, busy = time.perf_counter() - began[0], time.process_time() - began[1]
    print(json.dumps({"seconds": round(seconds, 1), "cpu": round(busy, 1), "peak": sizes._peak(), "nfe": row.nfe}))


main = machine.Command(
    measure,
    __doc__,
    option("--only", nargs="+", default=[], help="of the kinds"),
    option("--megapixels", type=float, default=12.0, help="of the clean photo"),
    option("--levels", type=int, default=0, help="noise levels; those of the config if not given"),
    option("--part", nargs=3, help=argparse.SUPPRESS),  # for the processes of one kind
    name="large",
)

if __name__ == "__main__":
    raise SystemExit(main())
