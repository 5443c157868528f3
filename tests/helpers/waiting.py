"""A prior that waits until other processes are running, so that tests of several processes do not depend on timing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from torch import Tensor

from helpers.toys import ToyPrior
from zeroair_pl.priors.vp import Prediction

PATIENCE = 120.0  # seconds


class Waiting(ToyPrior):
    """Begins the first fit of its process when ``$TOGETHER`` processes have begun theirs.

    The process whose ``$ME``, or else ``$RANK``, is ``$DIES`` is killed then, at its ``$DIES_AT``-th prediction.
    """

    _seen = 0

    def predict(self, x_t: Tensor, t: Tensor) -> Prediction:
        self._seen += 1
        if self._seen == 1:
            Path("met").mkdir(exist_ok=True)
            Path(f"met/{os.getpid()}").touch()
            until = time.monotonic() + PATIENCE
            while len(list(Path("met").iterdir())) < int(os.environ.get("TOGETHER", "1")):
                assert time.monotonic() < until, "nobody came"
                time.sleep(0.02)
        me = os.environ.get("ME", os.environ.get("RANK", "0"))
        if os.environ.get("DIES", "") == me and self._seen == int(os.environ.get("DIES_AT", "1")):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(x_t, t)
