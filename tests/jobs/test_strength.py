"""Another strength for a finished photo: from what is stored, with no pass of the prior, to the same bytes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import zeroair_pl
from helpers.command import run, save_toy
from helpers.toys import ToyPrior
from zeroair_pl.priors.vp import Prediction

FAST = ("--prior", "test_strength.Counting", "--sampling.steps", "2", "--tensorboard", "false")


class Counting(ToyPrior):
    """Counts the images that it is shown, in all fits of the process."""

    seen = 0

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        Counting.seen += 1
        return super().predict(x_t, t)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    for seed, name in enumerate(("a.png", "b.jpg", "c.tif")):
        save_toy(tmp_path / "in" / name, seed, 32, 40)
    return tmp_path


def restore(out: str, strength: float, *words: str) -> int:
    """Passes of the prior of a run."""
    import test_strength  # the class that the command line finds

    before = test_strength.Counting.seen
    outcome = run("restore", "--images", "in", "--degradation", "Haze", "--out", out, "--strength", str(strength),
                  *FAST, *words)  # fmt: skip
    assert outcome.status == 0, outcome.err
    return test_strength.Counting.seen - before


def files(out: str) -> dict[str, bytes]:
    """The files that a person looks at, without the table, which has the seconds of the fits."""
    paths = sorted(path for path in Path(out).rglob("*") if path.is_file() and ".zeroair" not in path.parts)
    return {
        str(path.relative_to(out)): path.read_bytes() for path in paths if path.suffix not in (".csv", ".yaml", ".html")
    }


def test_another_strength_needs_no_pass_and_gives_the_same_bytes() -> None:
    assert restore("out", 1, "--save_maps", "true") > 0
    for strength in (0.6, 0.25, 0, 1, 0.6):
        fresh = f"fresh-{strength}"
        if not Path(fresh).exists():
            assert restore(fresh, strength, "--save_maps", "true") > 0
        assert restore("out", strength, "--save_maps", "true") == 0
        assert files("out") == files(fresh), f"strength {strength}: outputs, strips and maps"
        with Path("out/results.csv").open() as table:
            rows = list(csv.DictReader(table))
        assert [row["status"] for row in rows] == ["restored"] * 3
        assert all(row["nfe"] and row["kind"] == "Haze" and row["noise_level"] for row in rows)
    assert len({files(f"fresh-{strength}")["a.png"] for strength in (0.6, 0.25, 0)}) == 3
    assert restore("out", 0.6) == 0, "and finished"
    assert {path.name for path in Path("out/.zeroair").glob("*.full")} == {"a.full", "b.full", "c.full"}
    assert restore("out", 1) == 0
    assert not list(Path("out/.zeroair").glob("*.full")), "at strength 1 the outputs are what is stored"


def test_redo_with_a_strength() -> None:
    restore("out", 1)
    restore("other", 0.4)
    before = Counting.seen
    assert run("redo", "out", "a", "--strength", "0.4").status == 0
    assert Counting.seen == before
    assert Path("out/a.png").read_bytes() == Path("other/a.png").read_bytes()
    assert Path("out/b.jpg").read_bytes() != Path("other/b.jpg").read_bytes()
    assert json.loads(Path("out/.zeroair/a.json").read_text())["choice"] == {"strength": 0.4}


@pytest.mark.parametrize("what", ["lost", "changed"])
def test_what_is_stored_and_lost_or_changed_is_fitted_anew(what: str) -> None:
    restore("out", 0.5)
    path = Path("out/.zeroair/a.full")
    path.unlink() if what == "lost" else path.write_bytes(b"something else")
    passes = restore("out", 0.25)
    assert 0 < passes < restore("fresh", 0.25), "a alone"
    assert Path("out/a.png").read_bytes() == Path("fresh/a.png").read_bytes()
    assert (what == "changed") == (path.read_bytes() == b"something else"), "what is not ours stays"


def test_another_fit_or_overwrite_is_no_other_strength() -> None:
    whole = restore("out", 1)
    assert restore("out", 0.5, "--overwrite") == whole
    assert restore("out", 0.5, "--seed", "1") == whole
    save_toy(Path("in/a.png"), 9, 32, 40)
    assert 0 < restore("out", 0.4, "--seed", "1") < whole, "another photo of that name alone"


def test_strength_0_of_a_lossless_file_is_the_photo() -> None:
    restore("out", 0)
    for name in ("a.png", "c.tif"):
        assert (np.asarray(Image.open(f"out/{name}")) == np.asarray(Image.open(f"in/{name}"))).all()


def test_python_saves_the_bytes_of_the_command_line(tmp_path: Path) -> None:
    restore("out", 0.3)
    method = zeroair_pl.Method.from_config(
        {}, prior="helpers.toys.ToyPrior", sampling={"steps": 2}, degradation={"class_path": "Haze"}
    )
    for name in ("a.png", "b.jpg", "c.tif"):
        restored = method.restore(tmp_path / "in" / name).blend(0.3)
        assert restored.save(tmp_path / "mine" / name).read_bytes() == Path("out", name).read_bytes()
