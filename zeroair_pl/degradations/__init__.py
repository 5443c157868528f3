"""Degradation families: one file each, all with the contract of ``Degradation``."""

from zeroair_pl.degradations.auto import Auto
from zeroair_pl.degradations.banding import Banding
from zeroair_pl.degradations.base import Degradation, Denoise, Moment, Observation, Side
from zeroair_pl.degradations.blur import Blur
from zeroair_pl.degradations.chain import Chain
from zeroair_pl.degradations.downscaled import Downscaled
from zeroair_pl.degradations.fringe import Fringe
from zeroair_pl.degradations.haze import Haze
from zeroair_pl.degradations.jpeg import Jpeg
from zeroair_pl.degradations.low_light import LowLight
from zeroair_pl.degradations.missing import Missing
from zeroair_pl.degradations.neural import Neural
from zeroair_pl.degradations.noise import Noise
from zeroair_pl.degradations.noise_models import NoiseModel
from zeroair_pl.degradations.streaks import Streaks
from zeroair_pl.degradations.tone_curve import ToneCurve
from zeroair_pl.degradations.underwater import Underwater
from zeroair_pl.degradations.vignette import Vignette

__all__ = [
    "Auto",
    "Banding",
    "Blur",
    "Chain",
    "Degradation",
    "Denoise",
    "Downscaled",
    "Fringe",
    "Haze",
    "Jpeg",
    "LowLight",
    "Missing",
    "Moment",
    "Neural",
    "Noise",
    "NoiseModel",
    "Observation",
    "Side",
    "Streaks",
    "ToneCurve",
    "Underwater",
    "Vignette",
]
