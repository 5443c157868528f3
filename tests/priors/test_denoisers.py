"""Denoisers of other makes as priors: what is loaded computes what its source says, and what is missing is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helpers.command import run, save_toy
from helpers.moments import photos
from zeroair_pl.errors import ConfigError
from zeroair_pl.priors import DenoiserNetwork, Prior, UNetPrior
from zeroair_pl.priors.denoisers import calibrating

SOURCE = """
import torch.nn.functional as F

def smooth(x, sigma):
    mean = F.avg_pool2d(F.pad(x, [2] * 4, mode="replicate"), 5, stride=1)
    return x.lerp(mean, (10 * sigma).clamp(max=1)[:, None, None, None])

fact = 3
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Calibrations go into a folder of the test's own, and are measured on little."""
    monkeypatch.setenv("ZEROAIR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(calibrating, "own_pieces", lambda: photos(2, 32, 32))
    return tmp_path / "home" / "calibrations"


class Scripted(nn.Module):
    """Takes its level as a number out of 255, images in [0, 255], and says the noise: half of what is not gray."""

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        return 0.5 * (x - x.mean(1, keepdim=True)) + 0 * level[:, None, None, None]


CONVENTION = {"noise": "number", "scale": 255, "range": [0, 255], "predicts": "noise", "multiple": 4}


def drunet(path: Path, channels: int = 4) -> Path:
    """A checkpoint in the shape of DRUNet, narrow, with random weights."""
    architecture = pytest.importorskip("spandrel.architectures.DRUNet")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = architecture.DRUNet(in_nc=channels, out_nc=3, nc=[8, 8, 8, 8], nb=4)
    torch.save(network.state_dict(), path)
    return path


def test_a_checkpoint_restores_a_photo_by_its_file(tmp_path: Path, cache: Path) -> None:
    path, photo = drunet(tmp_path / "drunet.pth"), save_toy(tmp_path / "in" / "photo.png", 0, 40, 48)
    done = run("restore", "--images", photo, "--out", tmp_path / "out", "--config", "denoise", "--prior.path", path,
               "--sampling.steps", "2", "--tensorboard", "false", "--strips", "false")  # fmt: skip
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "photo.png").is_file()
    assert "drunet: measuring its error" in done.err
    (kept,) = cache.glob("*.json")
    assert json.loads(kept.read_text())["name"] == "drunet"


def test_a_checkpoint_is_asked_with_a_map_of_the_noise(tmp_path: Path) -> None:
    import spandrel

    path = drunet(tmp_path / "drunet.pth")
    prior, x, sigma = UNetPrior(str(path), precision="float32"), photos(2, 19, 24), torch.tensor([0.1, 0.05])
    assert isinstance(prior, DenoiserNetwork)
    network: Any = spandrel.ModelLoader().load_from_file(path).model
    shown = torch.nn.functional.pad(x, (0, 0, 0, 5), mode="reflect")  # to a multiple of 8
    with torch.no_grad():
        wanted = network(torch.cat([shown, sigma[:, None, None, None].expand(-1, 1, 24, 24)], 1))[..., :19, :]
    torch.testing.assert_close(prior.denoise(x, sigma), wanted.clamp(0, 1), atol=1e-5, rtol=0)
    assert prior.calibration.rmse != Prior.calibration.rmse, "its own was measured"


def test_the_calibration_is_measured_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = drunet(tmp_path / "drunet.pth")
    first = UNetPrior(str(path))
    assert "measuring" in capsys.readouterr().err
    again = UNetPrior(str(path))
    assert capsys.readouterr().err == ""
    assert again.calibration == first.calibration
    assert again.fingerprint() == first.fingerprint()
    weights = torch.load(path, weights_only=True)
    torch.save({name: 0.5 * each for name, each in weights.items()}, path)
    other = UNetPrior(str(path))
    assert "measuring" in capsys.readouterr().err, "other weights in the old place are another denoiser"
    assert other.fingerprint() != first.fingerprint()


def test_torchscript_and_onnx_keep_the_convention_beside_them(tmp_path: Path) -> None:
    script, onnx = tmp_path / "gray.pt", tmp_path / "gray.onnx"
    torch.jit.script(Scripted()).save(str(script))
    _export(onnx)
    x, sigma = photos(1, 24, 20), torch.tensor([0.1])
    for path in (script, onnx):
        with pytest.raises(ConfigError, match=r"state that in gray\.json.*beside it.*predicts"):
            UNetPrior(str(path))
    (tmp_path / "gray.json").write_text(json.dumps(CONVENTION))
    for path in (script, onnx):
        found = UNetPrior(str(path), precision="float32").denoise(x, sigma)
        torch.testing.assert_close(found, x - 0.5 * (x - x.mean(1, keepdim=True)), atol=1e-5, rtol=0)


