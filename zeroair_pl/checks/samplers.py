"""The contract of samplers, checked by whole fits of a dim, noisy photo with ``Noise`` and a prior without weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zeroair_pl.checks.samples import _Blurring, degraded, expect_image
from zeroair_pl.degradations import Noise
from zeroair_pl.errors import ConfigError
from zeroair_pl.guidance.fidelity import Fidelity
from zeroair_pl.guidance.stages import Term
from zeroair_pl.method.fit import fit
from zeroair_pl.method.settings import Guidance, Method, Modeling, Result, Sampling
from zeroair_pl.priors import DenoiserPrior

_TERMS = [Term(Fidelity())]


def _method(sampler: Any, seed: int = 0, sigma_max: float | None = 0.26) -> Method:
    sampling = Sampling(steps=4, sigma_max=sigma_max, sampler=sampler)
    return Method(Noise, _Blurring(), Modeling(_TERMS), Guidance(_TERMS), sampling, seed)


def _result(sampler: Any, photos: int = 1, seed: int = 0) -> Result:
    y = torch.cat([degraded(24, 40).flip(3) if i % 2 else degraded(24, 40) for i in range(photos)])
    return fit(y, [f"{i}.png" for i in range(photos)], _method(sampler, seed))


def decreasing(kind: Any) -> None:
    """has as many levels as asked for"""
    levels = kind().fresh().prepare(_Blurring(), 4, 0.26, 0.0114)
    assert len(levels) == len(set(levels)) == 4, f"visits {levels} in 4 steps"


def refuses(kind: Any) -> None:
    """refuses an impossible range of levels"""
    for steps, high, low in ((0, 0.26, 0.01), (4, 0.01, 0.26), (4, 0.26, -1.0)):
        try:
            kind().fresh().prepare(_Blurring(), steps, high, low)
        except ConfigError:
            continue
        raise AssertionError(f"takes {steps} steps from {high} to {low}")


def restores(kind: Any) -> None:
    """gives finite images of the photo's size in [0, 1], nearer to the photo than black is"""
    result, y = _result(kind()), degraded(24, 40)
    expect_image(result.restored, y.shape)
    error = float((result.restored - y).square().mean().sqrt())
    assert error < 0.1, f"is {error:.2f} away from the photo"


def counts(kind: Any) -> None:
    """counts the images that the prior denoises"""
    shown: list[int] = []
    answer = _Blurring().denoise

    def counted(x: Tensor, sigma: Tensor) -> Tensor:
        shown.append(len(x))
        return answer(x, sigma)

    method = replace(_method(kind()), prior=DenoiserPrior(counted))
    nfe = fit(degraded(24, 24), ["a.png"], method).nfe[0]
    assert nfe == sum(shown) > 0, f"counts {nfe} images, the prior has denoised {sum(shown)}"


def same_seed(kind: Any) -> None:
    """gives the same bits for the same seed, also when one sampler is used again"""
    sampler = kind()
    first, second = _result(sampler).restored, _result(sampler).restored
    assert torch.equal(first, second), "other bits the second time"
    assert torch.equal(first, _result(kind()).restored), "other bits with another instance"


def own_state(kind: Any) -> None:
    """keeps all that changes in a fit in its own copy"""
    sampler = kind()
    before = set(vars(sampler))
    _result(sampler)
    assert not (new := set(vars(sampler)) - before), f"a fit has changed the given sampler: {', '.join(sorted(new))}"


def batches(kind: Any) -> None:
    """gives an image nearly the same result in any batch"""
    alone, both = _result(kind()).restored, _result(kind(), photos=2).restored
    error = float((both[:1] - alone).abs().max())
    assert error < 0.02, f"differs by {error:.3f}"


CHECKS: list[Callable[[Any], None]] = [decreasing, refuses, restores, counts, same_seed, own_state, batches]
