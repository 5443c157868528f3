"""The command line: finding configs, layering them, and one clear line for every mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import yaml

from helpers.command import TOY, run, save_toy
from zeroair_pl.config.commands import read
from zeroair_pl.config.files import find_config, read_config
from zeroair_pl.errors import ConfigError, typed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(*words: str | Path) -> dict[str, Any]:
    """The resolved settings of ``restore``."""
    outcome = run("restore", *words, "--print_config")
    assert outcome.status == 0, outcome.err
    return yaml.safe_load(outcome.out)


# --- commands and help


def test_help_answers_without_loading_anything_heavy() -> None:
    code = (
        "import sys; from zeroair_pl.cli import main; status = main(['--help']); "
        "heavy = {'torch', 'jsonargparse', 'lightning', 'yaml', 'numpy', 'PIL'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert "restore" in done.stdout
    assert "plugins list" in done.stdout
    assert "prior convert" in done.stdout


def test_the_package_is_a_program() -> None:
    words, root = [sys.executable, "-m", "zeroair_pl", "plugins", "--help"], Path(__file__).parents[2]
    assert "plugins list" in subprocess.run(words, capture_output=True, text=True, cwd=root, check=True).stdout


def test_a_reader_that_goes_away_is_no_crash() -> None:
    code = "import sys; sys.stdin.read(); from zeroair_pl.cli import main; sys.exit(main(['--help']))"
    program, root = [sys.executable, "-c", code], Path(__file__).parents[2]
    with subprocess.Popen(program, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=root) as running:
        assert running.stdout
        running.stdout.close()  # before it has begun to print
        _, error = running.communicate()
    assert running.returncode == 141
    assert error == b""


def test_a_command_lists_its_options() -> None:
    outcome = run("restore", "--help")
    assert outcome.status == 0
    for option in ("--images", "--out", "--seed", "--overwrite", "--config", "--print_config", "--sampling.steps"):
        assert option in outcome.out
    usage = outcome.out.partition("options:")[0]
    assert "[--prior PRIOR]" in " ".join(usage.split()), "optional, since it has a default"


def test_the_options_of_a_class_can_be_asked_for() -> None:
    outcome = run("restore", "--degradation.help", "Haze")
    assert outcome.status == 0
    assert "--degradation.strength" in outcome.out


@pytest.mark.parametrize(
    "words, said",
    [
        (["restor"], "Did you mean 'restore'?"),
        (["plugins", "lst"], "Did you mean 'plugins list'?"),
        (["prior", "convrt"], "Did you mean 'prior convert'?"),
        (["--out", "x"], "there is no command '--out'"),
    ],
)
def test_unknown_commands(words: list[str], said: str) -> None:
    outcome = run(*words)
    assert outcome.status == 2
    assert said in outcome.error


@pytest.mark.parametrize(
    "option, nearest",
    [
        ("--image", "--images"),
        ("--overwrit", "--overwrite"),
        ("--steps", "--modelling.steps' or '--sampling.steps"),
        ("--verbose", None),  # two dashes in common with every option are no likeness
        ("-o", None),
    ],
)
def test_an_unknown_option_is_named_with_the_nearest_one_if_any_is_near(option: str, nearest: str | None) -> None:
    outcome = run("restore", option, "x.jpg")
    assert outcome.status == 2
    assert f"unknown option '{option}'" in outcome.error
    assert (f"Did you mean '{nearest}'?" in outcome.error) if nearest else "Did you mean" not in outcome.error


@pytest.mark.parametrize(
    "script, command",
    [
        ("/usr/bin/zeroair", "zeroair prior list"),
        ("checkout/cli.py", "python cli.py prior list"),
        ("lib/zeroair_pl/__main__.py", "python -m zeroair_pl prior list"),
        ("their_script.py", "zeroair prior list"),
        ("lib/pytest/__main__.py", "zeroair prior list"),
    ],
)
def test_a_command_to_type_is_given_the_way_this_one_was_typed(
    script: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [script])
    assert typed("prior list") == command


def test_a_nested_command_reports_its_errors_in_one_line(folder: Path) -> None:
    outcome = run("prior", "convert", "absent.pt", "out")
    assert outcome.status == 2
    assert "absent.pt" in outcome.error
    assert not (folder / "out").exists()


# --- configs


def test_configs_are_found_in_the_working_folder_then_configs_then_the_program(folder: Path) -> None:
    shipped = find_config("dehaze")
    assert shipped.is_absolute()
    assert find_config("paper/dehaze").parent.name == "paper"
    (folder / "configs").mkdir()
    (folder / "configs/dehaze.yaml").write_text("seed: 1")
    assert find_config("dehaze") == find_config("dehaze.yaml") == Path("configs/dehaze.yaml")
    (folder / "dehaze.yaml").write_text("seed: 2")
    assert find_config("dehaze") == Path("dehaze.yaml")
    assert settings("--config", "dehaze")["seed"] == 2


def test_an_unknown_config_is_named_with_the_nearest_one(folder: Path) -> None:
    assert "Did you mean 'dehaze'?" in run("restore", "--config", "dehase").error
    assert "Did you mean 'low_light'?" in run("restore", "--config=lowlight.yaml").error
    assert "expected the name of a config" in run("restore", "--config", "--seed", "1").error


def test_later_layers_win_key_by_key_and_options_win_over_all(folder: Path) -> None:
    (folder / "a.yaml").write_text("seed: 1\nsampling: {steps: 9, sigma_min: 0.02}\ndegradation: Haze\n")
    (folder / "b.yaml").write_text("sampling: {steps: 7}\ndegradation: {class_path: Haze, init_args: {floor: 0.2}}\n")
    found = settings("--seed", "3", "--config", "a", "--config", "b", "--degradation.strength", "0.5")
    assert found["seed"] == 3, "an option wins wherever it stands"
    assert found["sampling"]["steps"] == 7
    assert found["sampling"]["sigma_min"] == 0.02, "untouched by the second layer"
    assert found["degradation"]["class_path"] == "Haze"
    assert found["degradation"]["init_args"]["strength"] == 0.5
    assert found["degradation"]["init_args"]["floor"] == 0.2


def test_a_layer_may_change_the_family(folder: Path) -> None:
    (folder / "a.yaml").write_text("degradation: {class_path: Haze, init_args: {floor: 0.2}}\n")
    assert settings("--config", "a", "--degradation", "Noise")["degradation"] == {"class_path": "Noise"}


def test_environment_variables_win_over_configs_and_lose_to_options(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.yaml").write_text("seed: 1\nsampling: {steps: 9}\ndegradation: Haze\n")
    monkeypatch.setenv("ZEROAIR_RESTORE__SEED", "11")
    monkeypatch.setenv("ZEROAIR_RESTORE__SAMPLING__STEPS", "5")
    monkeypatch.setenv("ZEROAIR_RESTORE__DEGRADATION__STRENGTH", "0.5")
    monkeypatch.setenv("ZEROAIR_RESTORE__IMAGES", "a.png")
    found = settings("--config", "a")
    assert (found["seed"], found["sampling"]["steps"], found["images"]) == (11, 5, "a.png")
    assert found["degradation"]["init_args"]["strength"] == 0.5
    assert settings("--config", "a", "--seed", "3")["seed"] == 3
    monkeypatch.setenv("ZEROAIR_RESTORE__CONFIG", "a")
    assert settings()["degradation"]["class_path"] == "Haze"


@pytest.mark.parametrize("name", ["dehaze", "low_light", "denoise", "paper/low_light"])
def test_print_config_can_be_read_again(folder: Path, name: str) -> None:
    first = run("restore", "--config", name, "--images", "a: b.png", "[1].png", "--seed", "5", "--print_config")
    assert first.status == 0
    (folder / "again.yaml").write_text(first.out)
    again = run("restore", "--config", "again", "--print_config")
    assert again.out == first.out
    assert yaml.safe_load(first.out)["images"] == ["a: b.png", "[1].png"]


def test_yaml_is_read_as_version_1_2(folder: Path) -> None:
    (folder / "a.yaml").write_text("on: no\nrate: 1e-3\nyes: [007, 0x1, .5, -3]\nnothing:\nflag: true\n")
    values = read_config(Path("a.yaml")).values
    assert values == {
        "on": "no",
        "rate": 1e-3,
        "yes": ["007", "0x1", 0.5, -3],
        "nothing": None,
        "flag": True,
    }


@pytest.mark.parametrize(
    "text, said",
    [
        ("seed: 1\nseed: 2", "a.yaml:2: not valid YAML, the key 'seed' is given twice"),
        ("seed: 1\nout: [1", "a.yaml:2: not valid YAML"),
        ("- seed", "expected 'key: value' lines"),
        ("3: 4", "3 is no name of a setting"),
        ("seed: \0", "cannot be read"),
    ],
)
def test_files_that_are_no_configs(folder: Path, text: str, said: str) -> None:
    (folder / "a.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(Path("a.yaml"))
    assert said in str(caught.value)


def test_any_diffusers_scheduler_can_be_named(folder: Path) -> None:
    sampler = "{class_path: SchedulerSampler, init_args: {scheduler: UniPCMultistepScheduler}}"
    (folder / "a.yaml").write_text(f"sampling: {{sampler: {sampler}}}")
    found = settings("--config", "a")["sampling"]["sampler"]["init_args"]["scheduler"]
    assert found["class_path"] == "UniPCMultistepScheduler"
    name = "--sampling.sampler.scheduler"
    found = settings(
        "--sampling.sampler", "SchedulerSampler", name, "DDPMScheduler", f"{name}.variance_type", "fixed_large"
    )
    assert found["sampling"]["sampler"]["init_args"]["scheduler"]["init_args"] == {"variance_type": "fixed_large"}


def test_terms_can_be_stated_in_short_and_in_full(folder: Path) -> None:
    (folder / "a.yaml").write_text(
        """
