"""The benchmark of test-time degradation modeling: what is composed is known, and errors are measured against it."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml
from torch import Tensor, nn

from helpers.command import save_toy, scripts
from helpers.toys import toy_photo
from zeroair_pl.checks.samples import blurred
from zeroair_pl.degradations import Degradation, Noise


class Known(Degradation):
    """Says what it is told, wrong by a stated amount."""

    def __init__(self, t: Tensor, airlight: Tensor, light: Tensor, gamma: float, sigma: float) -> None:
        super().__init__()
        self.t, self.airlight, self.light, self.gamma = t, airlight, light, gamma
        self.noise.log_sigma = nn.Parameter(torch.tensor(sigma).log())

    def forward(self, x: Tensor) -> Tensor:
        return (self.light * x) ** self.gamma * self.t + self.airlight * (1 - self.t)

    def diagnostics(self) -> dict[str, Tensor]:
        gamma = torch.full((1, 1, 1, 1), self.gamma)
        return {"transmission": self.t, "airlight": self.airlight, "illumination": self.light, "gamma": gamma}


@scripts("benchmarks/composed.py")
def test_strengths_are_what_they_say(script: ModuleType) -> None:
    clean = toy_photo(48, 64)
    for strength in range(3):
        hazy = script.haze(clean, strength, torch.Generator().manual_seed(strength))
        assert float(hazy.transmission.mean()) == pytest.approx(script.MEAN_TRANSMISSION[strength], abs=0.08)
        assert float(hazy.transmission.std()) > 0.03
        dark = script.low_light(clean, strength, torch.Generator().manual_seed(strength))
        assert float(dark.illumination.mean()) == pytest.approx(script.MEAN_LIGHT[strength][0], rel=0.1)
        noisy = script.noise(0.25 + clean / 2, strength, torch.Generator().manual_seed(strength))
        assert float((noisy.y - noisy.clean).std()) == pytest.approx(noisy.sigma, rel=0.05)
        again = script.haze(clean, strength, torch.Generator().manual_seed(strength))
        assert torch.equal(hazy.y, again.y)
        assert torch.equal((hazy.y * 255).round() / 255, hazy.y)


@scripts("benchmarks/composed.py")
def test_the_map_does_not_follow_the_brightness(script: ModuleType) -> None:
    clean = toy_photo(64, 64)
    maps = torch.stack([script.made_up_map(clean, torch.Generator().manual_seed(seed)).flatten() for seed in range(40)])
    gray = clean.mean(1).flatten()
    correlations = [float(torch.corrcoef(torch.stack([each, gray]))[0, 1]) for each in maps]
    assert abs(sum(correlations) / 40) < 0.2
    assert float(maps.min()) > 0
    assert float(maps.mean(1).sub(1).abs().max()) < 1e-5


@scripts("benchmarks/tdm.py")
def test_errors_are_those_that_were_made(script: ModuleType) -> None:
    from composed import haze, low_light, noise

    clean = toy_photo(48, 48)
    hazy = haze(clean, 1, torch.Generator().manual_seed(0))
    ones = torch.ones_like(hazy.transmission)
    airlight = hazy.airlight
    assert airlight is not None
    exact = Known(hazy.transmission, airlight, ones, 1.0, hazy.sigma)
    found = script.errors(exact, hazy, "haze")
    assert found["transmission"] == found["airlight"] == 0
    assert found["noise ratio"] == pytest.approx(1)
    assert found["distance to ceiling"] == pytest.approx(0, abs=1e-3)
    tint = torch.tensor([0.0, 0.0, 0.03]).view(1, 3, 1, 1)
    off = Known(hazy.transmission - 0.1, airlight + tint, ones, 1.0, 0.002)
    found = script.errors(off, hazy, "haze")
    assert found["transmission"] == pytest.approx(0.1, abs=1e-4)
    assert (found["airlight r"], found["airlight b"]) == (0, pytest.approx(0.03, abs=1e-4))
    assert found["airlight"] == pytest.approx(0.01, abs=1e-4)
    assert found["noise ratio"] == pytest.approx(hazy.sigma / 0.002, rel=1e-3)
    assert found["distance to ceiling"] > 5

    dark = low_light(clean, 1, torch.Generator().manual_seed(0))
    double = Known(ones, torch.zeros(1, 3, 1, 1), 2 * dark.illumination, dark.gamma + 0.2, dark.sigma)
    found = script.errors(double, dark, "low light")
    assert found["illumination"] == pytest.approx(1, abs=1e-3)
    assert found["illumination shape"] == pytest.approx(0, abs=1e-3)
    assert found["gamma"] == pytest.approx(0.2, abs=1e-3)

    plain = Noise()
    plain.initialize(hazy.y, {}, blurred)
    missed = float((1 - hazy.transmission).mean())
    assert script.errors(plain, hazy, "haze")["transmission"] == pytest.approx(missed, abs=1e-3), "it knows of no haze"
    noisy = noise(clean, 0, torch.Generator().manual_seed(0))
    assert script.errors(plain, noisy, "noise")["distance to ceiling"] == 0


@scripts("benchmarks/tdm.py")
def test_the_benchmark_runs_and_says_what_passes(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_toy(tmp_path / "photos" / "one.png", 0, 48, 64)
    quick = {"degradation": "Noise", "prior": "helpers.toys.ToyPrior"}
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump({**quick, "sampling": {"steps": 2}}))
    given = ["--photos", str(tmp_path / "photos"), "--side", "32", "--config", str(tmp_path / "quick.yaml")]
    assert script.main(given) == 0
    measured = json.loads((tmp_path / "results" / "tdm.json").read_text())
    assert str(tmp_path) not in json.dumps(measured)
    assert list(measured["kinds"]) == ["haze", "low light", "noise"]
    for kind, found in measured["kinds"].items():
        assert len(found["cases"]) == 3
        assert found["families"] == {"Noise": 3}
        assert set(script.GOALS[kind]) <= set(found["quantities"])
    haze = measured["kinds"]["haze"]["quantities"]["transmission"]
    assert haze["end"] == pytest.approx(sum(haze["end_by_strength"]) / 3, abs=1e-3)
    assert haze["end_by_strength"] == sorted(haze["end_by_strength"]), "no haze is more wrong the denser it is"
    assert not haze["met"]
    out = capsys.readouterr().out
    assert "FAIL" in next(line for line in out.splitlines() if "transmission" in line)
    assert "pass" in next(line for line in out.splitlines() if "noise" in line and "ceiling" in line and "≤" in line)
    assert script.main(["--photos", str(tmp_path)]) == 2
    assert "no photo is in there" in capsys.readouterr().err
