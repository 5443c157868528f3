"""The benchmark of ablations: every row can be used, differs from its base, and gets into the table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

from helpers.command import save_toy, scripts
from helpers.toys import ToyPrior, toy_photo
from zeroair_pl.degradations import Haze
from zeroair_pl.guidance import Likelihood
from zeroair_pl.guidance.stages import Term
from zeroair_pl.method.fit import fit
from zeroair_pl.method.settings import Guidance, Method, Modeling, Sampling
from zeroair_pl.plugins import classes


def options(**changed: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"base": "task", "groups": ["method", "steps", "gan", "paper"], **changed})


@scripts("benchmarks/ablations.py")
def test_every_row_is_understood_and_differs_from_its_base(script: ModuleType) -> None:
    rows = dict(script.rows_of(script.PhotoSet("haze-x", {}), options()))
    assert len(rows) > 35
    few = {title: preset for title, preset in rows.items() if not title.startswith("paper, ") or "out " in title}
    settings = {title: script.resolved(preset) for title, preset in few.items()}
    for title, found in settings.items():
        base = settings["paper" if title.startswith("paper") else "base"]
        assert (found == base) == (title in ("base", "paper")), title
    assert (
        settings["noise level not learned"]["degradation"]["init_args"] == settings["base"]["degradation"]["init_args"]
    )
    assert settings["250 steps"]["sampling"] == {**settings["base"]["sampling"], "steps": 250}
    assert settings["gan, hinge"]["modeling"]["terms"][1]["loss"]["init_args"]["objective"] == "hinge"
    assert "two noise maps" not in rows, "one is all that the noise-matched sampler has"
    paper = settings["paper"]
    assert paper["prior"]["init_args"]["path"] == "small", "nothing has to be fetched"
    assert "vgg16" not in json.dumps(paper)
    assert paper["sampling"]["sampler"]["init_args"]["auxiliary"]
    assert not script.resolved(rows["paper, one noise map"])["sampling"]["sampler"]["init_args"]["auxiliary"]
    left = [term["loss"]["class_path"] for term in settings["paper, without guidance Perceptual"]["guidance"]["terms"]]
    assert left == ["Fidelity", "TotalVariation"]
    without = settings["paper, without stage II"]["guidance"]["terms"]
    for term, before in zip(without, paper["guidance"]["terms"], strict=True):
        assert term["weight"] == {**before["weight"], "II": 0}


@scripts("benchmarks/ablations.py")
def test_the_table_has_a_row_for_each_change(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "STEPS", (3,))
    monkeypatch.setattr(script, "LAYERS", [("no_tdm",), ("gradient", "neural"), ("one_sample", "neural")])
    save_toy(tmp_path / "sets" / "haze-x" / "clean" / "one.png", 1)
    save_toy(tmp_path / "sets" / "haze-x" / "degraded" / "one.png", 2)
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump({"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}}))
    given = ["--sets", tmp_path / "sets", "--only", "haze-x", "--base", f"task+{tmp_path / 'quick.yaml'}"]
    words = [str(word) for word in (*given, "--out", tmp_path / "out")]
    assert script.main(words) == 1, "a free network gives no noise of each value"
    said = capsys.readouterr()
    assert "skipped: haze-x, one_sample + neural: " in said.err
    measured = json.loads((tmp_path / "results" / "ablations.json").read_text())
    assert str(tmp_path) not in json.dumps(measured)
    assert measured["base"] == "task+quick"
    rows = measured["sets"]["haze-x"]["rows"]
    assert list(rows) == ["base", "no_tdm", "gradient + neural", "noise level not learned", "3 steps"]
    assert rows["3 steps"]["settings"]["sampling"]["steps"] == 3
    assert rows["gradient + neural"]["settings"]["degradation"]["class_path"] == "Neural"
    line = next(line for line in said.out.splitlines() if line.startswith("no_tdm"))
    assert f"({rows['no_tdm']['psnr'] - rows['base']['psnr']:+.2f})" in line


@scripts("benchmarks/ablations.py")
def test_it_works_on_sets_of_ones_own(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's command, with names that say nothing, a set without a truth, and examples that nobody asked for."""
    monkeypatch.setattr(script, "LAYERS", [("no_tdm",)])
    for name in ("holiday", "haze-mine"):
        save_toy(tmp_path / "sets" / name / "clean/one.png", 1)
        save_toy(tmp_path / "sets" / name / "degraded/one.png", 2)
    save_toy(tmp_path / "sets/no-truth/degraded/one.png", 2)
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump({"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}}))
    words = ["--sets", tmp_path / "sets", "--limit", "2", "--groups", "method", "--out", tmp_path / "out"]
    assert script.main([str(word) for word in (*words, "--base", f"task+{tmp_path / 'quick.yaml'}")]) == 0
    measured = json.loads((tmp_path / "results/ablations.json").read_text())["sets"]
    assert list(measured) == ["haze-mine", "holiday"]
    kinds = [each["rows"]["base"]["settings"]["degradation"]["class_path"] for each in measured.values()]
    assert kinds == ["Haze", "Auto"]
    assert list(measured["holiday"]["rows"]) == ["base", "no_tdm", "noise level not learned"]
    save_toy(tmp_path / "sets/haze-hsts/clean/one.png", 1)
    save_toy(tmp_path / "sets/haze-hsts/degraded/one.png", 2)
    names = [photos.name for photos in script.chosen(argparse.Namespace(sets=tmp_path / "sets", only=None, limit=2))]
    assert names == ["haze-hsts"], "the paper's, where they are"


@scripts("benchmarks/held.py")
def test_a_held_noise_level_stays_while_all_else_is_learned(script: ModuleType) -> None:
    y = 0.5 * toy_photo(32, 32) + 0.4
    modeling = Modeling([Term(Likelihood())], lr=0.1)

    def learned(family: type[Haze]) -> Any:
        method = Method(family, ToyPrior(), modeling, Guidance(), Sampling(steps=4))
        (phi,) = fit(y, ["photo"], method).phi
        return phi

    script.held(Haze)
    free, held = learned(Haze), learned(script.HeldHaze)
    assert not torch.equal(free.noise.log_sigma, free.noise.log_start)
    assert torch.equal(held.noise.log_sigma, held.noise.log_start)
    assert bool(held.tint.any())
    assert not torch.equal(held.correction, torch.zeros_like(held.correction))
    assert "HeldHaze" in classes("family")