guidance:
  update: {class_path: GradientUpdate, init_args: {scale: 1e3, on: mean}}
  boundaries: {global_content: 0.8}
  terms:
    - {loss: Fidelity, weight: {I: 2, II: 1}, ramp: true}
    - {loss: {class_path: Perceptual, init_args: {layers: [0, 2]}}, weight: 0.5}
"""
    )
    guidance = settings("--config", "a")["guidance"]
    assert guidance["update"] == {"class_path": "GradientUpdate", "init_args": {"scale": 1000.0, "on": "mean"}}
    assert guidance["boundaries"] == {"global_content": 0.8, "content_detail": 0.05}
    assert guidance["terms"][0]["weight"] == {"I": 2.0, "II": 1.0, "III": 0.0}
    assert guidance["terms"][1]["loss"]["init_args"]["layers"] == [0, 2]
    assert guidance["terms"][1]["weight"] == 0.5


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
        (
            "sampling:\n  start: 0.2",
            ["a.yaml:2: sampling.start is sampling.sigma_max now", "0.15 of the"],
        ),
        ("sampling: {end: 0}", ["sampling.end is sampling.sigma_min now"]),
        ("sampling:\n  scheduler: DDIMScheduler", ["sampling.scheduler is an option of SchedulerSampler now"]),
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
            "modelling:\n  terms: [{loss: {class_path: Perceptual, init_args: {layers: [a]}}}]",
            ["modelling.terms.loss.layers: expected a whole number, but got 'a'"],
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
        (["--sampling.eta", "1"], "--sampling.eta is an option of SchedulerSampler now"),
        (["--degradation", "Hase"], "Did you mean 'Haze'?"),
        (["--degradation.strength", "2"], "Noise has no option 'strength'"),
        (["--guidance.boundaries.global_content", "2"], "global_content=2.0"),
        (["--prior.path", "smal"], "Did you mean 'small'?"),
        (["--trainer.accelerater", "cpu"], "Did you mean 'accelerator'?"),
        (["--trainer.max_epochs", "3"], "trainer.max_epochs: is decided by the fit"),
        (["extra"], "unexpected argument 'extra'"),
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


def test_dashes_in_the_name_of_an_option_are_as_good_as_underscores() -> None:
    request = read("restore", ["--checkpoint-every", "5", "--save-maps", "--print-config", "--out=a-b"], {})
    assert request.options == ["--checkpoint_every", "5", "--save_maps=true", "--out=a-b"]
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


# --- tracebacks


def test_debug_shows_where_an_error_comes_from(folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"no picture")
    words = ["restore", "--images", "broken.png", "--out", "out", *TOY]
    assert "Traceback" not in run(*words).err
    shown = run(*words, "--debug")
    assert shown.status == 1
    assert "Traceback (most recent call last)" in shown.err
    assert "reading.py" in shown.err
    assert "[1/1] broken failed" in shown.err, "the line stays"
    wrong = run("--debug", "restore", "--config", "dehase")
    assert wrong.status == 2
    assert "find_config" in wrong.err
    assert "Traceback" not in run(*words).err, "one command has no effect on the next"
