"""Mistakes: refused before any work, in one line that names the place, the value and the nearest right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.command import TOY, run, save_toy
from zeroair_pl.config.commands import read
from zeroair_pl.config.files import read_config

# --- mistakes: refused before any work, in one line that names the place, the value and the nearest right one


@pytest.mark.parametrize(
    "text, said",
    [
        ("# seed\nsead: 3", ["a.yaml:2:", "no setting 'sead'", "Did you mean 'seed'?"]),
        ("seed: abc", ["a.yaml:1: seed: expected a whole number, but got 'abc'"]),
        ("seed: 1.5", ["a whole number", "'1.5'"]),
        ("overwrite: maybe", ["overwrite: expected true or false, but got 'maybe'"]),
        ("images: 3", ["images: expected a list or text, but got '3'"]),
        ("sampling: 5", ["a.yaml:1: sampling: expected 'key: value' lines, but got 5"]),
        ("sampling:\n  step: 5", ["a.yaml:2: sampling: ", "'step'", "Did you mean 'steps'?"]),
        ("sampling:\n  sampler: AnealedSampler", ["a.yaml:2:", "Did you mean 'AnnealedSampler'?"]),
        (
            "sampling: {sampler: {class_path: SchedulerSampler, init_args: {foo: 1}}}",
            ["SchedulerSampler has no", "'foo'"],
        ),
        ("sampling:\n  start: 0.2", ["a.yaml:2: sampling.start is sampling.sigma_max now", "0.15 of the"]),
        ("sampling: {end: 0}", ["sampling.end is sampling.sigma_min now"]),
        ("sampling:\n  scheduler: DDIMScheduler", ["sampling.scheduler is an option of SchedulerSampler now"]),
        ("seed: 1\nmodelling:\n  lr: 0.1", ["a.yaml:2: modelling is modeling now"]),
        ("guidance: {auxiliary: true}", ["guidance.auxiliary is an option of SchedulerSampler now"]),
        ("guidance: {update: AnchoredUpdate}", ["AnchoredUpdate is sampling.sampler: NoiseMatchedSampler now"]),
        ("degradation: Hase", ["a.yaml:1: degradation: there is no class 'Hase'. Did you mean 'Haze'?"]),
        ("degradation: hazee", ["Did you mean 'Haze'?"]),
        ("degradation: zeroair_pl.degradations.Hase", ["Did you mean 'Haze'?"]),
        ("degradation: Fidelity", ["no class 'Fidelity'", "Known: ", "Haze"]),
        ("degradation: 3", ["degradation: expected the name of a class, but got '3'"]),
        ("degradation: {clas_path: Haze}", ["Did you mean 'class_path'?"]),
        ("degradation: {class_path: Haze, strength: 1}", ["under 'init_args:'"]),
        (
            "degradation:\n  class_path: Haze\n  init_args:\n    strenght: 1",
            ["a.yaml:4: degradation: Haze has no option 'strenght'. Did you mean 'strength'?"],
        ),
        (
            "degradation: {class_path: Haze, init_args: {strength: x}}",
            ["degradation.strength: expected a number, but got 'x'"],
        ),
        ("prior: UnetPrior", ["Did you mean 'UNetPrior'?"]),
        ("prior: {class_path: UNetPrior, init_args: {precision: float8}}", ["prior.precision", "'float8'"]),
        ("guidance:\n  terms: [{loss: Fidelty}]", ["a.yaml:2: guidance.terms.loss", "Did you mean 'Fidelity'?"]),
        ("guidance:\n  terms: [{loss: Fidelity, wieght: 2}]", ["no option 'wieght'. Did you mean 'weight'?"]),
        ("guidance:\n  terms: [{loss: Fidelity, weight: {IV: 2}}]", ["no option 'IV'", "Known: I, II, III"]),
        ("guidance:\n  terms: [{loss: Fidelity, weight: abc}]", ["weight: expected a number or", "'abc'"]),
        ("guidance:\n  terms: {loss: Fidelity}", ["guidance.terms: expected a list"]),
        ("guidance:\n  terms: [{weight: 2}]", ["a.yaml:2: guidance.terms: loss is missing"]),
        ("trainer: {accelerator: cpu, devicez: 1}", ["no option 'devicez'. Did you mean 'devices'?"]),
        ("guidance:\n  boundaries: {global: 2}", ["guidance.boundaries: ", "Did you mean 'global_content'?"]),
        ("guidance:\n  update: GradientUpdat", ["Did you mean 'GradientUpdate'?"]),
        (
            "modeling:\n  terms: [{loss: {class_path: Perceptual, init_args: {layers: [a]}}}]",
            ["modeling.terms.loss.layers: expected a whole number, but got 'a'"],
        ),
    ],
)
def test_mistakes_in_a_config(folder: Path, text: str, said: list[str]) -> None:
    (folder / "a.yaml").write_text(text)
    outcome = run("restore", "--config", "denoise", "--config", "a.yaml", "--images", "x.png", "--out", "out")
    assert outcome.status == 2
    for part in said:
        assert part in outcome.error
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    "words, said",
    [
        (["--sead", "3"], "unknown option '--sead'. Did you mean '--seed'?"),
        (["--save-map"], "Did you mean '--save_maps'?"),
        (["--sampling.step", "3"], "Did you mean '--sampling.steps'?"),
        (["--sampling.steps", "0"], "sampling.steps is 0, expected a number of at least 1."),
        (["--sampling.sigma_max", "0.2", "--sampling.sigma_min", "0.5"], "sigma_max=0.2 and sigma_min=0.5"),
        (["--sampling.start", "0.2"], "--sampling.start is sampling.sigma_max now"),
        (["--modelling.lr", "1"], "--modelling is modeling now"),
        (["--sampling.eta", "1"], "--sampling.eta is an option of SchedulerSampler now"),
        (["--degradation", "Hase"], "Did you mean 'Haze'?"),
        (["--degradation.level", "high"], "degradation.level: expected a number, but got 'high'."),
        (
            ["--degradation", "[Noise]", "--degradation.Noise.level", "high"],
            "links.level: expected a number, but got 'high'.",
        ),
        (["--kernel"], "--kernel: expected a value after it."),
        (["--degradation", "[Haze, Blur"], "--degradation [Haze, Blur: cannot be read; expected a name, or a list"),
        (["--degradation", "[Blur, Noise]", "--degradation.Blur.sise", "2"], "Blur has no option 'sise'. Did you mean"),
        (
            ["--degradation.Blur.size", "2"],
            "--degradation.Blur.size: there is no Blur in the degradation, which is Noise",
        ),
        (["--degradation.strength", "2"], "Noise has no option 'strength'"),
        (["--guidance.boundaries.global_content", "2"], "global_content=2.0"),
        (["--prior.path", "smal"], "Did you mean 'small'?"),
        (["--trainer.accelerater", "cpu"], "Did you mean 'accelerator'?"),
        (["--trainer.max_epochs", "3"], "trainer.max_epochs: is decided by the fit"),
        (["extra"], "extra does not exist"),
        (["--images"], "--images: expected at least one value"),
        (["--images", "absent/*.png"], "matches nothing"),
        (["--plugins", "absent"], "plugins: 'absent' is not a folder"),
        (["--sampling.sampler", "KarrasVeSampler"], "sampling.sampler"),
    ],
)
def test_mistakes_in_options(folder: Path, words: list[str], said: str) -> None:
    prior = [] if "--prior.path" in words else ["--prior", "helpers.toys.ToyPrior"]
    outcome = run("restore", "--config", "denoise", *prior, *words)
    assert outcome.status == 2
    assert said in outcome.error


def test_names_that_begin_with_a_dash(folder: Path) -> None:
    """A shell makes such words of *.png; they were unknown options, and nothing said how to write them."""
    for name in ("-a.png", "--b.png"):
        save_toy(folder / name)
    outcome = run("restore", "-a.png", "--out", "out")
    assert run("-a.png").error == "'-a.png' is no command; to restore it: zeroair restore -a.png"
    assert outcome.error == "unknown option '-a.png'; a file of this name is written ./-a.png, or stands after --."
    assert run("restore", "--out", "out", *TOY, "--", "-a.png", "--b.png").status == 0
    assert (folder / "out/-a.png").is_file()
    assert (folder / "out/--b.png").is_file()
    assert run("redo", "--strength", "0.5", "--", "out", "-a").status == 0


def test_dashes_in_the_name_of_an_option_are_as_good_as_underscores() -> None:
    request = read("restore", ["--checkpoint-every", "5", "--save-maps", "--print-config", "--out=a-b"], {})
    assert request.options == ["--checkpoint_every=5", "--save_maps=true", "--out=a-b"]
    assert request.print_config


def test_mistakes_in_environment_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZEROAIR_RESTORE__SEED", "x")
    assert run("restore", "--config", "denoise").error == (
        "ZEROAIR_RESTORE__SEED: seed: expected a whole number, but got 'x'."
    )
    monkeypatch.delenv("ZEROAIR_RESTORE__SEED")
    monkeypatch.setenv("ZEROAIR_RESTORE__SEEED", "1")
    assert "ZEROAIR_RESTORE__SEEED: unknown option '--seeed'. Did you mean '--seed'?" in run("restore").error


def test_without_a_degradation_it_finds_out_by_itself(folder: Path) -> None:
    save_toy(folder / "x.png")
    outcome = run("restore", "--images", "x.png", *TOY)
    assert outcome.status == 0, outcome.err
    assert read_config(folder / "restored/config.yaml").values["degradation"] == {"class_path": "Auto"}


def test_a_class_that_is_no_degradation_is_refused(folder: Path) -> None:
    outcome = run("restore", "--images", "x.png", "--degradation", "Degradation", "--prior", "helpers.toys.ToyPrior")
    assert "has no forward(x)" in outcome.error


@pytest.mark.parametrize(
    "words, said",
    [
        (["redo"], "out is missing. zeroair redo --help explains it."),
        (["prior", "convert"], "checkpoint, out are missing. zeroair prior convert --help explains it."),
    ],
)
def test_a_command_without_what_it_needs_says_where_it_is_explained(folder: Path, words: list[str], said: str) -> None:
    outcome = run(*words)
    assert outcome.status == 2
    assert said in outcome.error
