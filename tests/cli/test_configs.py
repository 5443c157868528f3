"""Every shipped config is parsed and run, and the published presets are those of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from helpers.command import run, save_toy
from zeroair_pl.api import DEFAULTS
from zeroair_pl.config.files import read_config
from zeroair_pl.method.settings import Modeling, Sampling
from zeroair_pl.photos.finding import find_images

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.relative_to(ROOT / "configs").as_posix() for path in (ROOT / "configs").rglob("*.yaml"))
RECIPES = [name for name in SHIPPED if name.startswith("prior/")]
SHIPPED = [name for name in SHIPPED if name not in RECIPES]
# What goes on top of another config, and of which.
LAYERS = {name: ["dehaze"] for name in SHIPPED if name == "fast.yaml" or name.startswith("ablations/")}
LAYERS |= {f"ablations/{name}.yaml": ["dehaze", "ablations/gradient"] for name in ("from_noise", "neural")}


class Preset(NamedTuple):
    """One column of the paper's table of hyper-parameters (ZeroAIR, arXiv 2312.02197)."""

    l1: float
    l2: float
    l3: float
    d_lr: float
    g1: float
    g2: float
    g3: float
    g4: float
    g5: float
    s: float
    seed: int


PRESETS = {
    "paper/dehaze.yaml": Preset(0.2, 0.5, 0.3, 5e-4, 2, 1, 1e-3, 0, 1e-4, 25000, 10),
    "paper/low_light.yaml": Preset(0.02, 0.3, 0.6, 5e-5, 0, 1, 2e-3, 5e-5, 4e-5, 50000, 10),
    "paper/denoise.yaml": Preset(3, 2e-3, 1e-3, 1e-3, 0.5, 1, 0, 0, 6e-4, 6000, 20),
}


def resolved(name: str) -> dict[str, Any]:
    layers = [word for below in [*LAYERS.get(name, []), name] for word in ("--config", below)]
    outcome = run("restore", *layers, "--print_config")
    assert outcome.status == 0, outcome.err
    return yaml.safe_load(outcome.out)


def at_hand(value: Any) -> Any:
    """The same settings with the bundled prior instead of a prior that must be downloaded."""
    if isinstance(value, list):
        return [at_hand(item) for item in value]
    if not isinstance(value, dict):
        return value
    swapped = {key: at_hand(item) for key, item in value.items()}
    if "trunk" in swapped:
        swapped["trunk"] = "prior"
    if swapped.get("class_path") == "UNetPrior":
        swapped["init_args"] = {"path": "small", "precision": "float32"}
    if swapped.get("variance_type") == "learned_range":  # the bundled prior predicts no variances
        swapped["variance_type"] = "fixed_small"
    return swapped


@pytest.mark.parametrize("name", SHIPPED)
def test_each_config_runs(name: str, tmp_path: Path) -> None:
    photo = save_toy(tmp_path / "photo.png")
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(at_hand(resolved(name))))
    marked: list[str | Path] = ["--missing", save_toy(tmp_path / "mask.png", 1)] if name == "inpaint.yaml" else []
    words: list[str | Path] = ["--images", photo, "--out", tmp_path / "out", "--sampling.steps", "2", *marked]
    outcome = run("restore", "--config", config, *words)
    assert outcome.status == 0, outcome.err
    assert (tmp_path / "out/photo.png").is_file()


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in LAYERS])
def test_each_config_names_photos_that_exist(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert find_images(read_config(ROOT / "configs" / name).values["images"])


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_of_a_prior_is_understood(name: str) -> None:
    outcome = run("prior", "train", "--config", name, "--data.photos", "anywhere", "--print_config")
    assert outcome.status == 0, outcome.err
    written = read_config(ROOT / "configs" / name).values
    resolved = yaml.safe_load(outcome.out)
    for group, values in written.items():
        assert {key: resolved[group][key] for key in values} == values


def test_configs_write_into_folders_of_their_own() -> None:
    outs = [read_config(ROOT / "configs" / name).values.get("out") for name in SHIPPED if name not in LAYERS]
    assert len(set(outs)) == len(outs)


@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith("ablations/")])
def test_an_ablation_changes_what_it_says_and_no_more(name: str) -> None:
    below = resolved(LAYERS[name][-1] + ".yaml")
    changed, written = resolved(name), read_config(ROOT / "configs" / name).values
    assert changed != below
    assert {key for key in changed if changed[key] != below[key]} <= {*written, "images", "out"}
    assert set(written) <= {"degradation", "prior", "modeling", "guidance", "sampling"}


def test_the_fast_layer_is_fast() -> None:
    assert resolved("fast.yaml")["sampling"]["steps"] < resolved("dehaze.yaml")["sampling"]["steps"]
    assert resolved("fast.yaml")["degradation"] == resolved("dehaze.yaml")["degradation"]


