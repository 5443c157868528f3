"""The small world: its scenes are what they say, its pairs are exact, and the comparison runs in little."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

from helpers.command import run, scripts

WORLD = Path(__file__).parents[2] / "benchmarks" / "small_world"


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (WORLD.parent, WORLD):
        monkeypatch.syspath_prepend(str(folder))


@scripts("benchmarks/small_world/scenes.py")
def test_a_scene_depends_on_its_number_alone(script: ModuleType) -> None:
    one, again, other = script.scene(3, 32), script.scene(3, 32), script.scene(4, 32)
    assert torch.equal(one.clean, again.clean)
    assert not torch.equal(one.clean, other.clean)
    large = script.scene(3)
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(large.clean, 2), one.clean, atol=1e-5, rtol=0)
    for number in range(8):
        found = script.scene(number)
        assert found.clean.shape == (1, 3, 64, 64)
        assert 0 <= float(found.clean.min()) < float(found.clean.max()) <= 1
        assert 0 < float(found.depth.min()) < float(found.depth.max()) <= 1
        assert float(found.depth[..., -1, :].mean()) < float(found.depth[..., 28:36, :].mean()), "the ground is near"


@scripts("benchmarks/small_world/pairs.py")
def test_a_pair_is_exact(script: ModuleType) -> None:
    from scenes import scene

    hazy = script.pair("haze", 0)
    t, airlight = hazy.parameters["transmission"], hazy.parameters["airlight"]
    depth = scene(script.FIRST).depth
    beta = -t.log() / depth
    assert float(beta.std()) < 1e-4
    assert 0.8 < float(beta.mean()) < 1.8
    torch.testing.assert_close(hazy.without_noise, t * hazy.clean + airlight * (1 - t))
    dark = script.pair("low light", 1)
    light, gamma = dark.parameters["illumination"], float(dark.parameters["gamma"])
    torch.testing.assert_close(dark.without_noise, (light * dark.clean) ** gamma)
    noisy = script.pair("noise", 2)
    assert float((noisy.y - noisy.clean).std()) == pytest.approx(noisy.sigma, rel=0.15)
    kernel = script.pair("blur", 3).parameters["kernel"]
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-5)
    assert torch.equal(hazy.y, script.pair("haze", 0).y)


@scripts("benchmarks/small_world/world.py")
def test_the_comparison_runs_in_little(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A prior that has hardly begun, made by the recipe itself, and one scene of 16 pixels."""
    import rows
    import scenes

    scenes.write_photos(tmp_path / "scenes", 4, size=16)
    recipe = yaml.safe_load((WORLD.parents[1] / "configs" / "prior" / "world.yaml").read_text())
    assert recipe["data"]["turned"] is False
    few = ("--data.crop", "16", "--data.short_side", "16", "--data.batch", "2", "--data.held_out", "1")
    steps = ("--optimization.steps", "2", "--optimization.validate_every", "2", "--optimization.warmup", "0")
    done = run("prior", "train", "--config", "prior/world", "--data.photos", tmp_path / "scenes",
               "--out", tmp_path / "world", *few, *steps)  # fmt: skip
    assert done.status == 0, done.err
    monkeypatch.setattr(rows, "WIDTHS", [4, 4, 4])
    identity = "no TDM: φ is the identity"
    words = ["--prior", str(tmp_path / "world"), "--scenes", "1", "--size", "16", "--steps", "6"]
    words += ["--groups", "main", "--kinds", "noise", "--rows", rows.BASE, identity]
    assert script.main(words) == 0
    found = json.loads((tmp_path / "results" / "small_world.json").read_text())
    entry = found["kinds"]["noise"]
    assert list(entry["rows"]) == [rows.BASE, identity]
    row = entry["rows"][identity]
    (truth,) = script_pairs("noise", 16)
    assert row["distance"] == [100.0] or row["lost"], "the identity is the true degradation of noise"
    assert entry["input"] == [pytest.approx(-10 * math.log10(float((truth.y - truth.clean).square().mean())), abs=1e-2)]
    assert all(len(each["fractions"]) == len(each["distances"]) for each in entry["rows"].values())
    assert str(tmp_path) not in json.dumps(found)
    capsys.readouterr()
    assert script.main(words) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == [], "nothing is measured twice"
    assert script.main(["--prior", str(tmp_path / "world"), "--scenes", "2"]) == 2
    more = [*words[:2], "--scenes", "2", *words[4:]]
    assert script.main(more) == 0
    longer = json.loads((tmp_path / "results" / "small_world.json").read_text())["kinds"]["noise"]["rows"][identity]
    assert longer["psnr"][0] == row["psnr"][0], "only the new scene is measured"
    assert len(longer["psnr"]) == len(longer["distance"]) == len(longer["distances"][0]) == 2
    apart = script.main([*more, "--name", "apart"])
    both = json.loads((tmp_path / "results" / "apart.json").read_text())["kinds"]["noise"]["rows"][identity]
    assert apart == 0
    assert [both[key] for key in ("psnr", "distance", "distances", "nfe")] == [
        longer[key] for key in ("psnr", "distance", "distances", "nfe")
    ], "the same as both scenes at once"


