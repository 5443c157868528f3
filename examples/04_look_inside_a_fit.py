"""Takes one fit apart: builds the method from its parts, watches it at every timestep, and draws what it saw.

Run it with: python examples/04_look_inside_a_fit.py [PHOTO [FOLDER]]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zeroair_pl.degradations import Haze
from zeroair_pl.guidance import Likelihood
from zeroair_pl.guidance.anchored import AnchoredUpdate
from zeroair_pl.guidance.stages import Term
from zeroair_pl.inspection.report import contact_sheet
from zeroair_pl.method.fit import fit
from zeroair_pl.method.restoration import Modelling, Restoration
from zeroair_pl.method.sampling import Guidance
from zeroair_pl.method.settings import Method, Sampling
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.priors import Prior, UNetPrior

HERE = Path(__file__).parent


class Watch(Callback):
    """Notes the state of the fit after each timestep: one batch of the fit is one timestep."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Tensor]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, Restoration)
        state = pl_module.state
        assert state is not None
        with torch.no_grad():
            residual = (state.y - state.degradation(state.x0)).square().mean().sqrt()
        line = (
            f"t {state.t:5.1f}   noise in x_t {255 * float(state.noise):6.2f}   error of x0 "
            f"{255 * float(state.x0_error):5.2f}   learned noise {255 * float(state.noise_level().detach()):5.2f}   "
            f"residual {255 * float(residual):5.2f}"
        )
        print(line)
        self.seen.append((f"t = {state.t:.1f}", state.x0[0].clone()))


def main(
    photo: str | Path = HERE / "photos" / "haze_workshop.png",
    folder: str | Path = "restored/example_04",
    *,
    prior: Prior | None = None,
    steps: int = 12,
    side: int = 256,
) -> Path:
    y = load_photo(photo).pixels[None, :, :side, :side]  # (1, 3, H, W) in [0, 1]
    method = Method(
        degradation=Haze,
        prior=prior or UNetPrior(),
        modelling=Modelling([Term(Likelihood())], lr=0.01),
        guidance=Guidance(update=AnchoredUpdate()),
        sampling=Sampling(steps=steps),
    )
    watch = Watch()
    print("all numbers in units of 1/255")
    result = fit(y, ["photo"], method, callbacks=[watch])
    print(f"airlight {[round(v, 2) for v in result.maps[0]['airlight'].flatten().tolist()]}, {result.seconds:.1f} s")

    chosen = [watch.seen[round(i * (steps - 1) / 3)] for i in range(4)]
    sheet = Path(folder) / "clean_estimates.png"
    pictures: list[Tensor | None] = [y[0], *(x0 for _, x0 in chosen)]
    contact_sheet(sheet, [(Path(photo).name, pictures)], ["degraded y", *(f"x0 at {t}" for t, _ in chosen)])
    print(f"clean estimates: {sheet}")
    return sheet


if __name__ == "__main__":
    main(*sys.argv[1:3])
