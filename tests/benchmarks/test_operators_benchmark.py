"""The table of operators, on sets of one toy photo each."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.command import scripts
from helpers.scenes import crop, image_of


def write(path: Path, x: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image_of(x).save(path, quality=20)


@scripts("benchmarks/operators.py")
def test_known_and_blind_rows(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    clean = crop("haze_workshop", 96)
    for kind, suffix in (("jpeg-20", "jpg"), ("holes", "png"), ("sleet", "png")):
        write(tmp_path / "sets" / kind / "clean" / "one.png", clean)
        write(tmp_path / "sets" / kind / "degraded" / f"one.{suffix}", clean)
    mask = np.zeros((96, 96), np.uint8)
    mask[30:34] = 255
    (tmp_path / "sets" / "holes" / "side").mkdir()
    Image.fromarray(mask).save(tmp_path / "sets" / "holes" / "side" / "one.png")
    assert script.main(["--sets", str(tmp_path / "sets"), "--limit", "1"]) == 0
    rows = {(row["kind"], row["way"]): row for row in json.loads(Path("restored/operators.json").read_text())["rows"]}
    assert set(rows) == {
        *(("jpeg-20", way) for way in ("known", "blind", "auto")),
        *(("holes", way) for way in ("known", "auto")),
    }
    assert rows["jpeg-20", "known"]["psnr"] > rows["jpeg-20", "known"]["input"]
    assert "no family for it yet" in capsys.readouterr().out
    again = ["--only", "holes", "--ways", "known", "--limit", "1"]
    assert script.main(["--sets", str(tmp_path / "sets"), *again]) == 0
    kept = json.loads(Path("restored/operators.json").read_text())["rows"]
    assert len(kept) == 5, "rows of other kinds and ways stay"
    side = ["--only", "jpeg-20", "--ways", "known", "--limit", "1", "--seeds", "0", "1", "--name", "of_a_process"]
    assert script.main(["--sets", str(tmp_path / "sets"), *side]) == 0
    assert script.main(["--merge", "restored/of_a_process.json", "--limit", "1"]) == 0
    taken = json.loads(Path("restored/operators.json").read_text())["rows"]
    assert [len(row.get("seeds", [])) for row in taken] == [0, 0, 2, 0, 0], "its row replaces that of the kind and way"
    assert script.main([]) == 2


@scripts("benchmarks/operators.py")
def test_a_folder_without_kinds_is_one_line(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--sets", str(tmp_path)]) == 2
    assert "no kind with a folder 'clean' there" in capsys.readouterr().err


@scripts("benchmarks/peers.py")
def test_peers_beside_the_own_method(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that does nothing but fill in; those of deepinv need that package."""
    monkeypatch.chdir(tmp_path)
    clean = crop("haze_workshop", 64)
    for part in ("clean", "degraded"):
        write(tmp_path / "sets" / "holes" / part / "one.png", clean)
    mask = np.zeros((64, 64), np.uint8)
    mask[30:34] = 255
    (tmp_path / "sets" / "holes" / "side").mkdir()
    Image.fromarray(mask).save(tmp_path / "sets" / "holes" / "side" / "one.png")

    class Counter:
        passes = 3

    monkeypatch.setattr(script, "peers", lambda kind: {"filled": lambda y, physics, denoiser: y * physics})
    monkeypatch.setattr(script, "denoiser_of", lambda prior: Counter())
    monkeypatch.setattr(script, "physics_of", lambda phi, y: phi.seen)
    assert script.main(["--sets", str(tmp_path / "sets"), "--only", "holes", "--side", "64"]) == 0
    rows = {row["method"]: row for row in json.loads(Path("restored/peers.json").read_text())["rows"]}
    assert set(rows) == {"this project", "filled"}
    assert rows["filled"]["nfe"] == 3
    assert rows["this project"]["psnr"] > 25


@scripts("benchmarks/tdm_operators.py")
def test_errors_of_operators(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "CASES", {"specks": script.CASES["specks"]})
    assert script.main(["--limit", "1", "--side", "64", "--folder", str(tmp_path)]) == 0
    (row,) = json.loads((tmp_path / "tdm_operators.json").read_text())["rows"]
    assert row["psnr"] > row["input"] + 5
    assert row["end"] < 0.2
