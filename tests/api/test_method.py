"""A method from a config or from objects, and one photo restored by it in memory."""

from __future__ import annotations

import functools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import zeroair_pl
from helpers.command import save_toy
from helpers.toys import ToyPrior, toy_photo
from zeroair_pl import Method
from zeroair_pl.degradations import Degradation, Haze, Noise
from zeroair_pl.errors import ConfigError, InputError
from zeroair_pl.guidance import Likelihood, TotalVariation
from zeroair_pl.guidance.stages import Term
from zeroair_pl.guidance.updates import GradientUpdate
from zeroair_pl.method.restoration import Modelling
from zeroair_pl.method.sampling import Guidance
from zeroair_pl.method.settings import Sampling
from zeroair_pl.sampling import SchedulerSampler

TOY: dict[str, Any] = {"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}}
QUIET: dict[str, Any] = {"tensorboard": False, "strips": False}


@pytest.fixture(scope="module")
def method() -> Method:
    return Method.from_config("denoise", **TOY)


def bytes_of(height: int = 24, width: int = 32) -> Any:
    return (toy_photo(height, width)[0] * 255).round().byte().permute(1, 2, 0).numpy()


# --- one photo, in whatever form


@pytest.mark.parametrize(
    "array",
    [bytes_of(), bytes_of()[..., 0], bytes_of().astype(np.uint16) * 257, bytes_of().astype(">u2") * 257]
    + [(bytes_of() / 255).astype(kind) for kind in (np.float16, np.float32, np.float64)],
    ids=lambda array: f"{array.dtype} {array.ndim}",
)
def test_an_array_comes_back_as_one_of_its_shape_and_type(array: Any, method: Method) -> None:
    before = array.copy()
    image = method.restore(array).image
    assert (image.shape, image.dtype) == (array.shape, array.dtype)
    assert (array == before).all(), "the caller's array is left alone"
    same = np.testing.assert_allclose if array.dtype == np.float64 else np.testing.assert_array_equal
    same(method.restore(array).blend(0).image, array, err_msg="without correction it is the photo, to the bit")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 24, 32), (1, 3, 24, 32)])
def test_a_tensor_comes_back_as_one_of_its_shape_and_type(
    shape: tuple[int, ...], dtype: torch.dtype, method: Method
) -> None:
    tensor = toy_photo(24, 32).reshape(shape)
    tensor = (tensor * 255).byte() if dtype == torch.uint8 else tensor.to(dtype)
    image = method.restore(tensor).image
    assert (image.shape, image.dtype, image.device) == (tensor.shape, tensor.dtype, tensor.device)
    assert torch.equal(method.restore(tensor).blend(0).image, tensor)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "CMYK", "P", "1"])
def test_a_pillow_image_comes_back_as_one(mode: str, method: Method) -> None:
    picture = Image.fromarray(bytes_of()).convert(mode)
    picture.info["dpi"] = (300, 300)
    found = method.restore(picture).image
    assert isinstance(found, Image.Image)
    assert found.size == picture.size
    assert found.mode == {"P": "RGB", "1": "L"}.get(mode, mode), "a restored photo has more colors than a palette"
    assert found.info["dpi"] == (300, 300)
    if mode in ("RGBA", "LA"):
        assert found.getchannel("A").tobytes() == picture.getchannel("A").tobytes()


def test_a_pillow_image_that_lies_on_its_side_comes_back_lying(method: Method) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(bytes_of(24, 40))
    picture.info["exif"] = exif.tobytes()
    restored = method.restore(picture)
    assert restored.pixels.shape == (3, 40, 24), "upright"
    assert restored.image.size == (40, 24)
    assert restored.blend(0).image.tobytes() == picture.tobytes()


def test_all_forms_of_one_photo_have_one_result(method: Method) -> None:
    array = bytes_of()
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    found = [method.restore(each).pixels for each in (array, tensor, tensor[None], Image.fromarray(array))]
    found += [method.restore(tensor / 255).pixels, method.restore((array / 255).astype(np.float32)).pixels]
    assert all(torch.equal(each, found[0]) for each in found)