def script_pairs(kind: str, size: int) -> list[Any]:
    from pairs import pair

    return [pair(kind, 0, size)]


@pytest.mark.parametrize("group", ["main", "physics", "today", "gan", "terms", "boundaries", "nfe"])
def test_every_row_is_a_method(group: str) -> None:
    import rows

    from zeroair_pl.api import settings_of

    found = dict(rows.rows_of("haze", "small", group, 250))
    assert found
    if group == "main":
        assert {"no TDG", "no stages", "without stage I", "one noise map", "L2 for the GAN"} <= set(found)
    for preset in list(found.values())[-3:]:  # to resolve all of "main" takes long
        assert settings_of(preset.configs, **preset.settings)["sampling"]["steps"] > 0


def test_the_step_of_the_guidance_is_the_published_one_times_the_scale() -> None:
    import rows

    steps = [
        rows.paper("haze", "small", 250, scale=scale).settings["guidance"]["update"]["init_args"]["scale"]
        for scale in (1.0, 0.25)
    ]
    assert steps == [25000, 6250]


@scripts("benchmarks/small_world/figures.py")
def test_a_row_has_its_mean_standard_error_and_divergences(script: ModuleType) -> None:
    row = {"psnr": [11.0, 13.0, None], "distance": [20.0, 22.0, None], "nfe": 500}
    alone = {"psnr": [None, 9.0, None], "distance": [None, 14.0, None], "nfe": 500}
    near = {"psnr": [11.5, 15.5, 17.0], "distance": [20.0, 21.0, 22.0], "nfe": 500}
    entry = {"input": [10.0, 10.0, 10.0], "rows": {"paper's preset": row, "other": alone, "near": near}}
    *_, preset, other, paired = script.table({"kinds": {"haze": entry}}).splitlines()
    assert preset == "| haze | paper's preset | 3 | +2.00 ± 1.00 (+1.00 to +3.00); 1 diverged |  | 21.0 | 500 |"
    assert other == "| haze | other | 3 | -1.00 (-1.00 to -1.00); 2 diverged | -4.00 (1) | 14.0 | 500 |"
    assert "| +1.50 ± 1.00 (2) | 21.0, -0.5 ± 0.5 |" in paired, "of the scenes that diverged in neither"


@scripts("benchmarks/small_world/follow.py")
def test_a_large_offset_is_not_followed(script: ModuleType, tmp_path: Path) -> None:
    """Why fits with the published step diverge: beyond some offset, the prior's estimates are black and white."""
    assert script.main(["--scenes", "2"]) == 0
    rows = json.loads((tmp_path / "results" / "small_world_follow.json").read_text())["rows"]
    small, large = ([row for row in rows if row["offset"] == offset] for offset in (0.1, 0.6))
    assert all(row["follows"] > 0.3 and row["saturated"] < 0.02 for row in small)
    assert all(row["follows"] < 0.15 and row["saturated"] > 0.9 for row in large)


def test_the_prior_of_the_world_knows_its_scenes() -> None:
    """As well as its card says, and better than the bundled one, which has seen photographs alone."""
    from pairs import pair

    from zeroair_pl.priors import UNetPrior

    own, photographs = UNetPrior(str(WORLD / "prior")), UNetPrior()
    sigma, errors = torch.full((6,), 100 / 255), []
    clean = torch.cat([pair("noise", i).clean for i in range(6)])
    x = clean + sigma[0] * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    for prior in (own, photographs):
        errors.append(-10 * math.log10(float((prior.denoise(x, sigma) - clean).square().mean())))
    assert errors[0] > 24
    assert errors[0] > errors[1] + 0.5
