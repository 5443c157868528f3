"""Configs, environment variables and options: where they are found, and which wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.command import run
from zeroair_pl import Method
from zeroair_pl.config.files import find_config, read_config
from zeroair_pl.errors import ConfigError


def settings(*words: str | Path) -> dict[str, Any]:
    """The resolved settings of ``restore``."""
    outcome = run("restore", *words, "--print_config")
    assert outcome.status == 0, outcome.err
    return yaml.safe_load(outcome.out)


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


def test_an_unknown_config_is_named_by_what_it_was_given_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"^config denoize: there is no such file\. Did you mean 'denoise'"):
        Method.from_config("denoize")
    assert run("app", "--layers", "fasst").error.startswith(
        "--layers fasst: there is no such file. Did you mean 'fast'?"
    )
    monkeypatch.setenv("ZEROAIR_RESTORE__CONFIG", "denoize")
    assert run("restore").error.startswith("ZEROAIR_RESTORE__CONFIG denoize: there is no such file.")


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


def test_options_of_one_link_of_a_chain(folder: Path) -> None:
    """``--degradation.Blur.size`` said that the name of a class was expected, wherever it stood."""
    (folder / "a.yaml").write_text("degradation: [Haze, {class_path: Blur, init_args: {kernel: disc}}]\n")
    size, chain = ("--degradation.Blur.size", "1.5"), ("--degradation", "[Blur, Noise]")
    for words, blur in (
        (("--config", "a", *size), {"kernel": "disc", "size": 1.5, "angle": 0.0}),
        ((*size, *chain, "--degradation.Blur.angle", "20"), {"kernel": "auto", "size": 1.5, "angle": 20.0}),
        (("--config", "deblur", *size), {"kernel": "auto", "size": 1.5, "angle": 0.0}),
        (("--config", "deblur_free", *size), {"kernel": "free", "size": 1.5, "angle": 0.0}),
    ):
        found = settings(*words)["degradation"]
        links = found["init_args"].get("links", [found])
        assert [each["init_args"] for each in links if each["class_path"] == "Blur"] == [blur], words


def test_a_layer_may_change_the_family(folder: Path) -> None:
    (folder / "a.yaml").write_text("degradation: {class_path: Haze, init_args: {floor: 0.2}}\n")
    assert settings("--config", "a", "--degradation", "Noise")["degradation"] == {
        "class_path": "Noise",
        "init_args": {"level": None},
    }


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
    assert values == {"on": "no", "rate": 1e-3, "yes": ["007", "0x1", 0.5, -3], "nothing": None, "flag": True}


@pytest.mark.parametrize(
    "text, said",
    [
        ("seed: 1\nseed: 2", "a.yaml:2: not valid YAML, the key 'seed' is given twice"),
        ("seed: 1\nout: [1", "a.yaml:2: not valid YAML"),
        ("- seed", "expected 'key: value' lines"),
        ("3: 4", "3 is not the name of a setting"),
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
