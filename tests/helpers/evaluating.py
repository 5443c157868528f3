"""``evaluate`` of three toy photos: the words of its command line, and the rows of its table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from helpers.command import TOY, Outcome, run, save_toy

# Without a loss: nothing but random numbers and the prior decide the result.
FROM_NOISE = ("--sampling.sampler", "SchedulerSampler", "--sampling.sigma_max", "null", "--sampling.sigma_min", "0")
WORDS = ("--degradation", "Noise", "--guidance.update", "GradientUpdate", *FROM_NOISE, *TOY)
PAIRS = ("--images", "in", "--references", "clean")


def with_references(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, with the photos a, b and c in ``in/``, their references in ``clean/``, and results in ``theirs/``."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder / "hub"))  # as if nothing was ever downloaded
    for seed, name in enumerate("abc"):
        save_toy(folder / f"in/{name}.png", seed, height=32 + seed)
        save_toy(folder / f"clean/{name}.png", seed + 10, height=32 + seed)
        save_toy(folder / f"theirs/{name}.jpg", seed + 10, height=32 + seed)
    (folder / "in/list.csv").write_text("image,reference\n" + "".join(f"{n}.png,../clean/{n}.png\n" for n in "abc"))
    return folder


def evaluate(*words: str) -> Outcome:
    return run("evaluate", "--out", "out", *words)


def rows(result: str) -> list[dict[str, str]]:
    with Path("out/scores.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["result"] == result]
