"""The table of kinds against kinds counts what ``auto`` finds, and refits without a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from helpers.command import scripts
from helpers.scenes import PHOTOS, as_jpeg, clean, image_of

pytestmark = scripts("benchmarks/recognition.py")


def saved(folder: Path, photos: dict[str, Tensor]) -> Path:
    folder.mkdir(parents=True)
    for name, x in photos.items():
        image_of(x).save(folder / f"{name}.png")
    return folder


def test_kinds_against_kinds(script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = saved(tmp_path / "plain", {name: clean(name) for name in PHOTOS})
    hazy = saved(tmp_path / "hazy" / "degraded", {name: 0.5 * clean(name) + 0.43 for name in PHOTOS})
    coded = saved(tmp_path / "coded", {name: as_jpeg(0.5 * clean(name) + 0.43, 60)[1] for name in PHOTOS})
    thick = saved(tmp_path / "thick", {name: 0.3 * clean(name) + 0.6 for name in PHOTOS})
    assert script.main([f"Noise={plain}", f"Haze={hazy}", f"Haze={coded}", f"Haze={thick}", "--refit"]) == 0
    found = json.loads((tmp_path / "results" / "recognition.json").read_text())
    by_name = {row["set"]: row for row in found["sets"]}
    assert by_name["plain"]["taken_for"]["Noise"] == by_name["plain"]["alike"] == len(PHOTOS)
    assert by_name["hazy"]["taken_for"]["Haze"] == len(PHOTOS)
    assert by_name["hazy"]["alike"] == 0
    assert by_name["coded"]["taken_for"]["Haze"] == len(PHOTOS), "haze counts where JPEG is removed, too"
    assert [line["set"] for line in found["left_out"]] == ["hazy", "coded", "thick"]
    assert "hazy" in capsys.readouterr().out
    assert script.main(["Fog=."]) == 2
    assert "expected KIND=FOLDER with one of the kinds Noise, LowLight" in capsys.readouterr().err