def test_a_file_gets_the_bytes_that_the_command_line_writes(tmp_path: Path, method: Method) -> None:
    for name in ("a.png", "b.jpg", "c.tif"):
        file = save_toy(tmp_path / "in" / name, 3, 24, 40)
        results = zeroair_pl.restore(file, "denoise", out=tmp_path / "out", **TOY, **QUIET)
        restored = method.restore(file)
        assert restored.save(tmp_path / "mine" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
        (row,) = results.rows
        assert (restored.kind, restored.nfe, restored.noise_level) == (row.kind, row.nfe, row.noise_level)
        assert restored.name == name
        assert restored.image.shape == (24, 40, 3)


def test_name_and_seed_decide_the_random_numbers() -> None:
    """From noise, where they show."""
    noisy: list[Any] = ["denoise", "ablations/proximal", "ablations/from_noise"]
    method, other = Method.from_config(noisy, **TOY), Method.from_config(noisy, **TOY, seed=1)
    array = bytes_of()
    first = method.restore(array).pixels
    assert torch.equal(method.restore(array, name="photo").pixels, first)
    assert not torch.equal(method.restore(array, name="another").pixels, first)
    assert not torch.equal(other.restore(array).pixels, first)


def test_strength_blends(method: Method) -> None:
    array = bytes_of()
    whole, half = method.restore(array), Method.from_config("denoise", **TOY, strength=0.5).restore(array)
    assert torch.equal(half.pixels, whole.blend(0.5).pixels)
    assert torch.equal(half.blend(1).pixels, whole.pixels)
    with pytest.raises(ConfigError, match=r"strength is 1\.5"):
        whole.blend(1.5)


def test_what_was_learned_comes_as_arrays() -> None:
    restored = Method.from_config("dehaze", **TOY).restore(bytes_of())
    assert restored.kind == "Haze"
    assert restored.diagnostics["transmission"].shape == (24, 32)
    assert restored.diagnostics["airlight"].shape == (3,)
    assert all(isinstance(each, np.ndarray) for each in restored.diagnostics.values())
    assert restored.seconds > 0
    assert restored._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_photo_from_memory_can_go_to_any_format(suffix: str, kind: Any, tmp_path: Path, method: Method) -> None:
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[kind]
    restored = method.restore((bytes_of().astype(np.float64) * scale).astype(kind))
    path = restored.save(tmp_path / f"new/photo{suffix}")
    again = zeroair_pl.Method.from_config("denoise", **TOY).restore(path).photo.pixels
    assert float((again - restored.pixels).abs().mean()) < 0.02


def test_a_file_keeps_its_format(tmp_path: Path, method: Method) -> None:
    restored = method.restore(save_toy(tmp_path / "a.jpg"))
    assert restored.save(tmp_path / "b.png").is_file()
    with pytest.raises(InputError, match=r"b\.tif: the photo can be saved with one of these suffixes: \.png, \.jpg"):
        restored.save(tmp_path / "b.tif")


@pytest.mark.parametrize(
    "photo, said",
    [
        (np.zeros((3, 24, 32), np.uint8), r"shape \(3, 24, 32\) and type uint8.*transpose\(1, 2, 0\)"),
        (np.zeros((24, 32, 4), np.uint8), r"array\[\.\.\., :3\]"),
        (np.zeros((24, 32, 2), np.uint8), r"expected \(H, W, 3\) or \(H, W\)"),
        (np.zeros((1, 24, 32, 3), np.uint8), r"expected \(H, W, 3\) or \(H, W\)"),
        (np.zeros((24, 32), np.int64), "type int64; expected uint8, uint16, or float"),
        (np.full((24, 32), 200.0), r"values from 200 to 200; expected \[0, 1\]. Divide it by 255"),
        (np.full((24, 32), np.nan), r"values from nan to nan; expected \[0, 1\]\.$"),
        (np.zeros((8, 32, 3), np.uint8), "32x8 px is too small"),
        (torch.zeros(24, 32, 3), r"permute\(2, 0, 1\)"),
        (torch.zeros(2, 3, 24, 32), "Restore them one by one"),
        (torch.zeros(3, 24, 32, dtype=torch.int64), "expected uint8, or float"),
        (torch.full((3, 24, 32), 2.0), r"values from 2 to 2"),
        (Image.new("I", (32, 24)), "kind 'I' are not supported; save it as RGB"),
        (3, "expected a path, a numpy array, a tensor or a Pillow image, but got a int"),
        ("absent.png", "does not exist"),
    ],
    ids=lambda given: given if isinstance(given, str) else type(given).__name__,
)
def test_what_is_no_photo_is_said_in_one_line(photo: Any, said: str, method: Method) -> None:
    with pytest.raises(InputError, match=said) as caught:
        method.restore(photo)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


def test_an_error_of_a_degradation_comes_with_its_traceback() -> None:
    class Raises(Noise):
        def forward(self, x: Tensor) -> Tensor:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        Method.from_config("denoise", **TOY, degradation=Raises).restore(bytes_of())


# --- from names, files, dicts and objects


def test_the_default_is_auto() -> None:
    assert Method.from_config().stated["degradation"] == {"class_path": "Auto"}


def test_a_config_may_be_a_name_a_path_a_dict_or_several(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("sampling: {steps: 3}\nseed: 5\nimages: nowhere.png\nsave_maps: true\n")
    found = Method.from_config(["dehaze", tmp_path / "mine.yaml", {"seed": 6, "prior": "helpers.toys.ToyPrior"}])
    assert (found.stated["degradation"]["class_path"], found.sampling.steps, found.seed) == ("Haze", 3, 6)
    assert isinstance(found.prior, ToyPrior)
    assert Method.from_config({"degradation": "Noise"}).stated["degradation"] == {"class_path": "Noise"}


def as_lambda() -> Any:
    return lambda: Haze(strength=0.25)


@pytest.mark.parametrize(
    "degradation",
    [
        {"class_path": "Haze", "init_args": {"strength": 0.25}},
        {"class_path": Haze, "init_args": {"strength": 0.25}},
        Haze(strength=0.25),
        functools.partial(Haze, strength=0.25),
        as_lambda(),
    ],
    ids=["named", "class", "instance", "partial", "lambda"],
)
def test_a_degradation_can_be_given_in_any_way(degradation: Any) -> None:
    method = Method.from_config("dehaze", **TOY, degradation=degradation)
    first, second = method.degradation(), method.degradation()
    assert isinstance(first, Haze)
    assert first.strength == 0.25
    assert first is not second, "each photo needs its own"
    assert method.stated["degradation"]["init_args"]["strength"] == 0.25
    assert method.plan().depends == Method.from_config("dehaze", **TOY, degradation=Haze(strength=0.25)).plan().depends


def test_an_instance_is_left_as_it_was() -> None:
    given = Haze(strength=0.25)
    before = dict(given.state_dict())
    Method.from_config("dehaze", **TOY, degradation=given).restore(bytes_of())
    assert given.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())


def test_all_parts_can_be_objects(tmp_path: Path) -> None:
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    named = Method.from_config(
        "dehaze",
        prior="helpers.toys.ToyPrior",
        guidance={"update": {"class_path": "GradientUpdate", "init_args": {"scale": 10.0}},
                  "terms": [{"loss": "TotalVariation", "weight": 0.5}]},
        sampling={"sampler": {"class_path": "SchedulerSampler", "init_args": {"scheduler": "DDPMScheduler"}},
                  "steps": 3, "sigma_max": None, "sigma_min": 0},
    )  # fmt: skip
    objects = Method.from_config(
        "dehaze",
        prior=ToyPrior(),
        modelling=Modelling([Term(Likelihood(), 1.0)]),
        guidance=Guidance([Term(TotalVariation(), 0.5)], GradientUpdate(10.0)),
        sampling=Sampling(3, None, 0, SchedulerSampler(DDPMScheduler())),
    )
    assert objects.stated["guidance"] == named.stated["guidance"]
    assert objects.plan().depends == named.plan().depends, "a result is known by what made it, however that was said"
    assert torch.equal(objects.restore(bytes_of()).pixels, named.restore(bytes_of()).pixels)


def test_a_method_can_be_built_from_its_parts() -> None:
    built = Method(Noise, ToyPrior(), sampling=Sampling(steps=2))
    assert torch.equal(
        built.restore(bytes_of()).pixels, Method.from_config("denoise", **TOY).restore(bytes_of()).pixels
    )


def test_objects_reach_a_run_over_files_and_its_record(tmp_path: Path) -> None:
    file = save_toy(tmp_path / "a.png")

    def run(degradation: Any) -> str:
        prior, out = ToyPrior(), tmp_path / "out"
        (row,) = zeroair_pl.restore(
            file, "dehaze", out=out, prior=prior, degradation=degradation, sampling={"steps": 2}, **QUIET
        ).rows
        return str(row.status)

    assert run(Haze(strength=0.5)) == "restored"
    assert run(functools.partial(Haze, strength=0.5)) == "skipped"
    assert run(Haze(strength=0.25)) == "restored", "another object is another setting"
    assert "strength: 0.25" in (tmp_path / "out/config.yaml").read_text()


def test_two_objects_that_differ_in_what_no_argument_says_are_not_taken_for_one() -> None:
    class Table(Degradation):
        def __init__(self, values: Tensor) -> None:
            super().__init__()
            self.register_buffer("table", values)

        def forward(self, x: Tensor) -> Tensor:
            return x

    one, two = (Method.from_config("denoise", **TOY, degradation=Table(torch.full((3,), v))) for v in (1.0, 2.0))
    again = Method.from_config("denoise", **TOY, degradation=Table(torch.full((3,), 1.0)))
    assert one.plan().depends != two.plan().depends
    assert one.plan().depends == again.plan().depends


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"sampling": {"stesp": 3}}, "'stesp'. Did you mean 'steps'"),
        ({"sead": 3}, "no setting 'sead'"),
        ({"images": "a.png"}, r"images: no setting of a method; it is for zeroair_pl\.restore"),
        (
            {"prior": np.zeros((64, 64, 3))},
            r"prior: a numpy array of shape \(64, 64, 3\).* is no setting",
        ),
        ({"sampling": {"steps": torch.zeros(9, 9)}}, r"sampling\.steps: a tensor of shape \(9, 9\)"),
        ({"prior": Haze()}, r"prior: expected a Prior, but got Haze\(\)"),
        ({"degradation": "Hase"}, "Did you mean 'Haze'"),
        ({"degradation": lambda: 1 / 0}, "degradation: cannot be built, ZeroDivisionError"),
        ({"strength": 2}, "strength is 2"),
        ({"trainer": {"max_epochs": 3}}, "trainer.max_epochs: is decided by the fit"),
        ({"config": "dehase"}, "Did you mean 'dehaze'"),
        ({"config": 3}, "expected a name, a path or a dict"),
    ],
    ids=lambda given: given if isinstance(given, str) else " ".join(given),
)
def test_a_wrong_setting_is_said_in_one_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        Method.from_config(**{"config": "denoise", **settings})
    assert len(str(caught.value)) < 500


