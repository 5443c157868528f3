"""Noise levels, and the steps from one to the next."""
