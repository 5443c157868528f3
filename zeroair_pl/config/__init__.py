"""Turns config files, environment variables and options into the arguments of a command."""