def _export(path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make, number = onnx.helper, onnx.TensorProto.FLOAT
    dims = ["b", 3, "h", "w"]
    nodes = [
        make.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=1),
        make.make_node("Sub", ["x", "mean"], ["color"]),
        make.make_node("Mul", ["color", "half"], ["y"]),
    ]
    inputs = [make.make_tensor_value_info("x", number, dims), make.make_tensor_value_info("level", number, ["b"])]
    half = make.make_tensor("half", number, [], [0.5])
    graph = make.make_graph(nodes, "gray", inputs, [make.make_tensor_value_info("y", number, dims)], [half])
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8), str(path))


def test_a_function_is_a_prior(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_denoiser.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    x, sigma = photos(1, 20, 20), torch.tensor([0.2])
    by_file, by_module = UNetPrior(f"{tmp_path}/my_denoiser.py:smooth"), UNetPrior("my_denoiser:smooth")
    mean = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(x, [2] * 4, mode="replicate"), 5, stride=1)
    for prior in (by_file, by_module):
        torch.testing.assert_close(prior.denoise(x, sigma), mean.clamp(0, 1))
    assert by_file.calibration == by_module.calibration
    assert by_file.calibration.rmse[0] < by_file.calibration.rmse[5]
    sys.modules.pop("my_denoiser")


@pytest.mark.parametrize("scheduler", ["FlowMatchEulerDiscreteScheduler", "EDMEulerScheduler"])
def test_a_folder_of_another_schedule_denoises(scheduler: str, tmp_path: Path) -> None:
    """A network that says nothing: flow matching then returns what it was shown, EDM its share of the signal."""
    from zeroair_pl.priors.network import DenoisingUNet

    with torch.random.fork_rng(devices=[]):
        DenoisingUNet((4, 4), (1, 1)).save_pretrained(tmp_path / "net" / "unet")
    (tmp_path / "net" / "scheduler").mkdir()
    (tmp_path / "net" / "scheduler" / "scheduler_config.json").write_text(json.dumps({"_class_name": scheduler}))
    prior, x = UNetPrior(str(tmp_path / "net"), precision="float32"), photos(1, 16, 24)
    assert isinstance(prior, DenoiserNetwork)
    sigma, level = torch.tensor([0.1]), 0.2  # of images in [-1, 1]
    share = 1 / (1 + level) if scheduler.startswith("Flow") else 0.25 / (0.25 + level**2)
    torch.testing.assert_close(prior.denoise(x, sigma), (share * (2 * x - 1) + 1) / 2, atol=1e-5, rtol=0)


def test_flow_matching_asks_at_the_right_time(tmp_path: Path) -> None:
    """A network that knows the clean image answers ε − x_0 for x_s at s = t/1000; then x_0 comes out."""
    from types import SimpleNamespace

    from zeroair_pl.priors.denoisers.folders import _edm, _flow

    clean, sigma = photos(2, 16, 16), torch.tensor([0.05, 1.5])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    level = (2 * sigma)[:, None, None, None]
    x = clean + sigma[:, None, None, None] * noise

    def flow(shown: Tensor, t: Tensor) -> Any:
        s = (t / 1000)[:, None, None, None]
        torch.testing.assert_close(shown, (1 - s) * (2 * clean - 1) + s * noise, atol=1e-5, rtol=0)
        return SimpleNamespace(sample=noise - (2 * clean - 1))

    def edm(shown: Tensor, t: Tensor) -> Any:
        torch.testing.assert_close(t, level.flatten().log() / 4)
        skip = 0.25 / (level**2 + 0.25)
        wanted = (2 * clean - 1 - skip * (2 * x - 1)) * (level**2 + 0.25).sqrt() / (level * 0.5)
        return SimpleNamespace(sample=wanted)

    for denoise in (_flow(flow, {}), _edm(edm, {})):
        torch.testing.assert_close(denoise(x, sigma), clean, atol=1e-4, rtol=0)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(SOURCE)
    (tmp_path / "bad.pth").write_bytes(b"no checkpoint")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "unknown.pth")
    torch.save(nn.Conv2d(4, 3, 1), tmp_path / "whole.pt")
    (tmp_path / "notes.txt").write_text("hello")
    torch.jit.script(Scripted()).save(str(tmp_path / "half.pt"))
    (tmp_path / "half.json").write_text(json.dumps({**CONVENTION, "noise": "maps"}))
    for name, words in {
        "mine.py:smoth": r"has no 'smoth'\. Did you mean 'smooth'",
        "mine.py:fact": "is a int; expected a function",
        "nowhere.py:smooth": "there is no file",
        "bad.pth": "no checkpoint of tensors only",
        "whole.pt": "it holds pickled objects; save the state_dict of the network, or TorchScript",
        "gone/net.pth": "there is no file .*gone/net.pth",
        "mine.py": r"mine\.py: name the function in it, as in .*mine\.py:denoise",
        "unknown.pth": r"no network that spandrel knows.*prior convert",
        "notes.txt": r"expected a folder, or a file of a denoiser: \.pth",
        "half.pt": "noise is 'maps', expected one of: map, number",
    }.items():
        with pytest.raises(ConfigError, match=words):
            UNetPrior(str(tmp_path / name))
    with pytest.raises(ConfigError, match="'small' is no denoiser; expected a file, a folder or a function"):
        DenoiserNetwork("small")
    with pytest.raises(ConfigError, match="module nowhere_at_all cannot be imported"):
        UNetPrior("nowhere_at_all:denoise")
    with pytest.raises(ConfigError, match="3 to 3 channels, without an input for the noise level"):
        UNetPrior(str(drunet(tmp_path / "blind.pth", channels=3)))
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(ConfigError, match=r"needs the package spandrel.*zeroair-pl\[denoisers\]"):
        UNetPrior(str(tmp_path / "unknown.pth"))


