"""What every sampler must keep, of the package and ``plugins/``; and what ``plugins check`` says of broken ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.registry import concrete
from zeroair_pl.checks import CHECKS, Check, checked
from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance.base import GuidanceState
from zeroair_pl.guidance.updates import Guided
from zeroair_pl.priors.base import Prior
from zeroair_pl.sampling.base import Sampler

SAMPLERS = concrete(Sampler, "sampling")  # type: ignore[type-abstract]


@pytest.mark.parametrize("check", CHECKS["sampler"], ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", SAMPLERS, ids=lambda cls: cls.__name__)
def test_a_sampler_keeps_its_contract(kind: Any, check: Check) -> None:
    check(kind)


class OneLook(Sampler):
    """The photo itself is shown at each level; what guidance makes of it is the result."""

    def prepare(self, prior: Prior, steps: int, sigma_max: float | None, sigma_min: float) -> list[float]:
        if steps < 1 or sigma_min < 0 or (sigma_max is not None and sigma_max < sigma_min):
            raise ConfigError("no levels")
        self.prior = prior
        return [float(i) for i in range(steps)]

    def shown(self, level: float) -> tuple[Tensor, Tensor]:
        return self.y, self.y.new_full((len(self.y),), 0.02)

    def advance(self, guided: Guided, state: GuidanceState, level: float) -> None:
        self.x0 = guided.x0

    @property
    def restored(self) -> Tensor:
        return self.x0.clamp(0, 1)


class Forgetful(OneLook):
    """Random numbers of the process, and a count of its own of what the prior was shown."""

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self.prior.denoise(x, sigma)

    def advance(self, guided: Guided, state: GuidanceState, level: float) -> None:
        self.x0 = guided.x0 + 0.02 * torch.rand_like(guided.x0)


class Shared(OneLook):
    """All fits change one object."""

    def fresh(self) -> Sampler:
        return self


def broken(cls: type) -> set[str]:
    return {promise for promise, reason in checked(cls, "sampler") if reason}


def test_a_sampler_in_ten_lines_keeps_it_all() -> None:
    assert broken(OneLook) == set()


def test_a_promise_that_is_broken_is_named() -> None:
    assert broken(Forgetful) >= {
        "counts the images that the prior denoises",
        "gives the same bits for the same seed, also when one sampler is used again",
    }
    assert broken(Shared) == {"keeps all that changes in a fit in its own copy"}