@pytest.mark.parametrize("name, preset", PRESETS.items())
def test_the_published_presets_are_those_of_the_paper(name: str, preset: Preset) -> None:
    config = resolved(name)
    assert config["seed"] == preset.seed
    assert config["degradation"] == {"class_path": "Neural", "init_args": {"widths": [64, 128, 256]}}
    assert config["prior"]["init_args"]["path"] == "adm-256x256-uncond"
    assert config["prior"]["init_args"]["precision"] == "float16"

    modeling = config["modeling"]
    assert (modeling["lr"], modeling["steps"], modeling["penalty"]) == (1e-3, 1, 0)
    reconstruction, perceptual, gan = modeling["terms"]
    vgg = {"trunk": "vgg16.tv_in1k", "layers": [0, 1], "weights": None}  # up to relu2_2
    assert reconstruction["loss"] == {"class_path": "Fidelity", "init_args": {"target": "x0"}}
    assert perceptual["loss"] == {"class_path": "Perceptual", "init_args": {**vgg, "target": "x0"}}
    assert gan["loss"] == {"class_path": "Adversarial", "init_args": {"objective": "bce", "lr": preset.d_lr}}
    assert [term["weight"] for term in modeling["terms"]] == [preset.l1, preset.l2, preset.l3]

    guidance = config["guidance"]
    assert guidance["boundaries"] == {"global_content": 0.7, "content_detail": 0.05}
    assert guidance["update"] == {"class_path": "GradientUpdate", "init_args": {"scale": preset.s, "on": "mean"}}
    terms = {term["loss"]["class_path"]: term for term in guidance["terms"]}
    stages = {
        "Fidelity": (preset.g1, preset.g2, preset.g2),
        "Perceptual": (0, preset.g3, preset.g3),
        "ResidualAdversarial": (0, preset.g4, preset.g4),
        "TotalVariation": (0, 0, preset.g5),
    }
    for loss, (one, two, three) in stages.items():
        if one == two == three == 0:
            assert loss not in terms, "its discriminator would be trained for nothing"
            continue
        assert terms.pop(loss)["weight"] == {"I": one, "II": two, "III": three}, loss
    assert not terms
    by_loss = {term["loss"]["class_path"]: term for term in guidance["terms"]}
    assert by_loss["Fidelity"]["loss"]["init_args"]["target"] == "y"
    assert [loss for loss, term in by_loss.items() if term["ramp"]] == ["Fidelity"], "w(t) belongs to stage I's loss"
    if preset.g3:
        assert by_loss["Perceptual"]["loss"]["init_args"] == {**vgg, "target": "y"}
    if preset.g4:
        assert by_loss["ResidualAdversarial"]["loss"]["init_args"] == {"objective": "bce", "lr": preset.d_lr}

    sampling = config["sampling"]
    assert (sampling["steps"], sampling["sigma_max"], sampling["sigma_min"]) == (1000, None, 0)
    sampler = sampling["sampler"]
    assert sampler["class_path"] == "SchedulerSampler"
    assert sampler["init_args"]["auxiliary"] is True, "two noise maps"
    scheduler = {"class_path": "DDPMScheduler", "init_args": {"variance_type": "learned_range"}}
    assert sampler["init_args"]["scheduler"] == scheduler


def test_the_defaults_that_configs_can_name_are_those_of_the_classes() -> None:
    (term,) = Modeling().terms
    loss = {"class_path": type(term.loss).__name__}
    assert DEFAULTS["modeling.terms"] == [{"loss": loss, "weight": term.weight, "ramp": term.ramp}]


@pytest.mark.parametrize("name", ["auto", "dehaze", "low_light", "denoise"])
def test_a_task_config_states_its_degradation_and_its_photos_alone(name: str) -> None:
    """The defaults are the shipped method, so that the four differ in nothing else."""
    assert set(read_config(ROOT / "configs" / f"{name}.yaml").values) == {"degradation", "images", "out"}


def test_the_method_of_a_call_is_that_of_the_command_line() -> None:
    stated = resolved("dehaze.yaml")
    assert stated["modeling"]["lr"] == Modeling().lr
    levels = Sampling()
    assert {key: stated["sampling"][key] for key in ("steps", "sigma_max", "sigma_min")} == {
        "steps": levels.steps,
        "sigma_max": levels.sigma_max,
        "sigma_min": levels.sigma_min,
    }


def test_the_package_list_is_complete() -> None:
    tomllib = pytest.importorskip("tomllib")
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for path in (ROOT / "zeroair_pl").rglob("__init__.py")
    }
    assert listed - folders == {"zeroair_pl._shipped.configs", "zeroair_pl._shipped.plugins"}
    assert folders <= listed, "an installed copy would lack these"


def test_the_data_files_of_the_package_are_listed() -> None:
    tomllib = pytest.importorskip("tomllib")
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    own = [package for package in data if (ROOT / package.replace(".", "/")).is_dir()]
    listed = {
        path for package in own for each in data[package] for path in (ROOT / package.replace(".", "/")).glob(each)
    }
    files = {path for path in (ROOT / "zeroair_pl").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert {path.name for path in files} >= {"report.html", "report.css", "report.js"}
    assert files - listed == set(), "an installed copy would lack these"


def test_the_settings_page_shows_the_values_that_dehaze_has(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    block = page[page.index("# anatomy.yaml") :].partition("```")[0]
    (tmp_path / "anatomy.yaml").write_text(block)
    outcome = run("restore", "--config", tmp_path / "anatomy.yaml", "--print_config")
    assert outcome.status == 0, outcome.err
    shown, wanted = (
        {key: value for key, value in settings.items() if value not in ([], {}, None) and key != "images"}
        for settings in (yaml.safe_load(outcome.out), resolved("dehaze"))
    )
    assert shown == wanted