def test_numbers_of_numpy_are_numbers() -> None:
    assert Method.from_config("denoise", sampling={"steps": np.int64(3)}, seed=np.int32(4)).sampling.steps == 3


IN_MEMORY = [bytes_of(), torch.zeros(3, 24, 32), Image.new("RGB", (32, 24)), [bytes_of()]]


@pytest.mark.parametrize("given", IN_MEMORY, ids=lambda given: type(given).__name__)
def test_restore_over_files_says_what_to_use_for_a_photo_in_memory(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"where files were expected; .*Method\.from_config.*\.restore\(photo\)"):
        zeroair_pl.restore(given)


def test_callbacks_watch_the_fit(method: Method) -> None:
    from lightning.pytorch import Callback

    class Count(Callback):
        seen = 0

        def on_train_batch_end(self, *_: Any) -> None:
            self.seen += 1

    count = Count()
    method.restore(bytes_of(), callbacks=[count])
    assert count.seen == 2


def test_the_face_of_the_package_lists_its_names() -> None:
    names = {"Method", "Restored", "Restorer", "restore", "evaluate", "Degradation", "GuidanceLoss", "Prior"}
    assert names <= set(dir(zeroair_pl))
    assert all(hasattr(zeroair_pl, name) for name in zeroair_pl.__all__)
    assert zeroair_pl.__version__.count(".") == 2
    assert pickle.loads(pickle.dumps(zeroair_pl.Method)) is Method
