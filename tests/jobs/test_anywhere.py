"""The config.yaml of an output folder repeats its run from any working folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

import zeroair_pl
from helpers.command import TOY, run, save_toy
from zeroair_pl.config.absolute import with_absolute_paths
from zeroair_pl.priors.hub.locating import BUNDLED

PLUGIN = '''"""A gain, for photos that are too dim."""

from torch import Tensor

from zeroair_pl.degradations import Degradation


class Dimmer(Degradation):
    """A photo that was dimmed to two thirds, y = 2/3 x + n."""

    pointwise = True

    def forward(self, x: Tensor) -> Tensor:
        return 2 / 3 * x

    def invert(self, y: Tensor) -> Tensor:
        return 1.5 * y
'''


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two working folders; in the first are photos, a prior and a plugin."""
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    for name in ("a", "trip/b"):
        save_toy(here / f"photos/{name}.png", seed=len(name))
    shutil.copytree(BUNDLED / "small", here / "my-prior")
    (here / "plugins").mkdir()
    (here / "plugins/dimmer_plugin.py").write_text(PLUGIN)
    monkeypatch.chdir(here)
    return here, there


def test_the_file_of_a_function_that_is_the_prior_gets_an_absolute_path(folders: tuple[Path, Path]) -> None:
    here, _ = folders
    (here / "mine.py").write_text("")
    for path, found in (("mine.py:smooth", f"{here}/mine.py:smooth"), ("gone.py:smooth", "gone.py:smooth")):
        assert with_absolute_paths({"prior": {"init_args": {"path": path}}}) == {
            "prior": {"init_args": {"path": found}}
        }


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


WORDS = ("--degradation", "Dimmer", "--prior.path", "my-prior", "--sampling.steps", "2", "--tensorboard", "false")


def test_a_run_is_repeated_from_elsewhere(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = folders
    assert run("restore", *WORDS, "--images", "photos", "photos/trip/*.png", "--out", "out").status == 0
    before, config = files(here / "out"), (here / "out/config.yaml").read_text()
    values = yaml.safe_load(config)
    assert values["images"] == [f"{here}/photos", f"{here}/photos/trip/*.png"]
    assert values["out"] == f"{here}/out"
    assert values["plugins"] == [f"{here}/plugins"]
    assert values["prior"]["init_args"]["path"] == f"{here}/my-prior"
    assert with_absolute_paths(values) == values
    monkeypatch.chdir(there)
    again = run("restore", "--config", here / "out/config.yaml")
    assert (again.status, "2 skipped" in again.out) == (0, True), "not known for what it is"
    anew = run("restore", "--config", here / "out/config.yaml", "--overwrite", "--out", "new")
    assert anew.status == 0, anew.err
    assert files(there / "new") == before
    assert files(here / "out") == before
    assert (here / "out/config.yaml").read_text() == config
    assert [path.name for path in there.iterdir()] == ["new"]
    assert run("redo", here / "out", "a", "--strength", "0.5").status == 0
    assert files(here / "out")["trip/b.png"] == before["trip/b.png"]
    assert files(here / "out")["a.png"] != before["a.png"]


def test_from_python(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = folders
    settings = {"prior": {"class_path": TOY[1]}, "sampling": {"steps": 2}, "tensorboard": False}
    zeroair_pl.restore("photos", "denoise", out="out", **settings)
    before = files(here / "out")
    monkeypatch.chdir(there)
    zeroair_pl.restore(here / "photos", here / "out/config.yaml", out="new")
    assert files(there / "new") == before


def test_what_is_no_path_stays(folders: tuple[Path, Path]) -> None:
    """A setting that is not a path stays as it is, even if a folder has the same name."""
    here, _ = folders
    for name in ("small", "Haze", "cpu", "y", "uniform"):
        (here / name).mkdir()
    settings = {
        "degradation": {"class_path": "Haze"},
        "prior": {"class_path": "UNetPrior", "init_args": {"path": "small", "precision": "float32"}},
        "modeling": {"terms": [{"loss": {"class_path": "Fidelity", "init_args": {"target": "y"}}}]},
        "trainer": {"accelerator": "cpu"},
        "strength": 1.0,
    }
    assert with_absolute_paths(settings) == settings


@pytest.mark.parametrize("config", ["deblur", "upscale"])
def test_a_folder_whose_degradation_has_a_kernel_can_be_repeated_and_corrected(
    folder: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    """``kernel: auto`` of ``Blur`` became a path: neither redo nor config.yaml could be used."""
    save_toy(folder / "photos/a.png")
    save_toy(folder / "photos/b.png", 1)
    assert run("restore", "--config", config, "--images", "photos", "--out", "out", *TOY).status == 0
    monkeypatch.chdir(folder.parent)
    again = run("restore", "--config", folder / "out/config.yaml")
    assert (again.status, "2 skipped" in again.out) == (0, True), again.err
    redone = run("redo", folder / "out", "a", "--strength", "0.5")
    assert redone.status == 0, redone.err


def test_a_table_is_a_list_in_another_working_folder_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its photos are named as they were typed; there, each 'would replace the input', which did not exist."""
    save_toy(folder / "photos/a.png")
    assert run("restore", "--degradation", "Haze", "--images", "photos", "--out", "out", *TOY).status == 0
    monkeypatch.chdir(folder.parent)
    again = run("restore", "--config", folder / "out/config.yaml", "--images", folder / "out/results.csv")
    assert (again.status, "1 skipped" in again.out) == (0, True), again.err
    (folder / "photos/a.png").unlink()
    gone = run("restore", "--config", folder / "out/config.yaml", "--images", folder / "out/results.csv")
    assert gone.status == 1
    assert "photos/a.png does not exist" in gone.err
