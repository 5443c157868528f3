"""Priors: what is known of clean photos before any photo is seen."""

from zeroair_pl.priors.base import Calibration, Prediction, Prior
from zeroair_pl.priors.hub.locating import bundled_priors
from zeroair_pl.priors.unet import UNetPrior

__all__ = ["Calibration", "Prediction", "Prior", "UNetPrior", "bundled_priors"]
