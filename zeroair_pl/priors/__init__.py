"""Priors: frozen models of clean photos, used as denoisers."""

from zeroair_pl.priors.adaptations import GainTuning, LowRank
from zeroair_pl.priors.adapting import Adaptation
from zeroair_pl.priors.base import Calibration, DenoiserPrior, Prior
from zeroair_pl.priors.denoiser import DenoiserNetwork
from zeroair_pl.priors.hub.locating import bundled_priors
from zeroair_pl.priors.unet import UNetPrior
from zeroair_pl.priors.vp import Prediction, VPPrior

__all__ = [
    "Adaptation",
    "Calibration",
    "DenoiserNetwork",
    "DenoiserPrior",
    "GainTuning",
    "LowRank",
    "Prediction",
    "Prior",
    "UNetPrior",
    "VPPrior",
    "bundled_priors",
]
