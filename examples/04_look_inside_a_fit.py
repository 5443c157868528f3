"""Looks inside one fit: restores a photo in memory, watches it at every timestep, and draws what was seen.

Run it with: python examples/04_look_inside_a_fit.py [PHOTO [FOLDER]]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zeroair_pl import Method, Restoration
from zeroair_pl.degradations import Haze
from zeroair_pl.photos.reading import load_photo
from zeroair_pl.priors import Prior, UNetPrior
from zeroair_pl.tensors.drawing import strip

# In a notebook there is no file, the working folder is that of the notebook, and the arguments are the kernel's.
HERE = Path(globals().get("__file__", "notebook")).parent
WORDS = [] if "ipykernel" in sys.modules else sys.argv[1:]


# %%
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
            f"noise in x_t {255 * float(state.noise):6.2f}   error of x0 "
            f"{255 * float(state.x0_error):5.2f}   learned noise {255 * float(state.noise_level().detach()):5.2f}   "
            f"residual {255 * float(residual):5.2f}"
        )
        print(line)
        self.seen.append((f"σ = {float(state.noise):.3f}", state.x0[0].clone()))


# %%
def main(
    photo: str | Path = HERE / "photos" / "haze_workshop.png",
    folder: str | Path = "restored/example_04",
    *,
    prior: Prior | None = None,
    steps: int = 12,
    side: int = 256,
) -> Path:
    y = load_photo(photo).pixels[:, :side, :side]  # (3, H, W) in [0, 1]; an array or a Pillow image would do as well
    # Objects may stand where a config has names. What is not given is as the config has it.
    method = Method.from_config(
        "dehaze", degradation=Haze(strength=0.9), prior=prior or UNetPrior(), sampling={"steps": steps}
    )
    watch = Watch()
    print("all numbers in units of 1/255")
    restored = method.restore(y, callbacks=[watch])
    airlight = [round(float(value), 2) for value in restored.diagnostics["airlight"]]
    print(f"airlight {airlight}, {restored.nfe} passes of the prior, {restored.seconds:.1f} s")

    chosen = [watch.seen[round(i * (steps - 1) / 3)] for i in range(4)]
    sheet = Path(folder) / "clean_estimates.png"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    strip({"degraded y": y, **{f"x0 at {level}": x0 for level, x0 in chosen}}, {}, 256).save(sheet)
    print(f"clean estimates: {sheet}")
    return sheet


# %%
if __name__ == "__main__":
    main(*WORDS[:2])
