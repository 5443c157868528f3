"""Degradation families: one file each, all with the contract of ``Degradation``."""

from zeroair_pl.degradations.auto import Auto
from zeroair_pl.degradations.base import Degradation, Denoise, Moment, Observation, Side
from zeroair_pl.degradations.chain import Chain
from zeroair_pl.degradations.haze import Haze
from zeroair_pl.degradations.low_light import LowLight
from zeroair_pl.degradations.neural import Neural
from zeroair_pl.degradations.noise import Noise
from zeroair_pl.degradations.noise_models import NoiseModel, SignalDependentNoise
from zeroair_pl.degradations.underwater import Underwater

__all__ = [
    "Auto",
    "Chain",
    "Degradation",
    "Denoise",
    "Haze",
    "LowLight",
    "Moment",
    "Neural",
    "Noise",
    "NoiseModel",
    "Observation",
    "Side",
    "SignalDependentNoise",
    "Underwater",
]
