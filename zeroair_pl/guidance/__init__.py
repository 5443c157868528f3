"""Guidance losses: one file each, all with the contract of ``GuidanceLoss``."""

from zeroair_pl.guidance.adversarial import Adversarial, ResidualAdversarial
from zeroair_pl.guidance.base import GuidanceLoss, GuidanceState
from zeroair_pl.guidance.fidelity import Fidelity, Likelihood, TotalVariation
from zeroair_pl.guidance.perceptual import Lpips, Perceptual

__all__ = [
    "Adversarial",
    "Fidelity",
    "GuidanceLoss",
    "GuidanceState",
    "Likelihood",
    "Lpips",
    "Perceptual",
    "ResidualAdversarial",
    "TotalVariation",
]
