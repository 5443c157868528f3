"""Scores of one image, and what is made of many: checked against plain statements and by hand."""

from __future__ import annotations

import socket
import statistics
from pathlib import Path

import lpips as package
import numpy as np
import pytest
import torch
from torchvision.models import alexnet

from helpers.toys import toy_photo
from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.scores import metrics
from zeroair_pl.scores.scoring import METRICS, Scored, score, summarize, worst

pytestmark = pytest.mark.filterwarnings("ignore:.*weight enum.*|.*parameter 'pretrained'.*")  # lpips about torchvision

CLEAN = toy_photo(48, 40, 1)[0]
NOISY = (CLEAN + 0.1 * torch.randn(CLEAN.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has downloaded does not count."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))


def put_weights() -> Path:
    path = metrics.lpips_weights()
    path.parent.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save({k: v for k, v in alexnet().state_dict().items() if k.startswith("features.")}, path)
    return path


# --- one image


def test_all_that_is_known_of_one_image() -> None:
    found = score(NOISY, CLEAN, CLEAN * 0.3)
    x, y = NOISY[None], CLEAN[None]
    assert list(found) == ["psnr", "gain", "ssim", "ssim_rgb", "noise", "blur"]
    assert found["psnr"] == metrics.psnr(x, y).item()
    assert found["gain"] == pytest.approx(found["psnr"] - metrics.psnr(y * 0.3, y).item())
    assert (found["ssim"], found["ssim_rgb"]) == (metrics.ssim_paper(x, y).item(), metrics.ssim(x, y).item())
    assert found.keys() <= METRICS.keys()
    assert list(score(NOISY)) == ["noise", "blur"]
    assert "gain" not in score(NOISY, CLEAN)


def test_sizes_must_agree() -> None:
    with pytest.raises(InputError, match="40x48 px"):
        score(NOISY, CLEAN[:, 1:])
    with pytest.raises(InputError, match="40x48 px, the degraded one 40x47 px"):
        score(NOISY, None, CLEAN[:, 1:])


@pytest.mark.parametrize("sigma", [5, 20])
def test_the_noise_score_is_the_standard_deviation_of_white_noise(sigma: float) -> None:
    rows, columns = torch.linspace(0.3, 0.7, 96)[:, None], torch.linspace(-0.1, 0.1, 128)[None]
    ramp = (rows + columns).expand(2, 3, 96, 128)
    noisy = ramp + sigma / 255 * torch.randn(ramp.shape, generator=torch.Generator().manual_seed(3))
    assert metrics.noise(ramp).tolist() == pytest.approx([0, 0], abs=1e-3)
    assert metrics.noise(noisy).tolist() == pytest.approx([sigma, sigma], rel=0.05)


def blur_by_definition(y: np.ndarray) -> float:
    """Of luma (H, W), pixel by pixel."""
    scores = []
    for image in (y, y.T):
        padded = np.pad(image, ((0, 0), (4, 4)), mode="edge")
        smooth = np.stack([padded[:, i : i + 9].mean(1) for i in range(image.shape[1])], axis=1)
        before, after = (np.abs(each[:, 1:] - each[:, :-1]) for each in (image, smooth))
        scores.append((before.sum() - np.maximum(0, before - after).sum()) / before.sum())
    return max(scores)


def test_the_blur_score() -> None:
    luma = np.einsum("chw,c->hw", CLEAN.double().numpy(), [0.299, 0.587, 0.114])
    assert metrics.blur(CLEAN[None]).item() == pytest.approx(blur_by_definition(luma), abs=1e-5)
    soft = torch.nn.functional.avg_pool2d(CLEAN[None], 5, 1, 2)
    sharp, blurred, noisy = metrics.blur(torch.cat([CLEAN[None], soft, NOISY[None]])).tolist()
    assert 0 < noisy < sharp < blurred < 1
    assert metrics.blur(torch.full((1, 3, 16, 16), 0.5)).item() == 1


# --- LPIPS


def test_lpips_is_that_of_the_package_and_is_there_when_its_weights_are() -> None:
    assert "lpips" not in score(NOISY, CLEAN)
    put_weights()
    network = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    features = torch.load(metrics.lpips_weights(), weights_only=True)
    for name, values in network.net.state_dict().items():
        values.copy_(features["features." + name.split(".", 1)[1]])
    found = score(NOISY, CLEAN)
    assert found["lpips"] == pytest.approx(network(NOISY[None] * 2 - 1, CLEAN[None] * 2 - 1).item(), rel=1e-5)
    assert 0 == score(CLEAN, CLEAN)["lpips"] < found["lpips"]
    small = toy_photo(24, 40)[0]
    assert "lpips" not in score(small, small)
    with pytest.raises(InputError, match="at least 32 px, not 40x24"):
        metrics.lpips(small[None], small[None])


def test_lpips_downloads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    score(NOISY, CLEAN)
    with pytest.raises(ConfigError, match=r"alexnet.*no such file"):
        metrics.lpips(NOISY[None], CLEAN[None])
    put_weights().write_bytes(b"half a file")
    with pytest.raises(ConfigError, match=r"alexnet.*cannot be read"):
        score(NOISY, CLEAN)


# --- many


def scored(result: str, name: str, seed: int | None = None, **scores: float) -> Scored:
    return Scored(result, name, scores, seed)


def test_means_and_spreads() -> None:
    rows = [
        scored("restored", "a", 0, psnr=20),
        scored("restored", "a", 1, psnr=24),
        scored("restored", "b", 0, psnr=31),
        scored("restored", "b", 1, psnr=33),
        scored("degraded", "a", psnr=10, blur=0.5),
    ]
    found = summarize(rows)
    assert list(found) == ["restored", "degraded"]
    ours = found["restored"]["psnr"]
    assert (ours.images, ours.mean) == (2, 27)
    assert ours.spread == pytest.approx(statistics.stdev([22, 32])), "of the images, each with its mean over the seeds"
    assert ours.seed_spread == pytest.approx((statistics.stdev([20, 24]) + statistics.stdev([31, 33])) / 2)
    theirs = found["degraded"]
    assert list(theirs) == ["psnr", "blur"]
    assert (theirs["psnr"].images, theirs["psnr"].spread, theirs["psnr"].seed_spread) == (1, None, None)


def test_an_image_counts_once_however_many_seeds_it_has() -> None:
    rows = [scored("x", "a", seed, psnr=20) for seed in range(3)] + [scored("x", "b", 0, psnr=30)]
    assert summarize(rows)["x"]["psnr"].mean == 25


def test_the_worst_images_are_those_that_gain_least() -> None:
    rows = [
        scored("x", "dark", 0, psnr=12, gain=6),
        scored("x", "fine", 0, psnr=30, gain=-1),
        scored("x", "fine", 1, psnr=32, gain=1),
        scored("y", "dark", psnr=12),
        scored("y", "fine", psnr=30),
        scored("z", "dark", blur=0.2),
    ]
    assert worst(rows, "x") == [("fine", "gain", 0), ("dark", "gain", 6)]
    assert worst(rows, "y", count=1) == [("dark", "psnr", 12)]
    assert worst(rows, "z") == []
