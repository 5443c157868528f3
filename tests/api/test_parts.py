"""A method from names, files, dicts and objects."""

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
from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance import Likelihood, TotalVariation
from zeroair_pl.guidance.stages import Term
from zeroair_pl.guidance.updates import GradientUpdate
from zeroair_pl.method.settings import Guidance, Modeling, Sampling
from zeroair_pl.sampling import SchedulerSampler

TOY: dict[str, Any] = {"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}}
QUIET: dict[str, Any] = {"tensorboard": False, "strips": False}


@pytest.fixture(scope="module")
def method() -> Method:
    return Method.from_config("denoise", **TOY)


def bytes_of(height: int = 24, width: int = 32) -> Any:
    return (toy_photo(height, width)[0] * 255).round().byte().permute(1, 2, 0).numpy()


# --- from names, files, dicts and objects


def test_the_default_is_auto() -> None:
    assert Method.from_config().stated["degradation"] == {"class_path": "Auto"}


def test_a_config_may_be_a_name_a_path_a_dict_or_several(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("sampling: {steps: 3}\nseed: 5\nimages: nowhere.png\nsave_maps: true\n")
    found = Method.from_config(["dehaze", tmp_path / "mine.yaml", {"seed": 6, "prior": "helpers.toys.ToyPrior"}])
    assert (found.stated["degradation"]["class_path"], found.sampling.steps, found.seed) == ("Haze", 3, 6)
    assert isinstance(found.prior, ToyPrior)
    assert Method.from_config({"degradation": "Noise"}).stated["degradation"] == {
        "class_path": "Noise",
        "init_args": {"level": None},
    }


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
        modeling=Modeling([Term(Likelihood(), 1.0)]),
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
        ({"images": "a.png"}, r"images: not a setting of a method; pass it to zeroair_pl\.restore"),
        ({"prior": np.zeros((64, 64, 3))}, r"prior: a numpy array of shape \(64, 64, 3\).* is not a setting"),
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
    assert len(str(caught.value)) < 600


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
