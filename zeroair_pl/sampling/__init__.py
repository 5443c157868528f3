"""Noise levels, and the samplers that go from one to the next."""

from zeroair_pl.sampling.annealed import AnnealedSampler
from zeroair_pl.sampling.base import Sampler
from zeroair_pl.sampling.matched import NoiseMatchedSampler
from zeroair_pl.sampling.scheduler import SchedulerSampler

__all__ = ["AnnealedSampler", "NoiseMatchedSampler", "Sampler", "SchedulerSampler"]
