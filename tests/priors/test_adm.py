"""The converter of ADM checkpoints: equality with a reference network, and refusal of everything that does not fit.

``Reference`` computes with the weights under the original's key names and knows neither the converter nor diffusers.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers.adm_reference import Reference
from zeroair_pl.commands.prior import convert
from zeroair_pl.errors import ConfigError
from zeroair_pl.priors.hub import adm
from zeroair_pl.priors.hub.adm import convert_adm
from zeroair_pl.priors.hub.adm_layout import RELEASED, infer_architecture, match_keys, unet_config

MANIFEST = Path(__file__).parents[1] / "data" / "256x256_diffusion_uncond.keys.json"
GOLDEN = Path(os.environ.get("ADM_GOLDEN", Path(__file__).parents[3] / "shared" / "adm-golden"))
convert_tiny = partial(convert_adm, num_head_channels=16, image_size=32)
UNCOND = (256, (1, 1, 2, 2, 4, 4), 2, (3, 4, 5))


def written(network: Reference, folder: Path, name: str = "net.pt", **options: bool) -> Path:
    path = folder / name
    torch.save(network.weights, path, **options)
    return path


def run(folder: Path, x: Tensor, t: Tensor, **options: Tensor) -> Tensor:
    from diffusers.models.unets.unet_2d import UNet2DModel

    unet = UNet2DModel.from_pretrained(folder, subfolder="unet")
    with torch.no_grad():
        result: Tensor = unet(x, t, **options).sample
    return result


@pytest.fixture(scope="module")
def tiny() -> Reference:
    return Reference().seeded()


@pytest.fixture(scope="module")
def noisy() -> tuple[Tensor, Tensor]:
    return torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(1)), torch.tensor([7, 640])


@pytest.mark.parametrize(
    "network",
    [
        Reference(),
        Reference(new_order=True),
        Reference(multipliers=(1, 1, 2), blocks=2, levels=(0, 2), head=32),
        Reference(multipliers=(1, 2), levels=()),
    ],
    ids=["legacy order", "new order", "three levels", "attention in the middle only"],
)
def test_converted_network_equals_the_reference(
    network: Reference, noisy: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    network = network.seeded()
    out = convert_adm(
        written(network, tmp_path),
        tmp_path / "prior",
        num_head_channels=network.head,
        image_size=32,
        use_new_attention_order=network.new_order,
    )
    assert (run(out, *noisy) - network(*noisy)).abs().max() < 1e-5


def test_the_order_of_the_attention_rows_matters(tiny: Reference, noisy: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    # Both orders load without complaint, so the equality above is worth something only if they differ.
    out = convert_adm(
        written(tiny, tmp_path), tmp_path / "p", num_head_channels=16, image_size=32, use_new_attention_order=True
    )
    assert (run(out, *noisy) - tiny(*noisy)).abs().max() > 1e-2


def test_class_conditional_network(noisy: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    network = Reference(classes=5).seeded()
    labels = torch.tensor([3, 3])
    expected = network(*noisy, labels)
    source = written(network, tmp_path)
    kept = convert_tiny(source, tmp_path / "kept")
    assert (run(kept, *noisy, class_labels=labels) - expected).abs().max() < 1e-5
    assert json.loads((kept / "prior.json").read_text())["classes"] == 5
    fixed = convert_tiny(source, tmp_path / "fixed", class_label=3)
    assert (run(fixed, *noisy) - expected).abs().max() < 1e-5
    with pytest.raises(ConfigError, match=r"--class_label is 5, expected 0 to 4"):
        convert_tiny(source, tmp_path / "bad", class_label=5)


def test_folder_is_complete(tiny: Reference, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    # The format of PyTorch before 1.6 cannot be mapped into memory and takes another way.
    source = written(tiny, tmp_path, "my_net.pt", _use_new_zipfile_serialization=False)
    out = convert(source, tmp_path / "deep" / "prior", num_head_channels=16, image_size=48)
    assert str(out) in capsys.readouterr().out
    files = sorted(str(p.relative_to(out.parent)) for p in out.parent.rglob("*") if p.is_file())
    assert files == [
        "prior/prior.json",
        "prior/scheduler/scheduler_config.json",
        "prior/unet/config.json",
        "prior/unet/diffusion_pytorch_model.safetensors",
    ]
    facts = json.loads((out / "prior.json").read_text())
    assert (facts["name"], facts["space_to_depth"], facts["native_size"], facts["multiple"]) == ("my_net", 1, 48, 2)
    scheduler = DDPMScheduler.from_pretrained(out, subfolder="scheduler")
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    torch.testing.assert_close(scheduler.alphas_cumprod.double(), (1 - betas).cumprod(0), rtol=1e-4, atol=1e-7)
    config = scheduler.config
    assert (config.prediction_type, config.variance_type, config.clip_sample) == ("epsilon", "learned_range", True)


def test_real_checkpoint_key_for_key() -> None:
    manifest = {key: tuple(shape) for key, shape in json.loads(MANIFEST.read_text()).items()}
    assert Reference(*UNCOND).shapes() == manifest  # so the reference builds the real network too
    arch = infer_architecture(manifest)
    unet = adm._meta_unet(unet_config(arch, RELEASED[arch], keep_classes=True))
    targets = {key: tuple(tensor.shape) for key, tensor in unet.state_dict().items()}
    keys = match_keys(arch, manifest, targets, keep_classes=True)
    assert set(keys.values()) == set(manifest)
    assert len(manifest) == 566
    assert set(keys) == set(targets)
    assert sum(math.prod(shape) for shape in targets.values()) == 552_814_086
    assert sum(p.numel() for p in unet.parameters()) == 552_814_086
    assert arch.multiple == 32


@pytest.mark.parametrize(
    "network, image_size, schedule",
    [
        (Reference(*UNCOND), 256, "linear"),
        (Reference(*UNCOND, classes=1000), 256, "linear"),
        (Reference(192, (1, 2, 3, 4), 3, (1, 2, 3), classes=1000), 64, "cosine"),
    ],
    ids=["256 unconditional, LSUN", "256", "64"],
)
def test_released_network_is_known(network: Reference, image_size: int, schedule: str) -> None:
    shapes = network.shapes()
    arch = infer_architecture(shapes)
    settings = RELEASED[arch]
    assert (settings.image_size, settings.noise_schedule, settings.num_head_channels) == (image_size, schedule, 64)
    assert settings.use_new_attention_order is (image_size == 64)
    unet = adm._meta_unet(unet_config(arch, settings, keep_classes=True))
    match_keys(arch, shapes, {k: tuple(v.shape) for k, v in unet.state_dict().items()}, keep_classes=True)


@pytest.mark.parametrize(
    "network, message",
    [
        (Reference(256, (1, 1, 2, 3, 4), 2, (2, 3, 4), classes=1000), "128x128_diffusion.*4 attention heads"),
        (Reference(256, (0.5, 1, 1, 2, 2, 4, 4), 2, (4, 5, 6), classes=1000), "512x512_diffusion.*timestep embedding"),
        (Reference(192, (1, 1, 2, 2, 4, 4), 2, (3, 4, 5), classes=1000, in_channels=6), "6 input.*64_256_upsampler"),
        (Reference(64, (0.5, 1)), "timestep embedding .64 to 256. and first level .32 channels."),
    ],
    ids=["128", "512", "upsampler", "narrow first level"],
)
def test_network_that_diffusers_cannot_express_is_refused_by_name(network: Reference, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        infer_architecture(network.shapes())


def test_other_networks_of_the_family_are_refused() -> None:
    shapes = Reference().shapes()
    with pytest.raises(ConfigError, match="a classifier"):
        infer_architecture({key: shape for key, shape in shapes.items() if not key.startswith("output")})
    with pytest.raises(ConfigError, match=r"plain convolutions .'input_blocks.2.0.op.weight'"):
        infer_architecture({**shapes, "input_blocks.2.0.op.weight": (32, 32, 3, 3)})
    with pytest.raises(ConfigError, match=r"'time_embed.0.weight' is missing; it has 'conv1.weight'"):
        infer_architecture({"conv1.weight": (64, 3, 7, 7)})


KEY = "output_blocks.1.0.in_layers.2.weight"


@pytest.mark.parametrize(
    "change, message",
    [
        ({KEY: None}, f"1 of the keys.* missing: '{KEY}'"),
        ({"output_blocks.9.1.norm.bias": torch.zeros(3)}, "do not make whole levels"),
        ({"middle_block.3.norm.bias": torch.zeros(3)}, r"no place in its network: 'middle_block.3.norm.bias'"),
        ({KEY: torch.zeros(64, 96, 3, 1)}, f"'{KEY}' has .64, 96, 3, 1., expected .64, 96, 3, 3."),
        ({KEY: torch.full((64, 96, 3, 3), torch.nan)}, f"'{KEY}' holds values that are not finite"),
        ({"step": 3}, "not a plain dict of floating-point tensors: see 'step'"),
        ({"step": Path("x")}, "not a PyTorch checkpoint of tensors only"),
    ],
    ids=["missing", "extra block", "extra key", "shape", "nan", "not a tensor", "pickled object"],
)
def test_checkpoint_that_does_not_fit_is_refused(
    tiny: Reference, change: dict[str, Tensor | None], message: str, tmp_path: Path
) -> None:
    weights = {key: value for key, value in {**tiny.weights, **change}.items() if value is not None}
    source = tmp_path / "net.pt"
    torch.save(weights, source)
    with pytest.raises(ConfigError, match=message) as raised:
        convert_tiny(source, tmp_path / "prior")
    assert str(source) in str(raised.value)
    assert [p.name for p in tmp_path.iterdir()] == ["net.pt"]


@pytest.mark.parametrize("legacy", [False, True])
def test_truncated_checkpoint_is_refused(tiny: Reference, legacy: bool, tmp_path: Path) -> None:
    whole = written(tiny, tmp_path, _use_new_zipfile_serialization=not legacy).read_bytes()
    source = tmp_path / "cut.pt"
    for share in (0.99, 0.5, 0.01):
        source.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ConfigError, match=r"cut.pt is (truncated|not a PyTorch checkpoint)"):
            convert_tiny(source, tmp_path / "prior")
    assert not (tmp_path / "prior").exists()


@pytest.mark.parametrize("content", [b"", b"<html>403 Forbidden</html>", b"PK\x03\x04", bytes(range(256)) * 20])
def test_file_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "net.pt"
    source.write_bytes(content)
    with pytest.raises(ConfigError, match=r"net.pt is (truncated|not a PyTorch checkpoint)"):
        convert_adm(source, tmp_path / "prior")


def test_checksum(tiny: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "256x256_diffusion_uncond.pt"
    source = written(tiny, tmp_path, name)
    size = source.stat().st_size
    out = tmp_path / "prior"
    with pytest.raises(ConfigError, match=rf"{name} has {size:,} bytes, expected 2,211,383,297"):
        convert_tiny(source, out)
    monkeypatch.setitem(adm.KNOWN_FILES, name, (size, "a37c" * 16))
    with pytest.raises(ConfigError, match=rf"{name} has sha256 [0-9a-f]{{64}}, expected a37ca37c"):
        convert_tiny(source, out)
    renamed = source.rename(tmp_path / "renamed.pt")
    digest = hashlib.sha256(renamed.read_bytes()).hexdigest()
    with pytest.raises(ConfigError, match=f"{digest}, expected 00ff"):
        convert_tiny(renamed, out, checksum="00ff")
    # A released file is known by its content, whatever it is called here.
    monkeypatch.setitem(adm.KNOWN_FILES, name, (size, digest))
    facts = json.loads((convert_tiny(renamed, out, checksum=digest.upper()) / "prior.json").read_text())
    assert facts["name"] == "256x256_diffusion_uncond"
    assert facts["source"] == {"file": "renamed.pt", "sha256": digest}


def test_settings_that_shapes_do_not_tell_must_be_given_and_fit(tiny: Reference, tmp_path: Path) -> None:
    source, out = written(tiny, tmp_path), tmp_path / "prior"
    with pytest.raises(ConfigError, match="do not tell --num_head_channels and --image_size"):
        convert_adm(source, out)
    with pytest.raises(ConfigError, match="--num_head_channels is 0, expected a positive number"):
        convert_adm(source, out, num_head_channels=0, image_size=32)
    with pytest.raises(ConfigError, match="--num_head_channels 24 does not divide the 64 channels"):
        convert_adm(source, out, num_head_channels=24, image_size=32)
    with pytest.raises(ConfigError, match="--class_label is 2, expected none: the network is not class-conditional"):
        convert_tiny(source, out, class_label=2)


def test_nothing_is_overwritten_or_left_behind(
    tiny: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = written(tiny, tmp_path), tmp_path / "prior"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(ConfigError, match="prior exists already"):
        convert_tiny(source, out)
    assert (out / "mine.txt").read_text() == "keep"
    (out / "mine.txt").unlink()  # an empty folder is taken

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(adm, "_write_safetensors", full)
        with pytest.raises(ConfigError, match=r"prior cannot be written: .*No space left"):
            convert_tiny(source, out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.pt", "prior"]
    assert not any(out.iterdir())
    assert (convert_tiny(source, out) / "prior.json").is_file()


def test_missing_checkpoint_is_named_with_the_nearest_file(tiny: Reference, tmp_path: Path) -> None:
    written(tiny, tmp_path, "256x256_diffusion.pt")
    with pytest.raises(ConfigError, match=r"256x256_difusion.pt is not there.*Did you mean '256x256_diffusion.pt'\?"):
        convert_adm(tmp_path / "256x256_difusion.pt", tmp_path / "prior")


@pytest.mark.skipif(not (GOLDEN / "toy.pt").is_file(), reason="no reference outputs of the original (set ADM_GOLDEN)")
def test_agrees_with_the_original_network(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    io = load_file(GOLDEN / "toy-io.safetensors")
    out = convert_tiny(GOLDEN / "toy.pt", tmp_path / "prior")
    assert (run(out, io["x"], io["t"]) - io["y"]).abs().max() < 1e-5
    # The reference of the other tests, too, is the original.
    weights = torch.load(GOLDEN / "toy.pt", weights_only=True)
    network = Reference(32, (1, 2, 2), 2, (1, 2), head=16, weights=weights)
    assert network.shapes() == {key: tuple(tensor.shape) for key, tensor in weights.items()}
    assert (network(io["x"], io["t"]) - io["y"]).abs().max() < 1e-5
