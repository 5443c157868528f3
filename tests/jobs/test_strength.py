"""Another strength for a finished photo: from what is stored, with no pass of the prior, to the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import zeroair_pl
from helpers.command import run, save_toy
from helpers.outputs import table_of
from helpers.toys import ToyPrior
from zeroair_pl.errors import ConfigError
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


def restore(out: str, strength: float | str, *words: str) -> int:
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
        assert [row["status"] for row in table_of()] == ["restored"] * 3
        assert all(row["nfe"] and row["kind"] == "Haze" and row["noise_level"] for row in table_of())
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


def test_a_strength_for_each_kind_needs_no_pass_and_gives_the_same_bytes() -> None:
    restore("out", 1)
    for strength in ("Haze=0.6,Noise=0", "noise=0.5", "Haze=0,Noise=0", "Blur=0.5", "Haze=0.6,Noise=0"):
        fresh = f"fresh-{strength}"
        if not Path(fresh).exists():
            restore(fresh, strength)
        assert restore("out", strength) == 0
        assert files("out") == files(fresh), strength
    assert Path("out/a.png").read_bytes() != Path("fresh-noise=0.5/a.png").read_bytes()
    assert Path("fresh-Haze=0,Noise=0/a.png").read_bytes() == Path("in/a.png").read_bytes()
    restore("whole", 1)
    assert Path("fresh-Blur=0.5/a.png").read_bytes() == Path("whole/a.png").read_bytes(), "there is no blur in it"
    assert "strength: Haze=0.6,Noise=0" in Path("out/config.yaml").read_text()


def test_a_chain_stores_its_links_from_the_first_strength_of_a_kind_on() -> None:
    chain = ("--degradation", "[Haze, Jpeg]")
    assert restore("out", 1, *chain) > 0
    assert restore("out", "Haze=0.5", *chain) > 0, "the photo between the links was not stored"
    assert len(list(Path("out/.zeroair").glob("*.step*"))) == 6
    for strength in ("Haze=0.2,Jpeg=0.5", "Jpeg=0"):
        assert restore("out", strength, *chain) == 0
        assert restore(f"fresh-{strength}", strength, *chain) > 0
        assert files("out") == files(f"fresh-{strength}")
    assert restore("out", 0.5, *chain) == 0
    assert not list(Path("out/.zeroair").glob("*.step*"))


def test_redo_and_a_list_with_a_strength_for_a_kind() -> None:
    restore("out", 1)
    restore("other", "Haze=0.4")
    assert run("redo", "out", "a", "--strength", "haze=0.4").status == 0
    assert json.loads(Path("out/.zeroair/a.json").read_text())["choice"] == {"strength": {"Haze": 0.4}}
    Path("list.csv").write_text("image,strength\nin/b.jpg,Haze=0.4;Noise=1\n")
    assert run("restore", "--images", "list.csv", "--degradation", "Haze", "--out", "listed", *FAST).status == 0
    again = run("restore", "--images", "in", "--degradation", "Haze", "--out", "out", *FAST)
    assert "note: a keeps its own choice: strength Haze=0.4" in again.err
    assert Path("out/a.png").read_bytes() == Path("other/a.png").read_bytes()
    assert Path("listed/in/b.jpg").read_bytes() == Path("other/b.jpg").read_bytes()


@pytest.mark.parametrize(
    "strength,words",
    [
        ("Hase=0.5", "error: strength: there is no kind 'Hase'. Did you mean 'Haze'?"),
        ("Haze=1.5", "error: strength of Haze is 1.5, expected a number from 0 (the photo) to 1"),
        ("Haze=much", "error: strength of Haze is much, expected"),
        ("Haze=60", "to 1 (all of it). Did you mean 0.6?"),
        ("60%", "Haze=0.6,Noise=1. Did you mean 0.6?"),
        ("0,6", "Haze=0.6,Noise=1. Did you mean 0.6?"),
        ("Haze=0,6", "error: strength is Haze=0,6, and '6' has no kind; expected KIND=NUMBER with a decimal point"),
        ("much", "error: strength is much, expected a number from 0 (the photo) to 1 (all of it), or one for each"),
    ],
)
def test_mistakes_in_a_strength(strength: str, words: str) -> None:
    outcome = run("restore", "--images", "in", "--degradation", "Haze", "--strength", strength, *FAST)
    assert outcome.status == 2
    assert words in outcome.err
    assert not Path("restored").exists()


def test_python_takes_a_strength_for_each_kind() -> None:
    settings = {"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}}
    method = zeroair_pl.Method.from_config("dehaze", degradation=["Haze", "Jpeg"], strength={"haze": 0.5}, **settings)
    restored = method.restore("in/a.png")
    assert restored.kinds == ["Haze", "Jpeg", "Noise"]
    assert restored.strength == {"Haze": 0.5}
    assert not np.array_equal(restored.image, restored.blend(1).image)
    assert np.array_equal(restored.image, restored.blend({"Haze": 0.5}).image)
    with pytest.raises(ConfigError, match="'Blur' is not one of the kinds of this photo: Haze, Jpeg, Noise"):
        restored.blend({"Blur": 0.5})
    with pytest.raises(ConfigError, match=r"strength of Haze is 60, expected .* Did you mean 0\.6\?"):
        restored.blend({"Haze": 60})
    with pytest.raises(ConfigError, match=r"strength is 50%, expected a number .* Did you mean 0\.5\?"):
        restored.blend("50%")  # type: ignore[arg-type]
    restored.blend({"Haze": 0.5, "Noise": 0}).save("saved.png")
    assert (np.asarray(Image.open("saved.png")) != np.asarray(Image.open("in/a.png"))).any()