@pytest.mark.parametrize("kind", ["pt", "onnx"])
def test_a_network_that_is_asked_in_the_wrong_way_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    """It takes its level as a second input, and is given a map of four channels."""
    path = tmp_path / f"gray.{kind}"
    if kind == "pt":
        torch.jit.script(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1))).save(str(path))
    else:
        _export(path)
    (tmp_path / "gray.json").write_text(json.dumps({**CONVENTION, "noise": "map"}))
    done = run("restore", "--images", save_toy(tmp_path / "in.png"), "--config", "denoise", "--prior.path", path,
               "--out", tmp_path / "out")  # fmt: skip
    assert done.status == 2
    (line,) = (each for each in done.err.splitlines() if each.startswith("error"))
    assert f"prior.path: {path} " in line
    assert "Traceback" not in line
    assert ("3 channels" if kind == "pt" else "x, level") in line


def test_a_function_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def denoise(x, sigma):\n    raise RuntimeError('no')\n")
    with pytest.raises(ConfigError, match=r"mine\.py:denoise cannot be run: RuntimeError.*mine\.py:2\)"):
        UNetPrior(f"{tmp_path}/mine.py:denoise")


def test_a_denoiser_that_removes_no_noise_is_warned_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong convention gives pictures, but bad ones: here what is returned is the noise, and is taken for clean."""
    (tmp_path / "mine.py").write_text(SOURCE + "\ndef noise(x, sigma):\n    return x - smooth(x, sigma)\n")
    (tmp_path / "same.py").write_text("def same(x, sigma):\n    return x\n")
    for name in ("mine.py:noise", "same.py:same"):
        UNetPrior(f"{tmp_path}/{name}")
        assert f"warning: {name[-5:].lstrip(':')} removes no noise" in capsys.readouterr().err
    UNetPrior(f"{tmp_path}/mine.py:smooth")
    assert "warning" not in capsys.readouterr().err


def test_a_function_may_change_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        SOURCE + "\ndef eats(x, sigma):\n    return smooth(x.mul_(1), sigma) + 0 * x.zero_()\n"
    )
    x = photos(1, 16, 16)
    before = x.clone()
    UNetPrior(f"{tmp_path}/mine.py:eats").denoise(x, torch.tensor([0.1]))
    assert torch.equal(x, before)


def test_a_warning_on_the_command_line_is_one_line(tmp_path: Path) -> None:
    done = run("restore", "--images", save_toy(tmp_path / "in.png"), "--config", "deblur", "--out", tmp_path / "out",
               "--prior.adapt", "GainTuning", "--sampling.steps", "2", "--tensorboard", "false")  # fmt: skip
    assert done.status == 0, done.err
    assert [each for each in done.err.splitlines() if "arning" in each] == [
        "warning: in.png: prior.adapt has no effect, as Blur cannot be inverted"
    ]
    assert "prior_for(" not in done.err


def test_info_describes_a_denoiser(tmp_path: Path) -> None:
    done = run("prior", "info", drunet(tmp_path / "drunet.pth"))
    assert done.status == 0, done.err
    assert "DRUNet, a checkpoint" in done.out
    assert "dB at 25" in done.out
