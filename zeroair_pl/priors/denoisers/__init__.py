"""Denoisers of other makes as priors: files of networks, folders of diffusers that are no VP models, functions."""
