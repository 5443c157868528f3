"""Adversarial losses: a discriminator that is learned from this one photo distinguishes real from fake."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from zeroair_pl.guidance.base import GuidanceLoss, GuidanceState
from zeroair_pl.guidance.discriminator import Objective, generator_loss
from zeroair_pl.ranges import Range


class Adversarial(GuidanceLoss):
    """The paper's GAN loss on the degradation model: φ(x0) must look like y to a patch discriminator.

    Real are the photos; fake is φ of the guided clean estimate, and of the auxiliary one if there is one.

    Args:
        objective: form of the loss. PSNR/SSIM on the paper's haze benchmark: ``bce`` 22.29/.877, ``bce_logits``
            22.06/.870, ``wgan_softplus`` 21.47/.864, ``lsgan`` 20.76/.873, ``hinge`` 20.44/.860, ``wgan`` 13.61/.619.
        lr: learning rate of the discriminator's Adam.
    """

    adversarial = True

    def __init__(self, objective: Objective = "bce", lr: Annotated[float, Range(0)] = 5e-4) -> None:
        super().__init__()
        self.objective, self.lr = objective, lr

    def pairs(self, state: GuidanceState) -> tuple[Tensor, Tensor]:
        """(real, fake), each (K·B, 3, H, W) with the B images in order in every block of B."""
        if state.y_hat_auxiliary is None:
            return state.y, state.y_hat
        return torch.cat([state.y, state.y]), torch.cat([state.y_hat, state.y_hat_auxiliary])

    def forward(self, state: GuidanceState) -> Tensor:
        _, fake = self.pairs(state)
        loss = generator_loss(state.discriminators[self.name](fake), self.objective)
        return loss.view(-1, len(state.y)).mean(0)


class ResidualAdversarial(Adversarial):
    """The paper's GAN loss of stage II on the clean estimate, with its own discriminator of residuals.

    Real is the residual of φ, x0 − φ(x0), of both maps. Fake is x0 − y of the guided map: the difference between the
    restored and the degraded photo must look like the effect of φ.
    """

    def pairs(self, state: GuidanceState) -> tuple[Tensor, Tensor]:
        real = state.x0 - state.y_hat
        if state.x0_auxiliary is not None and state.y_hat_auxiliary is not None:
            real = torch.cat([real, state.x0_auxiliary - state.y_hat_auxiliary])
        return real, state.x0 - state.y
